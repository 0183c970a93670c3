// The helper process: started before the privileges go, asked over a socket pair.
#include "auth-socket/helper/helper.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace postern::auth_socket {

namespace {

struct Pair {
    net::Descriptor ours, theirs;
};

Result<Pair> socket_pair() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return system_error("socketpair", errno);
    return Pair{net::Descriptor(ends[0]), net::Descriptor(ends[1])};
}

// A descriptor goes along with the octets (SCM_RIGHTS, unix(7)).
union ControlBuffer {
    cmsghdr header;
    std::array<char, CMSG_SPACE(sizeof(int))> octets;
};

bool send_with_descriptor(int socket, std::string& message, int descriptor) {
    ControlBuffer control{};
    iovec part{message.data(), message.size()};
    msghdr packet{};
    packet.msg_iov = &part;
    packet.msg_iovlen = 1;
    packet.msg_control = control.octets.data();
    packet.msg_controllen = control.octets.size();
    auto* header = CMSG_FIRSTHDR(&packet);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    return ::sendmsg(socket, &packet, MSG_NOSIGNAL | MSG_DONTWAIT) == static_cast<ssize_t>(message.size());
}

struct Received {
    std::string message; // empty: the other side has gone
    net::Descriptor reply;
};

Received receive_with_descriptor(int socket) {
    ControlBuffer control{};
    std::string buffer(helper_message_limit, '\0');
    iovec part{buffer.data(), buffer.size()};
    msghdr packet{};
    packet.msg_iov = &part;
    packet.msg_iovlen = 1;
    packet.msg_control = control.octets.data();
    packet.msg_controllen = control.octets.size();
    auto const size = ::recvmsg(socket, &packet, MSG_CMSG_CLOEXEC);
    if (size <= 0) return {};
    Received received;
    auto const* header = CMSG_FIRSTHDR(&packet);
    if (header != nullptr && header->cmsg_type == SCM_RIGHTS) {
        int descriptor = -1;
        std::memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
        received.reply.reset(descriptor);
    }
    received.message = buffer.substr(0, static_cast<std::size_t>(size));
    wipe(buffer);
    return received;
}

void send_answer(int socket, HelperAnswer const& answer) {
    auto const message = encode_answer(answer);
    (void)::send(socket, message.data(), message.size(), MSG_NOSIGNAL);
}

} // namespace

void Helper::serve(int control) {
    ::prctl(PR_SET_NAME, "auth-helper");
    for (auto const number : {SIGTERM, SIGINT, SIGHUP}) ::signal(number, SIG_IGN); // ends with its daemon
    ::signal(SIGCHLD, SIG_DFL);
    int children = 0;
    while (true) {
        auto received = receive_with_descriptor(control);
        while (children > 0 && ::waitpid(-1, nullptr, children < helper_children_limit ? WNOHANG : 0) > 0)
            --children;
        if (received.message.empty()) ::_exit(0);
        auto const question = decode_question(received.message);
        wipe(received.message);
        if (!question || !received.reply) continue;
        auto const child = ::fork();
        if (child == 0) {
            ::close(control);
            for (auto const number : {SIGTERM, SIGINT}) ::signal(number, SIG_DFL);
            ::alarm(60); // a module that hangs does not stay for ever
            send_answer(received.reply.get(), answer_question(*question));
            ::_exit(0);
        }
        if (child < 0)
            send_answer(received.reply.get(), {HelperVerdict::temporary, "fork failed"});
        else
            ++children;
    }
}

Result<> Helper::start() {
    auto pair = socket_pair();
    if (!pair) return std::unexpected(std::move(pair.error()));
    pid_ = ::fork();
    if (pid_ < 0) return system_error("fork", errno);
    if (pid_ == 0) {
        pair->ours.reset();
        serve(pair->theirs.release());
    }
    control_ = std::move(pair->ours);
    return {};
}

Helper::~Helper() {
    control_.reset();
    if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
}

Result<HelperAnswer> Helper::ask(HelperQuestion const& question, Deadline deadline) const {
    if (!started())
        return temporary("PAM and shadow need a restart after the configuration names them first");
    auto pair = socket_pair();
    if (!pair) return std::unexpected(std::move(pair.error()));
    auto message = encode_question(question);
    if (message.size() > helper_message_limit || std::string_view(question.user).contains('\0') ||
        question.password.reveal().contains('\0')) {
        wipe(message);
        return HelperAnswer{HelperVerdict::no, "too long, or with a NUL"};
    }
    bool sent = false;
    {
        std::lock_guard const lock(control_mutex_);
        sent = send_with_descriptor(control_.get(), message, pair->theirs.get());
    }
    wipe(message);
    if (!sent) return system_error("asking the helper process", errno);
    pair->theirs.reset();
    pollfd waiting{pair->ours.get(), POLLIN, 0};
    while (::poll(&waiting, 1, deadline.poll_timeout()) <= 0)
        if (deadline.expired()) return temporary("the helper process did not answer in time");
    std::array<char, helper_message_limit> answer{};
    auto const size = ::recv(pair->ours.get(), answer.data(), answer.size(), 0);
    return decode_answer({answer.data(), size > 0 ? static_cast<std::size_t>(size) : 0});
}

} // namespace postern::auth_socket
