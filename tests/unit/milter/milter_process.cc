// fork(2) before any thread is there, pipes for "stop" and for the log.
#include "tests/unit/milter/milter_process.h"

#include "common/milter/listening.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>

namespace postern::test {

namespace {

class PipeLog final : public Log {
  public:
    explicit PipeLog(int descriptor) : descriptor_(descriptor) { set_threshold(LogLevel::debug); }

  protected:
    void put(LogLevel level, std::string_view line) override {
        auto const text = fmt::format("{}: {}\n", to_string(level), line);
        if (::write(descriptor_, text.data(), text.size()) < 0) return; // the reader sees it missing
    }

  private:
    int descriptor_;
};

int listen_unix(std::string const& path) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    path.copy(name.sun_path, sizeof name.sun_path - 1);
    int const listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, reinterpret_cast<sockaddr*>(&name), sizeof name) != 0 || listen(listener, 20) != 0)
        throw std::runtime_error("listen_unix");
    return listener;
}

int listen_inet(std::uint16_t& port) {
    sockaddr_in name{};
    socklen_t size = sizeof name;
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int const listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, reinterpret_cast<sockaddr*>(&name), size) != 0 || listen(listener, 20) != 0 ||
        getsockname(listener, reinterpret_cast<sockaddr*>(&name), &size) != 0)
        throw std::runtime_error("listen_inet");
    port = ntohs(name.sin_port);
    return listener;
}

} // namespace

MilterProcess::MilterProcess(milter::Negotiation negotiation, Make const& make,
                             MilterProcessSettings settings)
    : settings_(settings) {
    char directory[] = "/tmp/postern-test.XXXXXX";
    if (mkdtemp(directory) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = std::string(directory) + "/socket";
    int const listener = settings.inet ? listen_inet(port_) : listen_unix(path_);
    int commands[2];
    int lines[2];
    if (pipe(commands) != 0 || pipe(lines) != 0) throw std::runtime_error("pipe");
    std::fflush(nullptr);
    child_ = fork();
    if (child_ == 0) {
        close(commands[1]);
        close(lines[0]);
        _exit(run_child(listener, commands[0], lines[1], std::move(negotiation), make));
    }
    close(listener);
    close(commands[0]);
    close(lines[1]);
    command_ = commands[1];
    log_descriptor_ = lines[0];
}

int MilterProcess::run_child(int listener, int commands, int log_descriptor, milter::Negotiation negotiation,
                             Make const& make) const {
    PipeLog log(log_descriptor);
    milter::Milter milter(listener, std::move(negotiation), make(log), log);
    auto const started =
        settings_.replace_socket ? milter.start(milter::HandOver::by_replacement) : milter.start();
    if (!started) {
        log.error("{}", started.error().text);
        return 9;
    }
    char command = 0;
    while (read(commands, &command, 1) < 0) {
    }
    return milter.stop(settings_.grace) ? 0 : 3;
}

MilterProcess::~MilterProcess() {
    stop();
    std::error_code ignored;
    std::filesystem::remove_all(std::filesystem::path(path_).parent_path(), ignored);
}

MilterClient MilterProcess::client() const {
    auto made = settings_.inet ? MilterClient::connect_inet(port_) : MilterClient::connect_unix(path_);
    if (!made) throw std::runtime_error("cannot connect to the milter");
    return std::move(*made);
}

int MilterProcess::stop() {
    if (child_ < 0) return -1;
    auto const began = std::chrono::steady_clock::now();
    close(command_);
    int status = 0;
    waitpid(child_, &status, 0);
    stop_time_ =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began);
    child_ = -1;
    char buffer[4096];
    while (auto const got = read(log_descriptor_, buffer, sizeof buffer)) {
        if (got < 0) break;
        log_.append(buffer, static_cast<std::size_t>(got));
    }
    close(log_descriptor_);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

} // namespace postern::test
