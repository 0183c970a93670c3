// Wiping, comparing and making secrets.
#include "common/base/secret.h"

#include <string.h>
#include <sys/random.h>

#include <array>
#include <cerrno>
#include <stdexcept>
#include <utility>

namespace postern {

void wipe(std::string& text) {
    explicit_bzero(text.data(), text.capacity());
    text.clear();
}

void wipe(std::span<char> octets) { explicit_bzero(octets.data(), octets.size()); }

[[gnu::noinline]] void wipe_stack_below() {
    std::array<char, 16384> left; // NOLINT(cppcoreguidelines-pro-type-member-init): it is what was left
    wipe(left);
}

Secret::Secret(std::string&& text) : text_(text) { wipe(text); }

Secret::Secret(Secret&& other) noexcept : text_(std::move(other.text_)) { wipe(other.text_); }

Secret& Secret::operator=(Secret&& other) noexcept {
    if (this != &other) {
        wipe(text_);
        text_ = std::move(other.text_);
        wipe(other.text_);
    }
    return *this;
}

Secret& Secret::operator=(Secret const& other) {
    if (this != &other) {
        wipe(text_);
        text_ = other.text_;
    }
    return *this;
}

Secret::~Secret() { wipe(text_); }

bool equal_in_constant_time(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    unsigned difference = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        difference |=
            static_cast<unsigned>(static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]));
    return difference == 0;
}

std::string random_octets(std::size_t count) {
    std::string out(count, '\0');
    std::size_t got = 0;
    while (got < count) {
        auto const n = getrandom(out.data() + got, count - got, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw std::runtime_error("getrandom failed");
        got += static_cast<std::size_t>(n);
    }
    return out;
}

} // namespace postern
