// How long the next login has to wait after wrong passwords.
#include "auth-socket/penalty.h"

#include "auth-socket/client_network.h"
#include "auth-socket/schemes/kinds.h"
#include "common/base/secret.h"
#include "common/base/text.h"

#include <algorithm>

namespace postern::auth_socket {

using std::chrono::milliseconds;

Penalties::Penalties(PenaltySettings settings, TimeSource now)
    : settings_(settings), now_(std::move(now)), salt_(settings_.shared ? std::string() : random_octets(16)) {
}

namespace {

std::string address_key(std::string_view address) {
    auto const network = client_network(address, penalty_prefix_bits);
    return network.empty() ? network : "a " + network;
}
std::string user_key(std::string_view user) { return user.empty() ? std::string() : "u " + to_lower(user); }

} // namespace

milliseconds Penalties::wait(std::string const& key, milliseconds longest) const {
    if (key.empty()) return milliseconds::zero();
    auto const at = entries_.find(key);
    if (at == entries_.end() || at->second.until <= now_()) return milliseconds::zero();
    // 0, 1, 2, 4 ... seconds after 1, 2, 3, 4 ... failures: a first typing mistake costs nothing more.
    if (at->second.failures < 2) return milliseconds::zero();
    auto const doubled = milliseconds(1000) * (1U << std::min(at->second.failures - 2, 6U));
    return std::min(longest, doubled);
}

milliseconds Penalties::delay(std::string_view address, std::string_view user) const {
    if (!settings_.enabled || !has_entries_) return milliseconds::zero();
    std::lock_guard const lock(mutex_);
    return std::max(wait(address_key(address), settings_.longest_per_address),
                    wait(user_key(user), settings_.longest_per_user));
}

void Penalties::count(std::string const& key, std::string_view user, std::optional<std::uint64_t> guess) {
    if (key.empty()) return;
    auto [at, fresh] = entries_.try_emplace(key);
    has_entries_ = true;
    auto& entry = at->second;
    if (!fresh) order_.erase(entry.position);
    entry.position = order_.insert(order_.end(), key);
    if (entry.until <= now_()) entry.failures = 0;
    entry.several = entry.failures != 0 && (entry.several || entry.user != user);
    entry.user = user;
    if (entry.failures == 0 || !guess || entry.last_guess != guess) ++entry.failures;
    entry.last_guess = guess;
    entry.until = now_() + settings_.forgotten_after;
    if (entries_.size() > settings_.entries) {
        entries_.erase(order_.front());
        order_.pop_front();
    }
}

// Dovecot's policy server is told as many bits of a wrong password, which is often nearly the right one.
constexpr std::uint64_t shared_bits = 0xfff;

std::uint64_t Penalties::guess_of(std::string_view user, std::string_view password) const {
    std::string text; // with room for all of it at once: a growing string would leave copies behind
    text.reserve(salt_.size() + user.size() + 1 + password.size());
    text.append(salt_).append(user).append(1, '\0').append(password);
    auto const hash = kinds::digest("SHA256", text);
    wipe(text);
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < 8; ++i) number = number << 8 | static_cast<unsigned char>(hash[i]);
    return settings_.shared ? number & shared_bits : number;
}

void Penalties::failed(std::string_view address, std::string_view user,
                       std::optional<std::string_view> password) {
    if (!settings_.enabled) return;
    PenaltyEvent event{std::string(address), std::string(user), {}, false};
    if (password) event.guess = guess_of(user, *password);
    apply(event);
    if (listener_) listener_(event);
}

void Penalties::succeeded(std::string_view address, std::string_view user) {
    if (!has_entries_ && !listener_) return;
    PenaltyEvent const event{std::string(address), std::string(user), {}, true};
    apply(event);
    if (listener_) listener_(event);
}

void Penalties::apply(PenaltyEvent const& event) {
    if (!settings_.enabled) return;
    std::lock_guard const lock(mutex_);
    if (event.succeeded) return forget(event.address, event.user);
    count(address_key(event.address), event.user, event.guess);
    count(user_key(event.user), event.user, event.guess);
}

void Penalties::forget(std::string_view address, std::string_view user) {
    for (auto const& key : {address_key(address), user_key(user)}) {
        auto const at = entries_.find(key);
        if (at == entries_.end() || at->second.several || at->second.user != user) continue;
        order_.erase(at->second.position);
        entries_.erase(at);
    }
    has_entries_ = !entries_.empty();
}

std::size_t Penalties::size() const {
    std::lock_guard const lock(mutex_);
    return entries_.size();
}

} // namespace postern::auth_socket
