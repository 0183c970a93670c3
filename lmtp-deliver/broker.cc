// Jobs over a socket pair, a child for each.
#include "lmtp-deliver/broker.h"

#include "common/base/clock.h"
#include "common/base/text.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

namespace postern::lmtp_deliver {

namespace {

// What travels with a job's packet.
struct Descriptors {
    net::Descriptor job;     // its text
    net::Descriptor message; // the spooled message
    net::Descriptor answer;  // the child writes its outcomes here
};
constexpr std::size_t descriptor_count = 3;

Result<> send_descriptors(int socket, std::array<int, descriptor_count> const& descriptors) {
    char octet = 'J';
    iovec content{&octet, 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof descriptors)> control{};
    msghdr message{};
    message.msg_iov = &content;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    auto* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof descriptors);
    std::memcpy(CMSG_DATA(header), descriptors.data(), sizeof descriptors);
    while (::sendmsg(socket, &message, MSG_NOSIGNAL) < 0)
        if (errno != EINTR) return system_error("handing a delivery over", errno);
    return {};
}

// Absent: the other side is gone, or sent something else.
std::optional<Descriptors> receive_descriptors(int socket) {
    char octet = 0;
    iovec content{&octet, 1};
    std::array<int, descriptor_count> descriptors{};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof descriptors)> control{};
    msghdr message{};
    message.msg_iov = &content;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    ssize_t count = -1;
    while ((count = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {
    }
    auto const* const header = count == 1 ? CMSG_FIRSTHDR(&message) : nullptr;
    if (header == nullptr || header->cmsg_type != SCM_RIGHTS ||
        header->cmsg_len != CMSG_LEN(sizeof descriptors))
        return std::nullopt;
    std::memcpy(descriptors.data(), CMSG_DATA(header), sizeof descriptors);
    return Descriptors{net::Descriptor(descriptors[0]), net::Descriptor(descriptors[1]),
                       net::Descriptor(descriptors[2])};
}

Result<net::Descriptor> memory_file(std::string_view text) {
    net::Descriptor file(::memfd_create("job", MFD_CLOEXEC));
    if (!file) return system_error("memfd_create", errno);
    if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        return system_error("writing a job", errno);
    return file;
}

std::string whole_file(int fd) {
    std::string out;
    std::array<char, 16384> buffer{};
    for (;;) {
        auto const count = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(out.size()));
        if (count <= 0) return out;
        out.append(buffer.data(), static_cast<std::size_t>(count));
    }
}

bool become_user(Plan const& plan) {
    if (::setgroups(0, nullptr) != 0 || ::setresgid(plan.gid, plan.gid, plan.gid) != 0 ||
        ::setresuid(plan.uid, plan.uid, plan.uid) != 0)
        return false;
    return ::setuid(0) != 0; // there must be no way back
}

// The child of one job.
int work(Depositor& depositor, Log& log, uid_t lowest_uid, Descriptors descriptors) {
    ::alarm(job_seconds);
    auto const job = decode_job(whole_file(descriptors.job.get()));
    if (!job || job->plans.empty()) return EXIT_FAILURE;
    auto const& first = job->plans.front();
    for (auto const& plan : job->plans)
        if (plan.uid != first.uid || plan.gid != first.gid || plan.uid < lowest_uid || plan.uid == 0) {
            log.error("lmtp({}): a job for uid {} gid {} is refused", plan.user, plan.uid, plan.gid);
            return EXIT_FAILURE;
        }
    if (!become_user(first)) {
        log.error("lmtp({}): cannot become uid {} gid {}: {}", first.user, first.uid, first.gid,
                  std::strerror(errno));
        return EXIT_FAILURE;
    }
    auto const tell = [&](Outcome const& outcome) {
        auto const text = encode_outcome(outcome);
        // Whoever waits is gone when this fails: then the copies are sent again, as after any lost
        // connection.
        [[maybe_unused]] auto const written = ::write(descriptors.answer.get(), text.data(), text.size());
    };
    if (job->check_only) {
        tell(depositor.refusal(first).value_or(Outcome{Outcome::Kind::saved, ""}));
    } else {
        auto const message = Spool::of_file(std::move(descriptors.message), job->size);
        depositor.deposit(message, job->plans, tell);
    }
    return EXIT_SUCCESS;
}

[[noreturn]] void serve(net::Descriptor jobs, Depositor& depositor, Log& log, uid_t lowest_uid) {
    ::prctl(PR_SET_NAME, "lmtp-broker");
    // The service manager signals every process; this one ends after the last job, when the socket closes.
    for (int const signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) std::signal(signal, SIG_IGN);
    std::signal(SIGCHLD, SIG_IGN); // children leave no zombies
    std::signal(SIGXFSZ, SIG_IGN);
    std::signal(SIGPIPE, SIG_IGN);
    while (auto descriptors = receive_descriptors(jobs.get())) {
        auto const child = ::fork();
        if (child == 0) {
            jobs.reset();
            int code = EXIT_FAILURE;
            try {
                code = work(depositor, log, lowest_uid, std::move(*descriptors));
            } catch (std::exception const& broken) {
                log.error("lmtp: a delivery ended by a failure of our own: {}", broken.what());
            }
            ::_exit(code);
        }
        if (child < 0) log.error("lmtp: no process for a delivery: {}", std::strerror(errno));
    }
    ::_exit(EXIT_SUCCESS);
}

// All that comes until the writer is gone; what was not said by then has failed.
std::string read_answer(int fd) {
    // A little longer than the child lives.
    auto const deadline = Deadline::after(std::chrono::seconds(job_seconds + 10));
    std::string out;
    std::array<char, 4096> buffer{};
    while (!deadline.expired()) {
        pollfd waiting{fd, POLLIN, 0};
        if (::poll(&waiting, 1, deadline.poll_timeout()) == 0) break;
        auto const count = ::read(fd, buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) break;
        out.append(buffer.data(), static_cast<std::size_t>(count));
    }
    return out;
}

} // namespace

Result<Broker> Broker::start(Depositor& depositor, Log& log, uid_t lowest_uid) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return system_error("socketpair", errno);
    net::Descriptor ours(ends[0]);
    net::Descriptor theirs(ends[1]);
    auto const child = ::fork();
    if (child < 0) return system_error("fork", errno);
    if (child == 0) {
        ours.reset();
        serve(std::move(theirs), depositor, log, lowest_uid);
    }
    return Broker(std::move(ours), child, log);
}

bool Broker::alive() const { return ::waitpid(process_, nullptr, WNOHANG) == 0; }

Result<std::vector<Outcome>> Broker::run(Job const& job, int message) {
    auto const text = memory_file(encode_job(job));
    if (!text) return std::unexpected(text.error());
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return system_error("pipe", errno);
    net::Descriptor const answer(ends[0]);
    net::Descriptor write_end(ends[1]);
    // A check has no message; its job stands in, so that there are always three.
    auto const sent =
        send_descriptors(jobs_.get(), {text->get(), message < 0 ? text->get() : message, write_end.get()});
    write_end.reset();
    if (!sent) return std::unexpected(sent.error());
    return decode_outcomes(read_answer(answer.get()), job.plans.size());
}

std::vector<Outcome> Broker::deposit(Spool& message, std::span<Plan const> plans) {
    auto const file = message.as_file();
    auto outcomes = file ? run({false, message.size(), {plans.begin(), plans.end()}}, *file)
                         : Result<std::vector<Outcome>>(std::unexpected(file.error()));
    if (outcomes) return std::move(*outcomes);
    log_->error("lmtp({})<{}>: {}", plans.front().user, plans.front().session_id, outcomes.error().text);
    return std::vector<Outcome>(plans.size());
}

std::optional<Outcome> Broker::refusal(Plan const& plan) {
    auto const outcomes = run({true, {}, {plan}}, -1);
    if (outcomes && outcomes->front().kind == Outcome::Kind::saved) return std::nullopt;
    if (outcomes) return outcomes->front();
    log_->error("lmtp({})<{}>: {}", plan.user, plan.session_id, outcomes.error().text);
    return Outcome{};
}

} // namespace postern::lmtp_deliver
