// What may be done to a variable's value.
#include "auth-socket/users/modifiers.h"

#include "auth-socket/schemes/kinds.h"
#include "common/base/encoding.h"
#include "common/base/text.h"

#include <fmt/format.h>

#include <algorithm>

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

// "substr(0, 2)" -> {"substr", "0", "2"}; quotes around arguments go.
std::vector<std::string> filter_words(std::string_view filter) {
    auto const open = filter.find('(');
    std::vector<std::string> words{std::string(trim(filter.substr(0, open)))};
    if (open == std::string_view::npos) return words;
    auto arguments = trim(filter.substr(open + 1));
    if (arguments.ends_with(")")) arguments.remove_suffix(1);
    for (auto piece : split(arguments, ',')) {
        piece = trim(piece);
        if (piece.size() >= 2 && (piece[0] == '\'' || piece[0] == '"') && piece.back() == piece[0])
            piece = piece.substr(1, piece.size() - 2);
        words.emplace_back(piece);
    }
    return words;
}

Result<std::string> substring(std::string const& value, std::vector<std::string> const& words) {
    auto const start = words.size() > 1 ? parse_number<int>(words[1]) : std::nullopt;
    auto const size = words.size() > 2 ? parse_number<int>(words[2]) : std::optional<int>(0);
    if (!start || !size) return permanent("substr needs numbers");
    return formatted(value,
                     {.length = 0, .offset = *start, .width = *size, .zero_padded = false, .letters = {}});
}

Result<std::string> apply_filter(std::string value, std::vector<std::string> const& words) {
    auto const& name = words[0];
    auto const argument = words.size() > 1 ? words[1] : std::string();
    if (name == "lower") return to_lower(value);
    if (name == "upper") return to_upper(value);
    if (name == "username") return value.substr(0, value.find('@'));
    if (name == "domain") return value.contains('@') ? value.substr(value.find('@') + 1) : std::string();
    if (name == "reverse") return std::string(value.rbegin(), value.rend());
    if (name == "default") return value.empty() ? argument : value;
    if (name == "trim") return std::string(trim(value));
    if (name == "hexlify") return hex_encode(value);
    if (name == "base64") return base64_encode(value);
    if (name == "substr") return substring(value, words);
    if (name == "md5") return kinds::md5(value);
    if (name == "sha1" || name == "sha256" || name == "sha512")
        return kinds::digest(to_upper(name).c_str(), value);
    return permanent("unknown filter " + printable(name, 40));
}

} // namespace

Formatting read_formatting(std::string_view text) {
    Formatting found;
    std::size_t at = 0;
    auto const sign = [&] { return at < text.size() && text[at] == '-' ? (++at, -1) : 1; };
    auto direction = sign();
    found.zero_padded = at < text.size() && text[at] == '0';
    auto number = direction * read_digits(text, at);
    if (at < text.size() && text[at] == '.') {
        ++at;
        found.offset = number;
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
    auto const [head, variable] = halve_at_last(text, ':');
    if (!variable) return std::nullopt;
    auto const [digest, options] = halve(head, ';');
    HashVariable hash{to_lower(digest), "", std::string(*variable)};
    for (auto const option : split_words(options.value_or(""), ",;")) {
        auto const [name, value] = halve(option, '=');
        if (name == "rounds") hash.rounds = parse_number<unsigned>(value.value_or("")).value_or(1);
        if (name == "salt") hash.salt = value.value_or("");
        if (name == "truncate")
            hash.truncate_bits = parse_number<std::size_t>(value.value_or("")).value_or(0);
    }
    hash.rounds = std::clamp(hash.rounds, 1U, most_hash_rounds);
    return hash;
}

Result<std::string> hash_value(HashVariable const& hash, std::string const& value) {
    auto raw = hash.salt + value;
    for (unsigned i = 0; i < hash.rounds; ++i) {
        if (hash.digest == "md5")
            raw = kinds::md5(raw);
        else if (hash.digest == "md4")
            raw = kinds::md4(raw);
        else
            raw = kinds::digest(to_upper(hash.digest).c_str(), raw);
        if (raw.empty()) return permanent("unknown hash " + printable(hash.digest, 40));
    }
    if (hash.truncate_bits > 0 && hash.truncate_bits < 8 * raw.size()) {
        raw.resize((hash.truncate_bits + 7) / 8);
        if (auto const rest = hash.truncate_bits % 8)
            raw.back() = static_cast<char>(static_cast<unsigned char>(raw.back()) >> (8 - rest));
    }
    return hex_encode(raw);
}

Result<std::string> filtered(std::string value, std::span<std::string_view const> filters) {
    for (auto const filter : filters) {
        auto next = apply_filter(std::move(value), filter_words(filter));
        if (!next) return next;
        value = std::move(*next);
    }
    return value;
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

Result<bool> comparison(std::string const& left, std::string_view relation, std::string const& right) {
    auto const a = parse_number<long long>(left), b = parse_number<long long>(right);
    auto const numbers = [&](bool holds) -> Result<bool> {
        // Empty variables are what the check of the configuration has: there is nothing wrong with those.
        if ((!a && !left.empty()) || (!b && !right.empty())) return permanent("%{if}: not a number");
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
    return permanent("%{if}: unknown operator " + printable(relation, 20));
}

} // namespace postern::auth_socket
