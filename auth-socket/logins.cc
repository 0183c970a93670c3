// Finished logins that a mail process will ask about.
#include "auth-socket/logins.h"

namespace postern::auth_socket {

void Logins::keep(std::string const& cookie, std::uint32_t id, FinishedLogin login) {
    std::lock_guard const lock(mutex_);
    auto& mine = kept_[cookie];
    auto const now = now_();
    std::erase_if(mine, [now](auto const& each) { return each.second.until <= now; });
    mine.insert_or_assign(id, Kept{std::move(login), now + request_lifetime});
}

void Logins::forget(std::string const& cookie) {
    std::lock_guard const lock(mutex_);
    kept_.erase(cookie);
}

std::optional<FinishedLogin> Logins::take(std::string const& cookie, std::uint32_t client_pid,
                                          std::uint32_t id) {
    std::lock_guard const lock(mutex_);
    auto const mine = kept_.find(cookie);
    if (mine == kept_.end()) return std::nullopt;
    auto const at = mine->second.find(id);
    if (at == mine->second.end() || at->second.login.request.client_pid != client_pid) return std::nullopt;
    auto kept = std::move(at->second);
    mine->second.erase(at);
    if (kept.until <= now_()) return std::nullopt;
    return std::move(kept.login);
}

std::size_t Logins::size() const {
    std::lock_guard const lock(mutex_);
    std::size_t count = 0;
    for (auto const& [cookie, logins] : kept_) count += logins.size();
    return count;
}

} // namespace postern::auth_socket
