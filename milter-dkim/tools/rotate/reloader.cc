// By signal and by command.
#include "milter-dkim/tools/rotate/reloader.h"

#include "common/base/text.h"
#include "common/config/settings.h"
#include "milter-dkim/report/run_command.h"
#include "milter-dkim/tools/replace_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <csignal>
#include <filesystem>

namespace postern::milter_dkim::tools {

namespace {

// As it was started, also after a package upgrade has replaced its file; anybody may read it.
std::string name_of_process(pid_t pid) {
    auto const name = read_text(fmt::format("/proc/{}/comm", pid));
    return name ? std::string(trim(*name)) : std::string();
}

class SignalReloader final : public Reloader {
  public:
    explicit SignalReloader(std::string pid_file) : pid_file_(std::move(pid_file)) {}

    Result<std::string> reload(Deadline) override {
        std::error_code none;
        if (!std::filesystem::exists(pid_file_, none)) return "not running: " + pid_file_ + " is not there";
        auto const text = config::read_file(pid_file_);
        if (!text) return std::unexpected(text.error());
        if (trim(*text).empty()) return "not running: " + pid_file_ + " is empty";
        auto const pid = parse_number<pid_t>(trim(*text));
        if (!pid || *pid <= 1) return permanent(pid_file_ + " holds no process number");
        if (::kill(*pid, 0) != 0 && errno == ESRCH)
            return fmt::format("not running: there is no process {}", *pid);
        auto const name = name_of_process(*pid);
        if (name != "milter-dkim" && name != "opendkim")
            return permanent(fmt::format("process {} of {} is {}, not milter-dkim; reload it by hand", *pid,
                                         pid_file_, name.empty() ? "unknown" : printable(name)));
        if (::kill(*pid, SIGUSR1) != 0) return system_error(fmt::format("signal to process {}", *pid), errno);
        return fmt::format("SIGUSR1 sent to process {}", *pid);
    }
    std::string describe() const override { return "SIGUSR1 to the process in " + pid_file_; }

  private:
    std::string pid_file_;
};

class CommandReloader final : public Reloader {
  public:
    explicit CommandReloader(std::string command) : command_(std::move(command)) {}

    Result<std::string> reload(Deadline deadline) override {
        if (auto done = run_command(command_, {}, {}, deadline); !done) return std::unexpected(done.error());
        return "done by " + command_;
    }
    std::string describe() const override { return command_; }

  private:
    std::string command_;
};

} // namespace

std::unique_ptr<Reloader> signal_reloader(std::string pid_file) {
    return std::make_unique<SignalReloader>(std::move(pid_file));
}

std::unique_ptr<Reloader> command_reloader(std::string command) {
    return std::make_unique<CommandReloader>(std::move(command));
}

} // namespace postern::milter_dkim::tools
