// Replaces %variables.
#include "lmtp-deliver/variables.h"

#include "common/base/encoding.h"
#include "common/base/text.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace postern::lmtp_deliver {

namespace {

// What stands between '%' and the name.
struct Modifiers {
    int offset = 0; // negative: from the end
    int width = 0;
    bool zeros = false;
    std::string letters;
};

Result<std::string> digest(std::string_view name, std::string_view text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> octets{};
    unsigned size = 0;
    auto const* type = EVP_get_digestbyname(std::string(name).c_str());
    if (type == nullptr || EVP_Digest(text.data(), text.size(), octets.data(), &size, type, nullptr) != 1)
        return temporary(fmt::format("no hash is called {}", printable(name)));
    return std::string(reinterpret_cast<char const*>(octets.data()), size);
}

// The PJW hash that Dovecot spreads directories with.
std::uint32_t old_hash(std::string_view text) {
    std::uint32_t h = 0;
    for (char const c : text) {
        h = (h << 4) + static_cast<unsigned char>(c);
        if (auto const high = h & 0xf0000000U; high != 0) h = (h ^ high >> 24) ^ high;
    }
    return h;
}

std::string padded_hex(std::uint64_t value, Modifiers& modifiers) {
    if (modifiers.width > 0) value %= static_cast<std::uint64_t>(modifiers.width);
    auto out = fmt::format("{:x}", static_cast<std::uint32_t>(value));
    auto const wanted = static_cast<std::size_t>(std::clamp(modifiers.offset, 0, 64));
    if (out.size() < wanted) out.insert(0, wanted - out.size(), '0');
    modifiers.offset = modifiers.width = 0; // used up
    return out;
}

Result<std::string> modified(char letter, std::string text, Modifiers& modifiers) {
    switch (letter) {
    case 'L': return to_lower(text);
    case 'U': return to_upper(text);
    case 'T': return std::string(trim(text));
    case 'R': return std::string(text.rbegin(), text.rend());
    case 'D': return replace_all(text, ".", ",dc=");
    case 'E': return replace_all(replace_all(replace_all(text, "\\", "\\\\"), "\"", "\\\""), "'", "\\'");
    case 'X': return fmt::format("{:x}", parse_number<std::uint64_t>(text).value_or(0));
    case 'H': return padded_hex(old_hash(text), modifiers);
    default: break;
    }
    auto const md5 = digest("md5", text); // M and N
    if (!md5) return md5;
    if (letter == 'M') return hex_encode(*md5);
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < 8; ++i) value = value << 8 | static_cast<unsigned char>((*md5)[i]);
    return padded_hex(value, modifiers);
}

std::string cut(std::string text, Modifiers const& modifiers) {
    auto const size = static_cast<int>(text.size());
    auto const start =
        modifiers.offset < 0 ? std::max(0, size + modifiers.offset) : std::min(modifiers.offset, size);
    text.erase(0, static_cast<std::size_t>(start));
    auto const width = static_cast<std::size_t>(std::abs(modifiers.width));
    if (width == 0) return text;
    if (text.size() < width && modifiers.zeros) text.insert(0, width - text.size(), '0');
    return text.substr(0, width);
}

class Expander {
  public:
    Expander(std::string_view text, VariableValues const& values) : text_(text), values_(values) {}
    Result<std::string> run();

  private:
    Result<std::string> variable();
    Modifiers modifiers();
    int number();
    Result<std::string> named(std::string_view name) const;
    Result<std::string> hashed(std::string_view function, std::string_view field) const;
    template <class T>
    static Result<std::string> present(std::optional<T> const& value, std::string_view name);

    std::string_view text_;
    VariableValues const& values_;
};

template <class T>
Result<std::string> Expander::present(std::optional<T> const& value, std::string_view name) {
    if (!value) return temporary(fmt::format("the user has no {}", name));
    return fmt::format("{}", *value);
}

Result<std::string> Expander::named(std::string_view name) const {
    auto const [local, domain] = halve(values_.user, '@');
    if (name == "u" || name == "user" || name == "auth_user" || name == "login_user") return values_.user;
    if (name == "n" || name == "username" || name == "auth_username") return std::string(local);
    if (name == "d" || name == "domain" || name == "auth_domain") return std::string(domain.value_or(""));
    if (name == "h" || name == "home") return present(values_.home, "home");
    if (name == "i" || name == "uid") return present(values_.uid, "uid");
    if (name == "gid") return present(values_.gid, "gid");
    if (name == "s" || name == "service") return values_.service;
    if (name == "l" || name == "lip") return values_.local_address;
    if (name == "r" || name == "rip") return values_.remote_address;
    if (name == "p" || name == "pid") return fmt::format("{}", ::getpid());
    if (name == "hostname") return values_.hostname;
    if (auto const [function, field] = halve(name, ':'); field) return hashed(function, *field);
    return temporary(fmt::format("unknown variable %{}", printable(name)));
}

// "sha256;truncate=8:user"
Result<std::string> Expander::hashed(std::string_view function, std::string_view field) const {
    auto const [name, options] = halve(function, ';');
    auto const value = named(field);
    if (!value) return value;
    auto octets = digest(name, *value);
    if (!octets) return octets;
    if (!options) return hex_encode(*octets);
    constexpr std::string_view truncate = "truncate=";
    auto const bits = options->starts_with(truncate)
                          ? parse_number<unsigned>(options->substr(truncate.size()))
                          : std::nullopt;
    if (!bits || *bits % 8 != 0) return temporary(fmt::format("unknown hash option {}", printable(*options)));
    return hex_encode(octets->substr(0, *bits / 8));
}

int Expander::number() {
    bool const negative = text_.starts_with('-');
    if (negative) text_.remove_prefix(1);
    auto const digits = text_.substr(0, text_.find_first_not_of("0123456789"));
    text_.remove_prefix(digits.size());
    auto const value = std::min(parse_number<int>(digits).value_or(0), 4096);
    return negative ? -value : value;
}

Modifiers Expander::modifiers() {
    Modifiers out;
    out.zeros = text_.starts_with('0');
    out.width = number();
    if (text_.starts_with('.')) {
        text_.remove_prefix(1);
        out.offset = out.width;
        out.zeros = text_.starts_with('0');
        out.width = number();
    }
    while (!text_.empty() && std::string_view("LUEXHRDMNT").contains(text_.front())) {
        out.letters += text_.front();
        text_.remove_prefix(1);
    }
    return out;
}

Result<std::string> Expander::variable() {
    auto how = modifiers();
    std::string_view name = text_.substr(0, 1);
    if (text_.starts_with('{')) {
        auto const end = text_.find('}');
        if (end == std::string_view::npos) return temporary("a variable has no closing brace");
        name = text_.substr(1, end - 1);
        text_.remove_prefix(end + 1);
    } else {
        text_.remove_prefix(name.size());
    }
    auto value = named(name);
    for (char const letter : how.letters)
        if (value) value = modified(letter, std::move(*value), how);
    if (!value) return value;
    return cut(std::move(*value), how);
}

Result<std::string> Expander::run() {
    std::string out;
    while (!text_.empty()) {
        auto const plain = text_.substr(0, text_.find('%'));
        out += plain;
        text_.remove_prefix(plain.size());
        if (text_.empty()) break;
        text_.remove_prefix(1);
        if (text_.starts_with('%')) {
            out += '%';
            text_.remove_prefix(1);
            continue;
        }
        auto value = variable();
        if (!value) return value;
        out += *value;
    }
    return out;
}

} // namespace

Result<std::string> expand_variables(std::string_view text, VariableValues const& values) {
    return Expander(text, values).run();
}

} // namespace postern::lmtp_deliver
