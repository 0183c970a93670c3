// Passwords held against stored ones: a bounded number of slow hashes at a time, addresses taking turns, and
// hashes to hold against where the user does not exist.
#pragma once

#include "auth-socket/fair_threads.h"
#include "auth-socket/request.h"
#include "auth-socket/schemes/scheme.h"
#include "common/base/metrics.h"

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace postern::auth_socket {

// PLAIN and its aliases: what every mechanism can work with.
bool is_plaintext_scheme(std::string_view scheme);

// Thread-safe; one per process, so that a reload does not forget what the users' hashes look like.
class Hashing {
  public:
    Hashing(std::size_t at_a_time, Metrics& metrics);

    // Holds a password against a stored one. turn: Request::turn(), who waits with whom.
    Result<bool> verify(Credential const& stored, PasswordAttempt const& attempt, std::string_view turn);
    // What is stored for a user who exists, as verify() or a challenge met it.
    void learn(std::string_view user, Credential const& stored);
    // The work that verify() would be for a user who does not exist, or whose row has nothing to hold
    // against. It is that of one of the users met before, always of the same one for a name; before any was
    // met, of the scheme that the configuration has for passwords without one.
    void verify_nobody(std::string_view user, PasswordAttempt const& attempt, std::string_view default_scheme,
                       std::string_view turn);

    // A password in plain text as SCRAM has it (RFC 5802), with a salt that stays the same for a name.
    Credential scram_of_plain(std::string_view scheme, std::string_view user, Credential const& plain,
                              std::string_view turn);
    // For a challenge to somebody who does not exist: nobody knows its password, and to the client it looks,
    // each time, as a user's of this house would.
    Credential secret_of_nobody(std::string_view scheme, std::string_view user, std::string_view turn);

    // Slow hashes computed so far. Tests count work by it, not time.
    std::uint64_t slow_hashes() const { return slow_.value(); }
    std::size_t waiting() const { return threads_.waiting(); }

  private:
    // Each user has one place, so that nobody decides by logging in often what others are measured by.
    static constexpr std::size_t places = 64;
    std::size_t place(std::string_view user) const;
    std::string salt(std::string_view scheme, std::string_view user, std::size_t size) const;
    template <class Usable>
    std::optional<Credential> example(std::string_view user, Usable const& usable) const;
    std::optional<Credential> default_example(std::string_view scheme);

    FairThreads threads_;
    Counter& slow_;
    Counter& quick_;
    std::string const key_;    // of this machine: salts are the same after a restart
    mutable std::mutex mutex_; // guards all below
    std::array<std::optional<Credential>, places> examples_;
    std::optional<Credential> default_example_;
};

} // namespace postern::auth_socket
