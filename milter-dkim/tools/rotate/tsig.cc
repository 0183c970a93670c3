// Signing and checking with OpenSSL's HMAC.
#include "milter-dkim/tools/rotate/tsig.h"

#include "common/base/encoding.h"
#include "common/base/text.h"
#include "common/config/settings.h"
#include "milter-dkim/tools/key_record.h"
#include "milter-dkim/tools/rotate/dns_message.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <cstdlib>
#include <vector>

namespace postern::milter_dkim::tools {

namespace {

constexpr std::size_t fudge = 300;         // seconds, RFC 8945 10
constexpr std::size_t additionals_at = 10; // where the header counts them
constexpr std::size_t largest_secret = 512;

EVP_MD const* digest_of(std::string_view algorithm) {
    if (algorithm == "hmac-sha256") return EVP_sha256();
    if (algorithm == "hmac-sha384") return EVP_sha384();
    if (algorithm == "hmac-sha512") return EVP_sha512();
    return nullptr;
}

std::string hmac(TsigKey const& key, std::string_view text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
    unsigned size = 0;
    auto const secret = key.secret.reveal();
    HMAC(digest_of(key.algorithm), secret.data(), static_cast<int>(secret.size()),
         reinterpret_cast<unsigned char const*>(text.data()), text.size(), mac.data(), &size);
    return {reinterpret_cast<char const*>(mac.data()), size};
}

// What stands in a TSIG record beside the MAC.
struct Stamp {
    std::int64_t time = 0; // 48 bits
    std::size_t allowed = fudge;
    std::size_t error = 0;
    std::string other;
};

void append_time(std::string& out, Stamp const& stamp) {
    append_u16(out, static_cast<std::size_t>(stamp.time >> 32) & 0xffff);
    append_u32(out, static_cast<std::uint32_t>(stamp.time & 0xffffffff));
    append_u16(out, stamp.allowed);
}

// RFC 8945 4.3.3: the TSIG variables.
std::string variables(TsigKey const& key, Stamp const& stamp) {
    std::string out;
    append_name(out, key.name);
    append_u16(out, static_cast<std::size_t>(DnsClass::any));
    append_u32(out, 0);
    append_name(out, key.algorithm);
    append_time(out, stamp);
    append_u16(out, stamp.error);
    append_u16(out, stamp.other.size());
    return out + stamp.other;
}

struct Signature {
    std::string algorithm;
    std::string mac;
    Stamp stamp;
    std::uint16_t original_id = 0;
};

// The algorithm's name stands uncompressed (RFC 8945 4.2).
bool take_name(std::string_view& rest, std::string& name) {
    for (;;) {
        if (rest.empty()) return false;
        std::size_t const size = static_cast<unsigned char>(rest[0]);
        if (size > 63 || rest.size() < size + 1) return false;
        if (size != 0 && !name.empty()) name += '.';
        name += to_lower(rest.substr(1, size));
        rest.remove_prefix(size + 1);
        if (size == 0) return true;
    }
}

bool take(std::string_view& rest, std::size_t size, std::string& out) {
    if (rest.size() < size) return false;
    out = rest.substr(0, size);
    rest.remove_prefix(size);
    return true;
}

Result<Signature> decode_signature(std::string_view data) {
    constexpr std::size_t fixed = 10; // time, fudge, size of the MAC
    Signature found;
    std::string numbers;
    if (!take_name(data, found.algorithm) || !take(data, fixed, numbers)) return malformed("a garbled TSIG");
    for (std::size_t at = 0; at < 6; at += 2)
        found.stamp.time = found.stamp.time << 16 | read_u16(numbers, at);
    found.stamp.allowed = read_u16(numbers, 6);
    if (!take(data, read_u16(numbers, 8), found.mac) || !take(data, 6, numbers))
        return malformed("a garbled TSIG");
    found.original_id = read_u16(numbers, 0);
    found.stamp.error = read_u16(numbers, 2);
    if (!take(data, read_u16(numbers, 4), found.stamp.other) || !data.empty())
        return malformed("a garbled TSIG");
    return found;
}

// The word behind another one, without quotes and final semicolon.
std::string value_behind(std::vector<std::string_view> const& words, std::string_view name) {
    for (std::size_t i = 0; i + 1 < words.size(); ++i)
        if (words[i] == name) return std::string(words[i + 1]);
    return {};
}

Result<TsigKey> make_key(std::string_view algorithm, std::string_view name, std::string_view base64) {
    TsigKey key{to_lower(name), to_lower(algorithm), {}};
    if (key.name.ends_with('.')) key.name.pop_back();
    if (auto good = check_domain(key.name); !good) return std::unexpected(good.error());
    if (digest_of(key.algorithm) == nullptr)
        return permanent(fmt::format("unknown TSIG algorithm \"{}\"; hmac-sha256, hmac-sha384 or hmac-sha512",
                                     printable(algorithm)));
    auto secret = base64_decode(base64);
    if (!secret || secret->empty() || secret->size() > largest_secret)
        return permanent("the secret of the TSIG key is no base64 of 1 to 512 octets");
    key.secret = Secret(std::move(*secret));
    return key;
}

} // namespace

Result<TsigKey> parse_tsig_key(std::string_view text) {
    auto const parts = split(trim(text), ':');
    if (parts.size() == 2) return make_key("hmac-sha256", parts[0], parts[1]);
    if (parts.size() == 3) return make_key(parts[0], parts[1], parts[2]);
    return permanent("a TSIG key is written as algorithm:name:base64");
}

Result<TsigKey> read_tsig_key(std::string const& path) {
    auto text = config::read_file(path);
    if (!text) return std::unexpected(text.error());
    std::string bare;
    for (auto const line : split(*text, '\n')) {
        auto const kept = line.substr(0, std::min(line.find("//"), line.starts_with('#') ? 0 : line.size()));
        bare += std::string(kept) + '\n';
    }
    auto const words = split_words(bare, " \t\r\n\"{};");
    auto key = words.size() == 1 ? parse_tsig_key(words[0])
                                 : make_key(value_behind(words, "algorithm"), value_behind(words, "key"),
                                            value_behind(words, "secret"));
    wipe(bare);
    wipe(*text);
    if (!key) return std::unexpected(std::move(key.error()).within(path));
    return key;
}

SignedMessage sign_tsig(std::string message, TsigKey const& key, std::int64_t now) {
    Stamp const stamp{now, fudge, 0, {}};
    auto mac = hmac(key, message + variables(key, stamp));
    std::string data;
    append_name(data, key.algorithm);
    append_time(data, stamp);
    append_u16(data, mac.size());
    data += mac;
    append_u16(data, read_u16(message, 0)); // the original id
    append_u16(data, 0);                    // no error
    append_u16(data, 0);                    // no other data
    append_name(message, key.name);
    append_u16(message, static_cast<std::size_t>(DnsType::tsig));
    append_u16(message, static_cast<std::size_t>(DnsClass::any));
    append_u32(message, 0);
    append_u16(message, data.size());
    message += data;
    write_u16(message, additionals_at, static_cast<std::uint16_t>(read_u16(message, additionals_at) + 1));
    return {std::move(message), std::move(mac)};
}

Result<> verify_tsig(std::string_view response, TsigKey const& key, std::string_view request_mac,
                     std::int64_t now) {
    auto const message = decode_dns_message(response);
    if (!message) return std::unexpected(message.error());
    if (message->additionals.empty() || message->additionals.back().type != DnsType::tsig)
        return malformed("the answer is not signed");
    auto const& record = message->additionals.back();
    auto const found = decode_signature(record.data);
    if (!found) return std::unexpected(found.error());
    if (found->stamp.error != 0)
        return permanent(fmt::format("the server refuses the TSIG key {}: {}", key.name,
                                     rcode_name(static_cast<unsigned>(found->stamp.error))));
    // RFC 8945 4.3.1 and 5.3: the request's MAC, then the message as it was before it was signed.
    std::string text;
    append_u16(text, request_mac.size());
    text += request_mac;
    std::string unsigned_message(response.substr(0, record.offset));
    write_u16(unsigned_message, 0, found->original_id);
    write_u16(unsigned_message, additionals_at,
              static_cast<std::uint16_t>(read_u16(unsigned_message, additionals_at) - 1));
    text += unsigned_message + variables(key, found->stamp);
    bool const same_key = equals_ignoring_case(record.name, key.name) && found->algorithm == key.algorithm;
    if (!same_key || !equal_in_constant_time(hmac(key, text), found->mac))
        return malformed("the answer's TSIG is wrong");
    if (std::abs(now - found->stamp.time) > static_cast<std::int64_t>(found->stamp.allowed))
        return malformed("the answer's TSIG is not of this time");
    return {};
}

} // namespace postern::milter_dkim::tools
