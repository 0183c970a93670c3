// Runs postconf(1).
#include "sql-maps/postfix_version.h"

#include "common/base/text.h"
#include "common/net/descriptor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <vector>

namespace postern::sql_maps {

namespace {

constexpr std::size_t max_output = 65536;

// Reads until the end of the stream or the deadline.
Result<std::string> read_all(int fd, Deadline deadline) {
    std::string out;
    std::array<char, 4096> buffer{};
    while (true) {
        pollfd waiting{fd, POLLIN, 0};
        int const ready = ::poll(&waiting, 1, deadline.poll_timeout());
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) return temporary("no end of its output before the time limit");
        auto const size = ::read(fd, buffer.data(), buffer.size());
        if (size < 0) return system_error("read", errno);
        if (size == 0) return out;
        out.append(buffer.data(), static_cast<std::size_t>(size));
        if (out.size() > max_output) return permanent("its output is too long");
    }
}

} // namespace

Result<std::string> output_of(std::vector<std::string> const& command, Deadline deadline) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return system_error("pipe", errno);
    net::Descriptor reading(ends[0]), writing(ends[1]);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions, writing.get(), 1);
    std::vector<char*> arguments;
    for (auto const& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    pid_t pid = 0;
    int const failed = ::posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (failed != 0) return system_error(command[0], failed, ErrorKind::permanent);
    writing.reset();
    auto out = read_all(reading.get(), deadline);
    if (!out) ::kill(pid, SIGKILL);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!out) return std::unexpected(std::move(out).error().within(command[0]));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return permanent(fmt::format("{} failed (status {})", join(command, " "), status));
    return out;
}

Result<std::string> postfix_version(std::string const& config_directory, Deadline deadline) {
    std::vector<std::string> command{"postconf"};
    if (!config_directory.empty()) command.insert(command.end(), {"-c", config_directory});
    command.insert(command.end(), {"-h", "mail_version"});
    auto out = output_of(command, deadline);
    if (!out) return out;
    return std::string(trim(*out));
}

bool waits_for_greeting(std::string_view version) {
    auto const [major, rest] = halve(version, '.');
    auto const minor = rest.value_or("").substr(0, rest.value_or("").find_first_not_of("0123456789"));
    auto const first = parse_number<int>(major);
    auto const second = parse_number<int>(minor);
    if (!first || !second) return true;
    return *first > 3 || (*first == 3 && *second >= 6);
}

} // namespace postern::sql_maps
