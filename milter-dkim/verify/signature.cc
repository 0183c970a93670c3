// Tag values of a DKIM-Signature, and whether they can hold at all.
#include "milter-dkim/verify/signature.h"

#include "common/base/encoding.h"
#include "common/base/text.h"
#include "common/mail/domain.h"

#include <algorithm>

namespace postern::milter_dkim {

namespace {

std::optional<std::string> octets_of(SignatureField const& field, std::string_view tag) {
    std::string packed;
    for (char const c : field.tag(tag))
        if (!is_space(c)) packed += c;
    return packed.empty() ? std::nullopt : base64_decode(packed);
}

Result<> read_algorithm(SignatureField const& field, Signature& to) {
    auto const name = to_lower(field.tag("a"));
    if (name == to_string(Algorithm::rsa_sha256))
        to.algorithm = Algorithm::rsa_sha256;
    else if (name == to_string(Algorithm::ed25519_sha256))
        to.algorithm = Algorithm::ed25519_sha256;
    else if (name != "rsa-sha1")
        return malformed("signature algorithm invalid");
    return {};
}

std::optional<CanonicalForm> form_of(std::string_view name) {
    if (equals_ignoring_case(name, "simple")) return CanonicalForm::simple;
    if (equals_ignoring_case(name, "relaxed")) return CanonicalForm::relaxed;
    return std::nullopt;
}

Result<> read_canonicalization(SignatureField const& field, Signature& to) {
    auto const value = field.tags.find("c");
    if (!value) return {};
    auto const halves = halve(*value, '/');
    auto const header = form_of(halves.before);
    auto const body = form_of(halves.after.value_or("simple"));
    if (!header) return malformed("invalid header canonicalization");
    if (!body) return malformed("invalid body canonicalization");
    to.canonicalization = {*header, *body};
    return {};
}

Result<> read_identity(SignatureField const& field, Signature& to) {
    auto const value = field.tags.find("i");
    if (!value) return {};
    auto const domain = halve_at_last(*value, '@').after;
    if (!domain || !mail::is_at_or_below(to_lower(*domain), to_lower(to.domain)))
        return malformed("invalid domain coverage");
    to.in_subdomain = !equals_ignoring_case(*domain, to.domain);
    return {};
}

Result<> read_fields(SignatureField const& field, Signature& to) {
    auto const value = field.tag("h");
    for (auto const name : split(value, ':')) to.fields.emplace_back(trim(name));
    if (value.empty()) return malformed("header list tag empty");
    // RFC 6376 5.4: From must be there.
    if (std::ranges::none_of(to.fields, [](auto const& name) { return equals_ignoring_case(name, "From"); }))
        return malformed("header list missing required entries");
    return {};
}

Result<> read_hashes(SignatureField const& field, Signature& to) {
    auto const body_hash = octets_of(field, "bh");
    if (!body_hash) return malformed("body hash corrupt");
    auto const value = octets_of(field, "b");
    if (!value) return malformed("signature data corrupt");
    to.body_hash = *body_hash;
    to.value = *value;
    to.body_length = parse_number<std::uint64_t>(field.tag("l"));
    return {};
}

// RFC 6376 3.5: the one way to ask for keys; others may be named beside it.
Result<> check_query(SignatureField const& field) {
    auto const value = field.tags.find("q");
    if (!value) return {};
    for (auto const method : split(*value, ':'))
        if (auto const name = to_lower(trim(method)); name == "dns/txt" || name == "dns") return {};
    return malformed("query method invalid");
}

Result<> check_times(SignatureField const& field, std::int64_t now, std::uint64_t drift) {
    auto const made = parse_number<std::uint64_t>(field.tag("t"));
    auto const ends = parse_number<std::uint64_t>(field.tag("x"));
    auto const seconds = static_cast<std::uint64_t>(std::max<std::int64_t>(now, 0));
    if (made && ends && *ends < *made) return malformed("signature timestamp order error");
    if (made && *made > seconds + drift) return malformed("signature timestamp in the future");
    if (ends && *ends + drift < seconds) return malformed("signature expired");
    return {};
}

} // namespace

Result<Signature> Signature::parse(SignatureField const& field, std::int64_t now, std::uint64_t drift) {
    Signature out;
    out.domain = field.tag("d");
    out.selector = field.tag("s");
    for (auto* read : {read_algorithm, read_canonicalization, read_identity, read_fields, read_hashes})
        if (auto good = read(field, out); !good) return std::unexpected(std::move(good.error()));
    if (auto good = check_query(field); !good) return std::unexpected(std::move(good.error()));
    if (auto good = check_times(field, now, drift); !good) return std::unexpected(std::move(good.error()));
    return out;
}

} // namespace postern::milter_dkim
