// Base64 and hexadecimal.
#include "common/base/encoding.h"

#include "common/base/secret.h"

#include <array>
#include <cstdint>

namespace postern {

namespace {

constexpr std::string_view base64_alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view hex_alphabet = "0123456789abcdef";

constexpr std::array<std::int8_t, 256> base64_values = [] {
    std::array<std::int8_t, 256> values{};
    values.fill(-1);
    for (std::size_t i = 0; i < base64_alphabet.size(); ++i)
        values[static_cast<unsigned char>(base64_alphabet[i])] = static_cast<std::int8_t>(i);
    return values;
}();

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

std::uint32_t octet(char c) { return static_cast<unsigned char>(c); }

} // namespace

std::string base64_encode(std::string_view octets) {
    std::string out;
    out.reserve((octets.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < octets.size(); i += 3) {
        auto const left = octets.size() - i;
        std::uint32_t const group = octet(octets[i]) << 16 | (left > 1 ? octet(octets[i + 1]) << 8 : 0) |
                                    (left > 2 ? octet(octets[i + 2]) : 0);
        out += base64_alphabet[group >> 18];
        out += base64_alphabet[group >> 12 & 63];
        out += left > 1 ? base64_alphabet[group >> 6 & 63] : '=';
        out += left > 2 ? base64_alphabet[group & 63] : '=';
    }
    return out;
}

std::optional<std::string> base64_decode(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;
    std::size_t padding = 0;
    while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
    text.remove_suffix(padding);
    std::string out;
    out.reserve(text.size() / 4 * 3 + 2);
    std::uint32_t group = 0;
    unsigned bits = 0;
    for (char const c : text) {
        auto const value = base64_values[static_cast<unsigned char>(c)];
        if (value < 0) return std::nullopt;
        group = group << 6 | static_cast<std::uint32_t>(value);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out += static_cast<char>(group >> bits & 0xff);
        }
    }
    if ((group & ((1U << bits) - 1)) != 0) return std::nullopt; // RFC 4648 3.5: unused bits are zero
    return out;
}

std::string base64url_encode(std::string_view octets) {
    auto text = base64_encode(octets);
    while (text.ends_with('=')) text.pop_back();
    for (char& c : text) c = c == '+' ? '-' : c == '/' ? '_' : c;
    return text;
}

std::optional<std::string> base64url_decode(std::string_view text) {
    if (text.find_first_of("+/=") != std::string_view::npos) return std::nullopt;
    std::string plain;
    plain.reserve(text.size() + 3);
    for (char const c : text) plain += c == '-' ? '+' : c == '_' ? '/' : c;
    while (plain.size() % 4 != 0) plain += '=';
    auto octets = base64_decode(plain);
    wipe(plain); // a token's signature, or a key
    return octets;
}

std::string hex_encode(std::string_view octets) {
    std::string out;
    out.reserve(octets.size() * 2);
    for (char const c : octets) {
        out += hex_alphabet[octet(c) >> 4];
        out += hex_alphabet[octet(c) & 15];
    }
    return out;
}

std::optional<std::string> hex_decode(std::string_view text) {
    if (text.size() % 2 != 0) return std::nullopt;
    std::string out;
    out.reserve(text.size() / 2);
    for (std::size_t i = 0; i < text.size(); i += 2) {
        int const high = hex_value(text[i]);
        int const low = hex_value(text[i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        out += static_cast<char>(high << 4 | low);
    }
    return out;
}

} // namespace postern
