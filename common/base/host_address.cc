// A thread of its own asks; who waits for it goes on at the deadline, and the thread ends by itself.
#include "common/base/host_address.h"

#include <netdb.h>
#include <sys/socket.h>

#include <array>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

namespace postern {

namespace {

struct Lookup {
    std::mutex mutex; // guards answer
    std::condition_variable answered;
    std::optional<Result<std::string>> answer;
};

Result<std::string> first_address(std::string const& host, int flags) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags;
    addrinfo* found = nullptr;
    if (int const error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found); error != 0)
        return temporary(host + ": " + ::gai_strerror(error));
    std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> const list(found, &::freeaddrinfo);
    std::array<char, NI_MAXHOST> text{};
    if (int const error = ::getnameinfo(found->ai_addr, found->ai_addrlen, text.data(), text.size(), nullptr,
                                        0, NI_NUMERICHOST);
        error != 0)
        return temporary(host + ": " + ::gai_strerror(error));
    return std::string(text.data());
}

} // namespace

Result<std::string> host_address(std::string const& host, Deadline deadline) {
    if (auto const digits = first_address(host, AI_NUMERICHOST)) return *digits;
    auto const lookup = std::make_shared<Lookup>();
    std::thread([lookup, host] {
        auto answer = first_address(host, 0);
        std::lock_guard const lock(lookup->mutex);
        lookup->answer = std::move(answer);
        lookup->answered.notify_all();
    }).detach();
    std::unique_lock lock(lookup->mutex);
    auto const in_time =
        lookup->answered.wait_until(lock, deadline.point(), [&] { return lookup->answer.has_value(); });
    if (!in_time) return temporary(host + ": no address in time");
    return *lookup->answer;
}

} // namespace postern
