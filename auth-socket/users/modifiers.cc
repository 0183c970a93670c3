// What may be done to a variable's value.
#include "auth-socket/users/modifiers.h"

#include "auth-socket/schemes/kinds.h"
#include "common/base/encoding.h"
#include "common/base/text.h"

#include <fmt/format.h>

#include <regex.h>

#include <algorithm>
#include <array>
#include <memory>

namespace postern::auth_socket {

namespace {

inline constexpr int widest = 4096;
inline constexpr unsigned most_hash_rounds = 10000;

int read_digits(std::string_view text, std::size_t& at) {
    int number = 0;
    while (at < text.size() && is_digit(text[at]))
        number = std::min(number * 10 + (text[at++] - '0'), widest);
    return number;
}

std::string padded_hex(std::uint64_t value, Formatting& formatting) {
    if (formatting.width > 0) value %= static_cast<std::uint64_t>(formatting.width);
    auto text = fmt::format("{:x}", static_cast<std::uint32_t>(value));
    while (formatting.offset > 0 && text.size() < static_cast<std::size_t>(formatting.offset))
        text.insert(0, "0");
    formatting.width = formatting.offset = 0;
    return text;
}

// The hash of the System V object format.
std::uint32_t elf_hash(std::string_view text) {
    std::uint32_t hash = 0;
    for (char const c : text) {
        hash = (hash << 4) + static_cast<unsigned char>(c);
        if (auto const high = hash & 0xf0000000U) hash ^= high >> 24 ^ high;
    }
    return hash;
}

std::uint64_t md5_number(std::string_view text) {
    std::uint64_t number = 0;
    for (char const c : kinds::md5(text).substr(0, 8)) number = number << 8 | static_cast<unsigned char>(c);
    return number;
}

std::string escaped(std::string_view text) {
    std::string out;
    for (char const c : text) {
        if (c == '"' || c == '\'' || c == '\\') out += '\\';
        out += c;
    }
    return out;
}

std::string apply_letter(char letter, std::string value, Formatting& formatting) {
    switch (letter) {
    case 'L': return to_lower(value);
    case 'U': return to_upper(value);
    case 'E': return escaped(value);
    case 'X': return fmt::format("{:x}", parse_number<std::uint64_t>(value).value_or(0));
    case 'R': return {value.rbegin(), value.rend()};
    case 'N': return padded_hex(md5_number(value), formatting);
    case 'H': return padded_hex(elf_hash(value), formatting);
    case 'M': return hex_encode(kinds::md5(value));
    case 'D': return replace_all(value, ".", ",dc=");
    case 'T': return std::string(trim(value));
    default: return value;
    }
}

} // namespace

Formatting read_formatting(std::string_view text) {
    Formatting found;
    std::size_t at = 0;
    auto const sign = [&] { return at < text.size() && text[at] == '-' ? (++at, -1) : 1; };
    auto direction = sign(); // a width alone has none, as in Dovecot
    found.zero_padded = at < text.size() && text[at] == '0';
    auto number = read_digits(text, at);
    if (at < text.size() && text[at] == '.') {
        ++at;
        found.offset = direction * number;
        direction = sign();
        found.zero_padded = at < text.size() && text[at] == '0';
        number = direction * read_digits(text, at);
    }
    found.width = number;
    while (at < text.size() && std::string_view("LUEXRNHMDT").contains(text[at])) found.letters += text[at++];
    found.length = at;
    return found;
}

std::string formatted(std::string value, Formatting formatting) {
    for (char const letter : formatting.letters) value = apply_letter(letter, std::move(value), formatting);
    auto const size = static_cast<int>(value.size());
    auto const start =
        formatting.offset >= 0 ? std::min(formatting.offset, size) : std::max(0, size + formatting.offset);
    value.erase(0, static_cast<std::size_t>(start));
    auto const left = static_cast<int>(value.size());
    if (formatting.width == 0) return value;
    auto const wanted = formatting.width > 0 ? formatting.width : std::max(0, left + formatting.width);
    if (wanted < left) value.resize(static_cast<std::size_t>(wanted));
    if (formatting.zero_padded && wanted > left)
        value.insert(0, static_cast<std::size_t>(wanted - left), '0');
    return value;
}

std::optional<HashVariable> hash_variable(std::string_view text) {
    auto const [head, variable] = halve(text, ':');
    if (!variable) return std::nullopt;
    auto const [digest, options] = halve(head, ';');
    HashVariable hash{to_lower(digest), "", "hex", std::string(*variable)};
    for (auto const option : split_words(options.value_or(""), ",;")) {
        auto const [name, value] = halve(option, '=');
        if (name == "rounds") hash.rounds = parse_number<unsigned>(value.value_or("")).value_or(1);
        if (name == "salt") hash.salt = value.value_or("");
        if (name == "format") hash.format = value.value_or("");
        if (name == "truncate")
            hash.truncate_bits = parse_number<std::size_t>(value.value_or("")).value_or(0);
    }
    hash.rounds = std::clamp(hash.rounds, 1U, most_hash_rounds);
    return hash;
}

std::string digest_named(std::string_view name, std::string_view text) {
    if (name == "md5") return kinds::md5(text);
    if (name == "md4") return kinds::md4(text);
    return kinds::digest(to_upper(name).c_str(), text);
}

void truncate_to_bits(std::string& octets, std::size_t bits) {
    if (bits >= 8 * octets.size()) return;
    octets.resize((bits + 7) / 8);
    if (auto const rest = bits % 8; rest > 0) { // Dovecot shifts the whole to the right
        unsigned carry = 0;
        for (auto& c : octets) {
            auto const octet = static_cast<unsigned char>(c);
            c = static_cast<char>(octet >> (8 - rest) | carry);
            carry = octet << rest & 0xffU;
        }
    }
}

Result<std::string> hash_value(HashVariable const& hash, std::string const& value) {
    auto raw = value;
    for (unsigned i = 0; i < hash.rounds; ++i) {
        raw.insert(0, hash.salt);
        raw = digest_named(hash.digest, raw);
        if (raw.empty()) return permanent("unknown hash " + printable(hash.digest, 40));
    }
    if (hash.truncate_bits > 0) truncate_to_bits(raw, hash.truncate_bits);
    if (hash.format.starts_with("hex")) return hex_encode(raw);
    if (hash.format == "base64") return base64_encode(raw);
    return permanent("unknown format " + printable(hash.format, 20));
}

bool matches_wildcard(std::string_view text, std::string_view pattern) {
    std::size_t t = 0, p = 0, star = std::string_view::npos, mark = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            mark = t;
        } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
            ++p;
            ++t;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            t = ++mark;
        } else {
            return false;
        }
    }
    return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

namespace {

struct FreePattern {
    void operator()(regex_t* pattern) const {
        regfree(pattern);
        delete pattern; // NOLINT(cppcoreguidelines-owning-memory)
    }
};

// POSIX' extended regular expressions, as Dovecot 2.3 takes them.
Result<std::unique_ptr<regex_t, FreePattern>> compiled(std::string const& pattern) {
    auto compiled = std::make_unique<regex_t>();
    if (auto const error = regcomp(compiled.get(), pattern.c_str(), REG_EXTENDED); error != 0) {
        std::array<char, 128> text{};
        regerror(error, compiled.get(), text.data(), text.size());
        return permanent(std::string("the pattern: ") + text.data());
    }
    return std::unique_ptr<regex_t, FreePattern>(compiled.release());
}

using Groups = std::array<regmatch_t, 10>;

Result<bool> matches_pattern(std::string const& text, std::string const& pattern) {
    auto const ready = compiled(pattern);
    if (!ready) return std::unexpected(ready.error());
    return regexec(ready->get(), text.c_str(), 0, nullptr, 0) == 0;
}

} // namespace

Result<std::string> replaced_by_pattern(std::string const& text, std::string const& pattern,
                                        std::string_view replacement) {
    auto const ready = compiled(pattern);
    if (!ready) return std::unexpected(ready.error());
    Groups groups{};
    if (regexec(ready->get(), text.c_str(), groups.size(), groups.data(), 0) != 0) return text;
    std::string result;
    for (std::size_t i = 0; i < replacement.size(); ++i) {
        auto const c = replacement[i];
        if ((c != '\\' && c != '$') || i + 1 == replacement.size() || !is_digit(replacement[i + 1])) {
            result += c;
            continue;
        }
        auto const& group = groups.at(static_cast<std::size_t>(replacement[++i] - '0'));
        if (group.rm_so < 0) return temporary("the pattern has no such group");
        result.append(text, static_cast<std::size_t>(group.rm_so),
                      static_cast<std::size_t>(group.rm_eo - group.rm_so));
    }
    return result;
}

Result<bool> comparison(std::string const& left, std::string_view relation, std::string const& right) {
    auto const a = parse_number<long long>(left), b = parse_number<long long>(right);
    auto const numbers = [&](bool holds) -> Result<bool> {
        if (!a || !b) return temporary("%{if}: not a number");
        return holds;
    };
    auto const x = a.value_or(0), y = b.value_or(0);
    if (relation == "==") return numbers(x == y);
    if (relation == "!=") return numbers(x != y);
    if (relation == "<") return numbers(x < y);
    if (relation == "<=") return numbers(x <= y);
    if (relation == ">") return numbers(x > y);
    if (relation == ">=") return numbers(x >= y);
    if (relation == "eq") return left == right;
    if (relation == "ne") return left != right;
    if (relation == "lt") return left < right;
    if (relation == "le") return left <= right;
    if (relation == "gt") return left > right;
    if (relation == "ge") return left >= right;
    if (relation == "*") return matches_wildcard(left, right);
    if (relation == "!*") return !matches_wildcard(left, right);
    if (relation == "~") return matches_pattern(left, right);
    if (relation == "!~") {
        auto const matches = matches_pattern(left, right);
        if (!matches) return matches;
        return !*matches;
    }
    return permanent("%{if}: unknown operator " + printable(relation, 20));
}

} // namespace postern::auth_socket
