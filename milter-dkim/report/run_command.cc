// posix_spawn in a process group of its own, waited for through a pidfd.
#include "milter-dkim/report/run_command.h"

#include "common/base/text.h"
#include "common/net/descriptor.h"

#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <memory>

namespace postern::milter_dkim {

namespace {

// A file in memory, so that a command that does not read its input cannot block us.
Result<net::Descriptor> input_file(std::string_view input) {
    net::Descriptor fd(::memfd_create("input", MFD_CLOEXEC));
    if (!fd) return system_error("memfd_create", errno);
    if (::write(fd.get(), input.data(), input.size()) != static_cast<ssize_t>(input.size()) ||
        ::lseek(fd.get(), 0, SEEK_SET) != 0)
        return system_error("input of the command", errno);
    return fd;
}

std::vector<std::string> environment_with(Environment const& added) {
    std::vector<std::string> all;
    for (char** each = environ; *each != nullptr; ++each) all.emplace_back(*each);
    for (auto const& [name, value] : added) all.push_back(fmt::format("{}={}", name, value));
    return all;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    for (auto& each : texts) pointers.push_back(each.data());
    pointers.push_back(nullptr);
    return pointers;
}

// The child begins as a shell would start it, whatever signals our threads block or ignore.
void set_attributes(posix_spawnattr_t& attributes) {
    sigset_t none;
    sigset_t all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

Result<pid_t> start(std::vector<std::string> arguments, Environment const& added, int input) {
    auto environment = environment_with(added);
    auto const variables = pointers_to(environment);
    auto const words = pointers_to(arguments);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    set_attributes(attributes);
    pid_t child = 0;
    int const error =
        ::posix_spawn(&child, words.front(), &actions, &attributes, words.data(), variables.data());
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (error != 0) return system_error("start " + arguments.front(), error);
    return child;
}

// False: the deadline passed.
bool wait_for_end(pid_t child, Deadline deadline) {
    net::Descriptor const fd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
    if (!fd) return true; // a kernel before 5.3: waitpid blocks
    for (;;) {
        pollfd waiting{fd.get(), POLLIN, 0};
        if (::poll(&waiting, 1, deadline.poll_timeout()) > 0) return true;
        if (deadline.expired()) return false;
    }
}

} // namespace

Result<> run_program(std::vector<std::string> const& arguments, Environment const& added,
                     std::string_view input, Deadline deadline) {
    auto const command = arguments.size() == 3 && arguments[1] == "-c" ? arguments[2] : join(arguments, " ");
    auto const file = input_file(input);
    if (!file) return std::unexpected(file.error());
    auto const child = start(arguments, added, file->get());
    if (!child) return std::unexpected(child.error());
    bool const ended = wait_for_end(*child, deadline);
    if (!ended) ::kill(-*child, SIGKILL);
    int status = 0;
    while (::waitpid(*child, &status, 0) < 0 && errno == EINTR) {
    }
    if (!ended) return temporary(fmt::format("\"{}\" did not end in time and was killed", command));
    if (WIFSIGNALED(status))
        return temporary(fmt::format("\"{}\" was ended by signal {}", command, WTERMSIG(status)));
    if (WEXITSTATUS(status) != 0)
        return temporary(fmt::format("\"{}\" ended with code {}", command, WEXITSTATUS(status)));
    return {};
}

Result<> run_command(std::string const& command, Environment const& added, std::string_view input,
                     Deadline deadline) {
    return run_program({"/bin/sh", "-c", command}, added, input, deadline);
}

} // namespace postern::milter_dkim
