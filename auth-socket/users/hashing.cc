// Passwords held against stored ones, and hashes to hold against where the user does not exist.
#include "auth-socket/users/hashing.h"

#include "auth-socket/schemes/kinds.h"
#include "common/base/encoding.h"
#include "common/base/secret.h"
#include "common/base/text.h"

#include <fstream>
#include <functional>

namespace postern::auth_socket {

namespace {

constexpr unsigned usual_iterations = 4096; // RFC 7677 section 4
constexpr std::size_t usual_salt_size = 16;
constexpr std::size_t invented_password_size = 16;

// machine-id(5): not to be shown to strangers, but what a keyed hash makes of it may be.
std::string machine_key() {
    std::string id;
    std::ifstream("/etc/machine-id") >> id;
    return id.empty() ? random_octets(32) : kinds::hmac("SHA256", id, "postern auth-socket salts");
}

char const* digest_of(std::string_view scram) { return scram == "SCRAM-SHA-1" ? "SHA1" : "SHA256"; }

bool is_scram(std::string_view scheme) { return scheme.starts_with("SCRAM-"); }

Credential invented_password() { return {"PLAIN", Secret(random_octets(invented_password_size))}; }

bool is_same(Credential const& a, Credential const& b) {
    return a.scheme == b.scheme && a.value.reveal() == b.value.reveal();
}

} // namespace

bool is_plaintext_scheme(std::string_view scheme) {
    return scheme == "PLAIN" || scheme == "CLEAR" || scheme == "CLEARTEXT";
}

Hashing::Hashing(std::size_t at_a_time, Metrics& metrics)
    : threads_(at_a_time, metrics.gauge("auth_hashes_waiting", "Passwords that wait to be hashed.")),
      slow_(metrics.counter("auth_hashes_total", "Passwords hashed.", "kind=\"slow\"")),
      quick_(metrics.counter("auth_hashes_total", "Passwords hashed.", "kind=\"quick\"")),
      key_(machine_key()) {}

Result<bool> Hashing::verify(Credential const& stored, PasswordAttempt const& attempt,
                             std::string_view turn) {
    auto const* scheme = find_scheme(stored.scheme);
    if (scheme == nullptr || !scheme->slow) {
        quick_.add(); // sessions and jobs wipe their stacks when they are done
        return verify_password(stored, attempt);
    }
    slow_.add();
    Result<bool> same = false;
    threads_.run(turn, [&] {
        same = verify_password(stored, attempt);
        wipe_stack_below();
    });
    return same;
}

std::size_t Hashing::place(std::string_view user) const {
    std::string text;
    text.reserve(key_.size() + user.size());
    return std::hash<std::string>{}(text.append(key_).append(user)) % places;
}

void Hashing::learn(std::string_view user, Credential const& stored) {
    auto const mine = place(user);
    std::unique_lock const lock(mutex_, std::try_to_lock);
    if (!lock) return; // another login teaches as well
    if (!examples_[mine] || !is_same(*examples_[mine], stored)) examples_[mine] = stored;
}

template <class Usable>
std::optional<Credential> Hashing::example(std::string_view user, Usable const& usable) const {
    auto const first = place(user);
    std::lock_guard const lock(mutex_);
    for (std::size_t i = 0; i < places; ++i)
        if (auto const& each = examples_[(first + i) % places]; each && usable(*each)) return each;
    return std::nullopt;
}

std::optional<Credential> Hashing::default_example(std::string_view scheme) {
    auto const name = halve(scheme, '.').before;
    std::lock_guard const lock(mutex_);
    if (!default_example_ || !equals_ignoring_case(default_example_->scheme, name)) {
        auto const password = hex_encode(random_octets(invented_password_size));
        auto const made = make_stored_password(name, {password, "nobody"}, {});
        auto read = made ? read_stored_password(*made, name) : Result<Credential>();
        if (!made || !read) return std::nullopt;
        default_example_ = std::move(*read);
    }
    return default_example_;
}

void Hashing::verify_nobody(std::string_view user, PasswordAttempt const& attempt,
                            std::string_view default_scheme, std::string_view turn) {
    auto stored = example(user, [](Credential const&) { return true; });
    if (!stored) stored = default_example(default_scheme);
    if (stored) (void)verify(*stored, attempt, turn);
}

std::string Hashing::salt(std::string_view scheme, std::string_view user, std::size_t size) const {
    std::string made;
    for (char round = '0'; made.size() < size && round <= '9'; ++round)
        made += kinds::hmac("SHA256", key_, std::string(scheme) + round + to_lower(user));
    return made.substr(0, size);
}

Credential Hashing::scram_of_plain(std::string_view scheme, std::string_view user, Credential const& plain,
                                   std::string_view turn) {
    slow_.add();
    Credential made{std::string(scheme), {}};
    threads_.run(turn, [&] {
        auto const keys = kinds::make_scram_keys(digest_of(scheme), plain.value.reveal(),
                                                 salt(scheme, user, usual_salt_size), usual_iterations);
        made.value = Secret(kinds::write_scram_keys(keys));
        wipe_stack_below();
    });
    return made;
}

Credential Hashing::secret_of_nobody(std::string_view scheme, std::string_view user, std::string_view turn) {
    if (!is_scram(scheme)) return invented_password();
    auto const similar = example(user, [scheme](Credential const& each) {
        return each.scheme == scheme || is_plaintext_scheme(each.scheme);
    });
    if (similar && is_plaintext_scheme(similar->scheme))
        return scram_of_plain(scheme, user, invented_password(), turn);
    auto keys = similar ? kinds::read_scram_keys(similar->value.reveal()) : std::nullopt;
    if (!keys) keys = kinds::ScramKeys{usual_iterations, std::string(usual_salt_size, '\0'), {}, {}};
    keys->salt = salt(scheme, user, keys->salt.size());
    keys->stored_key = random_octets(scheme == "SCRAM-SHA-1" ? 20 : 32);
    keys->server_key = random_octets(keys->stored_key.size());
    return {std::string(scheme), Secret(kinds::write_scram_keys(*keys))};
}

} // namespace postern::auth_socket
