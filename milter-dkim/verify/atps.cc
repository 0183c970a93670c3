// Hashes the signer's name and asks below the author's domain.
#include "milter-dkim/verify/atps.h"

#include "common/base/text.h"
#include "milter-dkim/message/canonical.h"
#include "milter-dkim/tables/txt_lookup.h"

#include <openssl/evp.h>

namespace postern::milter_dkim {

namespace {

constexpr std::string_view record_text = "v=ATPS1";

std::string sha1(std::string_view text) {
    std::string digest(20, '\0');
    EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(digest.data()), nullptr, EVP_sha1(),
               nullptr);
    return digest;
}

// RFC 4648 6. OpenDKIM asks for the padding too.
std::string base32(std::string_view octets) {
    static constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    std::string out;
    unsigned bits = 0;
    int count = 0;
    for (char const c : octets) {
        bits = (bits << 8 | static_cast<unsigned char>(c)) & 0xfffU;
        for (count += 8; count >= 5; count -= 5) out += letters[bits >> (count - 5) & 31U];
    }
    if (count > 0) out += letters[bits << (5 - count) & 31U];
    while (out.size() % 8 != 0) out += '=';
    return out;
}

bool is_good(SignatureResult const& result) { return result.kind == SignatureResult::Kind::pass; }

bool is_author(SignatureResult const& result, std::string_view domain) {
    return equals_ignoring_case(result.domain, domain);
}

Atps ask(Configuration const& configuration, dns::Resolver& resolver, std::string const& name) {
    auto const records = txt_records(configuration, resolver, name);
    if (!records || records->size() > 1) return Atps::neutral;
    return !records->empty() && records->front() == record_text ? Atps::pass : Atps::fail;
}

} // namespace

std::string_view to_string(Atps result) {
    switch (result) {
    case Atps::neutral: return "neutral";
    case Atps::fail: return "fail";
    case Atps::pass: return "pass";
    }
    return "neutral";
}

std::string atps_name(std::string_view signer, std::string_view hash, std::string_view author) {
    std::string label;
    if (equals_ignoring_case(hash, "sha256"))
        label = base32(sha256(signer));
    else if (equals_ignoring_case(hash, "sha1"))
        label = base32(sha1(signer));
    else if (equals_ignoring_case(hash, "none"))
        label = signer;
    else
        return {};
    return label + "._atps." + std::string(author);
}

Atps check_atps(Configuration const& configuration, dns::Resolver& resolver, VerifiedMessage const& message) {
    auto found = Atps::neutral;
    if (message.sender_domain.empty()) return found;
    for (auto const& result : message.results)
        if (is_good(result) && is_author(result, message.sender_domain)) return found;
    for (std::size_t i = 0; i < message.results.size() && found != Atps::pass; ++i) {
        auto const& field = *message.signatures[i];
        if (!is_good(message.results[i]) || !equals_ignoring_case(field.tag("atps"), message.sender_domain))
            continue;
        auto const name = atps_name(message.results[i].domain, field.tag("atpsh"), message.sender_domain);
        if (!name.empty()) found = ask(configuration, resolver, name);
    }
    return found;
}

} // namespace postern::milter_dkim
