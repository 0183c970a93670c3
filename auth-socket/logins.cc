// Finished logins that a mail process will ask about.
#include "auth-socket/logins.h"

#include "common/base/secret.h"

#include <limits>

namespace postern::auth_socket {

template <class Goes>
void Logins::erase_of_client(std::uint32_t client_pid, Goes goes) {
    auto at = kept_.lower_bound({client_pid, 0});
    auto const end = kept_.upper_bound({client_pid, std::numeric_limits<std::uint32_t>::max()});
    while (at != end) at = goes(*at) ? kept_.erase(at) : std::next(at);
}

void Logins::keep(std::string const& cookie, std::uint32_t id, FinishedLogin login) {
    std::lock_guard const lock(mutex_);
    auto const now = now_();
    auto const pid = login.request.client_pid;
    erase_of_client(pid, [&](auto const& each) {
        auto const& [key, kept] = each;
        return kept.until <= now || (key.id == id && kept.cookie == cookie);
    });
    kept_.emplace(Key{pid, id}, Kept{cookie, std::move(login), now + request_lifetime});
}

void Logins::forget(std::string_view cookie, std::uint32_t client_pid) {
    std::lock_guard const lock(mutex_);
    erase_of_client(client_pid, [cookie](auto const& each) { return each.second.cookie == cookie; });
}

std::optional<FinishedLogin> Logins::take(std::string_view cookie, std::uint32_t client_pid,
                                          std::uint32_t id) {
    std::lock_guard const lock(mutex_);
    auto const [first, last] = kept_.equal_range({client_pid, id});
    for (auto at = first; at != last; ++at) {
        if (!equal_in_constant_time(at->second.cookie, cookie)) continue;
        auto const kept = std::move(kept_.extract(at).mapped());
        if (kept.until <= now_()) return std::nullopt;
        return kept.login;
    }
    return std::nullopt;
}

std::size_t Logins::size() const {
    std::lock_guard const lock(mutex_);
    return kept_.size();
}

} // namespace postern::auth_socket
