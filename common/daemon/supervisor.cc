// Fork, wait, decide.
#include "common/daemon/supervisor.h"

#include "common/base/clock.h"
#include "common/daemon/command_line.h"
#include "common/daemon/signals.h"
#include "common/net/descriptor.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <deque>

namespace postern::daemon {

namespace {

using Clock = std::chrono::steady_clock;

constexpr auto stop_patience = std::chrono::seconds(30); // then the child is killed
constexpr auto shortest_life =
    std::chrono::seconds(1); // a child that dies sooner is started again after this

// Whether one more start is within the limits.
class Budget {
  public:
    explicit Budget(RestartPolicy const& policy) : policy_(policy) {}

    bool take(Clock::time_point now) {
        if (policy_.most > 0 && used_ >= policy_.most) return false;
        if (policy_.rate > 0 && policy_.rate_period.count() > 0) {
            while (!recent_.empty() && recent_.front() + policy_.rate_period <= now) recent_.pop_front();
            if (recent_.size() >= static_cast<std::size_t>(policy_.rate)) return false;
            recent_.push_back(now);
        }
        ++used_;
        return true;
    }

  private:
    RestartPolicy const& policy_;
    int used_ = 0;
    std::deque<Clock::time_point> recent_;
};

pid_t start(std::function<int()> const& work) {
    pid_t const parent = ::getpid();
    pid_t const child = ::fork();
    if (child != 0) return child;
    // An orphan would hold the socket that the next start needs.
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(exit_software);
    ::_exit(work());
}

struct Ending {
    int status = 0;
    bool stopped = false; // a stop signal came
};

Ending wait_for(pid_t child, Signals& signals, bool usr1) {
    // By number: glibc 2.36 declares pidfd_open() without C linkage.
    net::Descriptor const handle(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
    Ending ending;
    auto patience = Deadline::never();
    while (::waitpid(child, &ending.status, WNOHANG) == 0) {
        // Without a handle (an old kernel) the child is looked after once a second.
        auto const until = handle ? patience : patience.or_after(std::chrono::seconds(1));
        switch (signals.wait(until, handle.get())) {
        case Signals::Event::none:
            if (patience.expired()) ::kill(child, SIGKILL);
            break;
        case Signals::Event::reload: ::kill(child, usr1 ? SIGUSR1 : SIGHUP); break;
        case Signals::Event::stop:
            ending.stopped = true;
            patience = Deadline::after(stop_patience);
            ::kill(child, SIGTERM);
            break;
        }
    }
    return ending;
}

int code_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : exit_software; }

std::string in_words(int status) {
    if (WIFSIGNALED(status))
        return fmt::format("signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
    return fmt::format("exit code {}", WEXITSTATUS(status));
}

} // namespace

int supervise(RestartPolicy const& policy, bool usr1, std::function<int()> const& work, Log& log) {
    Signals signals(usr1);
    Budget budget(policy);
    for (;;) {
        auto const started = Clock::now();
        pid_t const child = start(work);
        if (child < 0) return exit_os_error;
        auto const [status, stopped] = wait_for(child, signals, usr1);
        if (stopped || (WIFEXITED(status) && WEXITSTATUS(status) == 0)) return code_of(status);
        if (!budget.take(Clock::now())) {
            log.error("the working process ended with {}; the limit of AutoRestart is reached, stopping",
                      in_words(status));
            return code_of(status);
        }
        log.error("the working process ended with {}; starting it again", in_words(status));
        if (Clock::now() - started < shortest_life &&
            signals.wait(Deadline::after(shortest_life)) == Signals::Event::stop)
            return exit_ok;
    }
}

} // namespace postern::daemon
