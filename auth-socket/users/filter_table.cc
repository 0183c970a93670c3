// 2.4's filters, one function each.
#include "auth-socket/users/filter.h"

#include "auth-socket/protocol.h"
#include "auth-socket/users/modifiers.h"
#include "common/base/encoding.h"
#include "common/base/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <iterator>

namespace postern::auth_socket {

namespace {

inline constexpr std::size_t longest_value = 65536;
inline constexpr long long most_rounds = 10000;

using Filtered = Result<Value>;
Filtered text_value(std::string text) { return Value{std::move(text)}; }
Filtered failed(Error const& error) { return std::unexpected(error); }

Filtered lower_case(std::string const& input, Arguments const&) { return text_value(to_lower(input)); }
Filtered upper_case(std::string const& input, Arguments const&) { return text_value(to_upper(input)); }
Filtered reversed(std::string const& input, Arguments const&) {
    return text_value(std::string(input.rbegin(), input.rend()));
}
Filtered trimmed(std::string const& input, Arguments const&) { return text_value(std::string(trim(input))); }
Filtered username(std::string const& input, Arguments const&) {
    return text_value(input.substr(0, input.find('@')));
}
Filtered domain(std::string const& input, Arguments const&) {
    return text_value(input.contains('@') ? input.substr(input.find('@') + 1) : std::string());
}
Filtered ldap_dn(std::string const& input, Arguments const&) {
    return text_value(replace_all(input, ".", ",dc="));
}
Filtered as_text(std::string const& input, Arguments const&) { return text_value(input); }

Filtered concat(std::string const& input, Arguments const& arguments) {
    auto text = input;
    for (std::size_t i = 0; i < arguments.placed(); ++i) {
        auto const piece = arguments.text(i);
        if (!piece) return failed(piece.error());
        text += *piece;
    }
    return text_value(std::move(text));
}

Filtered literal(std::string const&, Arguments const& arguments) {
    auto text = arguments.text(0);
    return text ? text_value(std::move(*text)) : failed(text.error());
}

// The same for hexlify's width and lfill and rfill: no text grows without end.
Result<std::size_t> width(Result<long long> const& number) {
    if (!number) return std::unexpected(number.error());
    if (*number < 0 || static_cast<std::size_t>(*number) > longest_value)
        return permanent("a width out of bounds");
    return static_cast<std::size_t>(*number);
}

Filtered hexlify(std::string const& input, Arguments const& arguments) {
    auto hex = hex_encode(input);
    if (arguments.placed() == 0) return text_value(std::move(hex));
    auto const wanted = width(arguments.number(0));
    if (!wanted) return failed(wanted.error());
    if (*wanted > hex.size()) hex.insert(0, *wanted - hex.size(), '0');
    if (*wanted > 0) hex.resize(*wanted);
    return text_value(std::move(hex));
}

Filtered unhexlify(std::string const& input, Arguments const&) {
    auto octets = hex_decode(input);
    if (!octets) return temporary("not in hex");
    return Value{std::move(*octets), true};
}

Filtered filled(std::string const& input, Arguments const& arguments, bool left) {
    auto const wanted = width(arguments.number(0));
    if (!wanted) return failed(wanted.error());
    auto const filler = arguments.placed() > 1 ? arguments.text(1) : Result<std::string>("0");
    if (!filler) return failed(filler.error());
    if (filler->empty()) return permanent("nothing to fill with");
    auto text = input;
    while (text.size() < *wanted) text.insert(left ? 0 : text.size(), *filler);
    return text_value(std::move(text));
}
Filtered fill_left(std::string const& input, Arguments const& arguments) {
    return filled(input, arguments, true);
}
Filtered fill_right(std::string const& input, Arguments const& arguments) {
    return filled(input, arguments, false);
}

Filtered base64(std::string const& input, Arguments const& arguments) {
    auto const pad = arguments.named_number("pad", 1), url = arguments.named_number("url", 0);
    if (!pad || !url) return failed(pad ? url.error() : pad.error());
    auto text = base64_encode(input);
    if (*url != 0) text = replace_all(replace_all(text, "+", "-"), "/", "_");
    if (*pad == 0) text.resize(std::min(text.size(), text.find('=')));
    return text_value(std::move(text));
}

Filtered unbase64(std::string const& input, Arguments const& arguments) {
    auto const pad = arguments.named_number("pad", 1), url = arguments.named_number("url", 0);
    if (!pad || !url) return failed(pad ? url.error() : pad.error());
    auto text = *url != 0 ? replace_all(replace_all(input, "-", "+"), "_", "/") : input;
    if (*pad == 0) text.append((4 - text.size() % 4) % 4, '=');
    auto octets = base64_decode(text);
    if (!octets) return temporary("not in base64");
    return Value{std::move(*octets), true};
}

Filtered hex(std::string const& input, Arguments const& arguments) {
    auto const number = parse_number<std::uint64_t>(input);
    if (!number) return temporary("not a number");
    auto const given = arguments.placed() > 0 ? arguments.number(0) : Result<long long>(0);
    if (!given) return failed(given.error());
    auto const wanted = width(*given < 0 ? -*given : *given);
    if (!wanted) return failed(wanted.error());
    std::array<char, 16> digits{};
    auto const end = std::to_chars(digits.data(), digits.data() + digits.size(), *number, 16).ptr;
    std::string text(digits.data(), end);
    if (*given == 0) return text_value(std::move(text));
    auto const missing = *wanted - std::min(*wanted, text.size());
    text.insert(*given < 0 ? text.size() : 0, missing, '0');
    return text_value(*given < 0 ? text.substr(0, *wanted) : text.substr(text.size() - *wanted));
}

Filtered unhex(std::string const& input, Arguments const&) {
    auto const number = parse_number<std::uint64_t>(input, 16);
    if (!number) return temporary("not a number in hex");
    return text_value(std::to_string(*number));
}

Filtered substr(std::string const& input, Arguments const& arguments) {
    auto const size = static_cast<long long>(input.size());
    auto const offset = arguments.number(0);
    auto const length = arguments.placed() > 1 ? arguments.number(1) : Result<long long>(size);
    if (!offset || !length) return failed(offset ? length.error() : offset.error());
    if (*offset < -size || *offset > size) return temporary("substr: an offset out of bounds");
    auto const start = *offset < 0 ? size + *offset : *offset;
    auto const end = arguments.placed() < 2 ? size : *length < 0 ? size + *length : start + *length;
    if (end < start || end > size) return temporary("substr: a length out of bounds");
    return text_value(input.substr(static_cast<std::size_t>(start), static_cast<std::size_t>(end - start)));
}

Filtered truncate(std::string const& input, Arguments const& arguments) {
    auto const in_bits = arguments.has("bits");
    auto const given = in_bits ? arguments.named_number("bits", 0) : arguments.number(0);
    if (!given) return failed(given.error());
    if (*given < 0) return permanent("a length out of bounds");
    auto const octets = static_cast<std::size_t>(*given);
    auto text = input;
    if (in_bits)
        truncate_to_bits(text, octets);
    else
        text.resize(std::min(text.size(), octets));
    return text_value(std::move(text));
}

// Pieces between separators; negative: counted from the end.
Filtered index(std::string const& input, Arguments const& arguments) {
    auto const separator = arguments.text(0);
    auto const given = arguments.number(1);
    if (!separator || !given) return failed(separator ? given.error() : separator.error());
    if (separator->empty()) return permanent("index needs a separator");
    std::vector<std::string> pieces;
    std::size_t at = 0;
    for (auto end = input.find(*separator); end != std::string::npos; end = input.find(*separator, at)) {
        pieces.push_back(input.substr(at, end - at));
        at = end + separator->size();
    }
    pieces.push_back(input.substr(at));
    auto const size = static_cast<long long>(pieces.size());
    auto const place = *given < 0 ? size + *given : *given;
    if (place < 0 || place >= size) return temporary("index: a position out of bounds");
    return text_value(pieces[static_cast<std::size_t>(place)]);
}

// Fields of several values come with tabs between them.
Filtered list(std::string const& input, Arguments const& arguments) {
    auto const separator = arguments.placed() > 0 ? arguments.text(0) : Result<std::string>(",");
    if (!separator) return failed(separator.error());
    std::vector<std::string> pieces;
    for (auto const piece : split(input, '\t')) pieces.push_back(tab_unescape(piece));
    return text_value(join(pieces, *separator));
}

Filtered hashed(std::string const& input, std::string const& digest, Arguments const& arguments) {
    auto const rounds = arguments.named_number("rounds", 1);
    auto const salt = arguments.named("salt", "");
    if (!rounds || !salt) return failed(rounds ? salt.error() : rounds.error());
    auto text = input;
    for (auto left = std::clamp(*rounds, 1LL, most_rounds); left > 0; --left) {
        text.insert(0, *salt);
        text = digest_named(digest, text);
        if (text.empty()) return permanent("unknown hash " + printable(digest, 20));
    }
    return Value{std::move(text), true};
}
template <char const* name>
Filtered hash_filter(std::string const& input, Arguments const& arguments) {
    return hashed(input, name, arguments);
}
constexpr char md5_name[] = "md5", sha1_name[] = "sha1", sha256_name[] = "sha256", sha384_name[] = "sha384",
               sha512_name[] = "sha512";
Filtered hash(std::string const& input, Arguments const& arguments) {
    auto const digest = arguments.text(0);
    return digest ? hashed(input, *digest, arguments) : failed(digest.error());
}

// if('==', 1, 'yes', 'no') behind a value; with five arguments the first is the value.
Filtered conditional(std::string const& input, Arguments const& arguments) {
    auto const first = arguments.placed() == 5 ? 1U : 0U;
    auto const left = first == 1 ? arguments.text(0) : Result<std::string>(input);
    auto const relation = arguments.text(first), right = arguments.text(first + 1);
    for (auto const* each : {&left, &relation, &right})
        if (!*each) return failed(each->error());
    auto const holds = comparison(*left, *relation, *right);
    if (!holds) return failed(holds.error());
    auto chosen = arguments.text(first + (*holds ? 2 : 3));
    return chosen ? text_value(std::move(*chosen)) : failed(chosen.error());
}

Filtered regexp(std::string const& input, Arguments const& arguments) {
    auto const pattern = arguments.text(0), replacement = arguments.text(1);
    if (!pattern || !replacement) return failed(pattern ? replacement.error() : pattern.error());
    auto replaced = replaced_by_pattern(input, *pattern, *replacement);
    return replaced ? text_value(std::move(*replaced)) : failed(replaced.error());
}

using namespace std::string_view_literals;
constexpr std::initializer_list<std::string_view> hash_names{"rounds"sv, "salt"sv},
    base64_names{"pad"sv, "url"sv}, truncate_names{"bits"sv};

constexpr Filter filters[] = {
    {"lower", lower_case, 0, 0, {}, true, true},
    {"upper", upper_case, 0, 0, {}, true, true},
    {"username", username},
    {"domain", domain},
    {"reverse", reversed, 0, 0, {}, true, true},
    {"trim", trimmed},
    {"text", as_text},
    {"ldap_dn", ldap_dn, 0, 0, {}, true, true},
    {"substr", substr, 1, 2, {}, true, true},
    {"index", index, 2, 2},
    {"truncate", truncate, 0, 1, truncate_names, true, true},
    {"concat", concat, 1, 64, {}, false, true},
    {"literal", literal, 1, 1, {}, false},
    {"if", conditional, 4, 5, {}, false},
    {"regexp", regexp, 2, 2, {}, true, true},
    {"list", list, 0, 1},
    {"hex", hex, 0, 1},
    {"unhex", unhex},
    {"hexlify", hexlify, 0, 1},
    {"unhexlify", unhexlify},
    {"lfill", fill_left, 1, 2},
    {"rfill", fill_right, 1, 2},
    {"base64", base64, 0, 0, base64_names},
    {"unbase64", unbase64, 0, 0, base64_names},
    {"hash", hash, 1, 1, hash_names},
    {"md5", hash_filter<md5_name>, 0, 0, hash_names},
    {"sha1", hash_filter<sha1_name>, 0, 0, hash_names},
    {"sha256", hash_filter<sha256_name>, 0, 0, hash_names},
    {"sha384", hash_filter<sha384_name>, 0, 0, hash_names},
    {"sha512", hash_filter<sha512_name>, 0, 0, hash_names},
};

} // namespace

Filter const* find_filter(std::string_view name) {
    auto const* at = std::ranges::find(filters, name, &Filter::name);
    return at == std::end(filters) ? nullptr : at;
}

} // namespace postern::auth_socket
