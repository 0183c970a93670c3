// How long the next login from an address, or for a user, has to wait after wrong passwords.
#pragma once

#include "auth-socket/logins.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace postern::auth_socket {

// Postfix gives up on an answer after 10 s; a refusal is told before, however long its delays add up to.
inline constexpr std::chrono::seconds answer_limit{9};

struct PenaltySettings {
    bool enabled = true;
    // The longest wait before a request is worked on. With the failure delay behind it (2 s by default) it
    // stays below the 10 s for which Postfix waits.
    std::chrono::milliseconds longest_per_address{6000};
    std::chrono::milliseconds longest_per_user{2000};
    std::chrono::seconds forgotten_after{60};
    std::size_t entries = 50000; // beyond it the one unused longest goes
    // Guesses are compared between machines: by a hash that is the same on all of them, and too short to find
    // the password by.
    bool shared = false;
};

// What one machine tells the others.
struct PenaltyEvent {
    std::string address, user;
    std::optional<std::uint64_t> guess; // of a shared hash; absent: of a challenge
    bool succeeded = false;
    bool operator==(PenaltyEvent const&) const = default;
};

// Thread-safe.
class Penalties {
  public:
    Penalties(PenaltySettings settings, TimeSource now);

    // IPv6 addresses count by /48. Requests without an address share no bucket: they come from the machine
    // itself, and one mistyped password would hold up all of them. user: as Authority::account() has it, the
    // same in all three calls.
    std::chrono::milliseconds delay(std::string_view address, std::string_view user) const;
    // A wrong password. The same wrong password for the same user again (a mail program that retries) does
    // not count twice. Absent: the answer to a challenge, of which no two are alike.
    void failed(std::string_view address, std::string_view user, std::optional<std::string_view> password);
    // Forgets the user's failures, and the address's where all of them were this user's: somebody with an
    // account of his own could otherwise clear his address between two guesses at another's.
    void succeeded(std::string_view address, std::string_view user);
    // Called with each event of this machine, and told to nobody where it came from apply(). To be set before
    // there are threads.
    void tell(std::function<void(PenaltyEvent const&)> listener) { listener_ = std::move(listener); }
    void apply(PenaltyEvent const& event);
    std::size_t size() const;

  private:
    struct Entry {
        unsigned failures = 0;
        std::optional<std::uint64_t> last_guess; // keyed hash of user and password
        std::string user;                        // whose password was wrong
        bool several = false; // users: a login of one of them does not clear what the others count
        Deadline::Clock::time_point until;
        std::list<std::string>::iterator position;
    };
    std::chrono::milliseconds wait(std::string const& key, std::chrono::milliseconds longest) const;
    std::uint64_t guess_of(std::string_view user, std::string_view password) const;
    void count(std::string const& key, std::string_view user, std::optional<std::uint64_t> guess);
    void forget(std::string_view address, std::string_view user);

    PenaltySettings const settings_;
    TimeSource now_;
    std::string salt_; // none where guesses are shared
    std::function<void(PenaltyEvent const&)> listener_;
    std::atomic<bool> has_entries_{false}; // most of the time there are none
    mutable std::mutex mutex_;             // guards entries_ and order_
    std::map<std::string, Entry, std::less<>> entries_;
    std::list<std::string> order_; // keys, the one used last at the end
};

} // namespace postern::auth_socket
