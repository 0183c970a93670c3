// Chooses signatures, hashes what they cover, asks for their keys and judges them.
#include "milter-dkim/verify/verifier.h"

#include "common/base/text.h"
#include "common/mail/domain.h"
#include "milter-dkim/message/sender.h"
#include "milter-dkim/results/signature_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <utility>

namespace postern::milter_dkim {

namespace {

using Kind = SignatureResult::Kind;

constexpr std::size_t header_b_length = 8; // RFC 6008: at least
constexpr std::size_t max_verified = 100;  // with MaximumSignaturesToVerify 0
constexpr std::string_view bad_signature = "signature verification failed";

void say(SignatureResult& result, Kind kind, std::string reason, std::string why = {}) {
    result.kind = kind;
    result.reason = std::move(reason);
    result.why = std::move(why);
}

// MustBeSigned: fields that are there must be in h=.
bool leaves_out_required(Signature const& signature, Configuration const& configuration,
                         HeaderList const& headers) {
    return std::ranges::any_of(configuration.must_be_signed, [&](std::string const& required) {
        auto const is_it = [&](std::string_view name) { return equals_ignoring_case(name, required); };
        return find_header(headers, required) != nullptr && std::ranges::none_of(signature.fields, is_it);
    });
}

// Minimum; unset nothing may be left uncovered.
bool covers_enough(SignatureResult const& result, std::optional<MinimumCoverage> const& minimum) {
    if (!minimum || result.body_length <= 0) return false;
    auto const covered = static_cast<std::uint64_t>(result.covered);
    auto const length = static_cast<std::uint64_t>(result.body_length);
    switch (minimum->kind) {
    case MinimumCoverage::Kind::octets: return covered >= std::min(minimum->amount, length);
    case MinimumCoverage::Kind::percent: return covered * 100 / length >= minimum->amount;
    case MinimumCoverage::Kind::uncovered: return length - covered <= minimum->amount;
    }
    return false;
}

} // namespace

Verifier::Verifier(Configuration const& configuration, dns::Resolver& resolver, HeaderList const& headers,
                   std::string sender_domain, std::int64_t now)
    : configuration_(configuration), headers_(headers), now_(now), bodies_(configuration.settings.fix_crlf),
      records_(configuration, resolver) {
    for (auto const& [name, value] : headers_)
        if (equals_ignoring_case(name, signature_name))
            fields_.push_back({&value, SignatureField::read(value), std::nullopt, 0, {}, {}});
    for (auto& field : fields_) field.text = field.read.signature();
    choose(sender_domain);
}

// The author's domain first, then the others, or only those trusted, up to the configured number; with 0 all
// of the author's and those trusted.
void Verifier::choose(std::string const& sender_domain) {
    auto const configured = static_cast<std::size_t>(configuration_.settings.maximum_signatures_to_verify);
    auto left = configured == 0 ? max_verified : configured;
    auto const choose_those = [&](auto const& wanted) {
        for (auto& field : fields_) {
            if (left == 0) return;
            if (!field.read.error.empty() || !field.fault.empty() || field.signature ||
                !wanted(to_lower(field.read.tag("d"))))
                continue;
            take(field);
            if (field.signature) --left;
        }
    };
    choose_those([&](std::string const& domain) {
        return !sender_domain.empty() && mail::is_at_or_below(sender_domain, domain);
    });
    auto const* trusted = configuration_.trust_signatures_from.get();
    choose_those([&](std::string const& domain) {
        if (trusted == nullptr) return configured != 0;
        return trusted->contains(domain).value_or(false);
    });
}

void Verifier::take(Field& field) {
    auto signature = Signature::parse(field.read, now_, configuration_.settings.clock_drift);
    if (!signature) {
        field.fault = signature.error().text;
        return;
    }
    field.body = bodies_.of(*signature);
    field.signature = std::move(*signature);
}

bool Verifier::body(std::string_view chunk) {
    bodies_.add(chunk);
    return !bodies_.empty();
}

std::vector<SignatureResult> Verifier::finish() {
    bodies_.finish();
    if (!bodies_.empty()) header_ = field_texts(headers_);
    std::vector<SignatureResult> results;
    results.reserve(fields_.size());
    for (auto const& field : fields_) results.push_back(result_of(field));
    conclude(results);
    return results;
}

void Verifier::measure(Field const& field, SignatureResult& result) const {
    auto const& hash = bodies_[field.body].hash;
    result.body_length = static_cast<std::int64_t>(hash.canonical_length());
    result.covered = static_cast<std::int64_t>(hash.hashed());
    if (field.signature->body_length) result.limit = static_cast<std::int64_t>(*field.signature->body_length);
}

void Verifier::judge_verified(Field const& field, SignatureResult& result) const {
    auto const& settings = configuration_.settings;
    if (leaves_out_required(*field.signature, configuration_, headers_))
        return say(result, Kind::policy, "mandatory header not signed");
    if (result.covered < result.body_length) {
        result.tolerated = covers_enough(result, settings.minimum);
        return say(result, Kind::policy, "signature does not cover the whole body");
    }
    bool const unprotected = result.dnssec == "unprotected";
    if (unprotected && settings.unprotected_key == KeyHandling::fail)
        return say(result, Kind::policy, {}, "the key is not protected by DNSSEC (UnprotectedKey)");
    result.tolerated = unprotected && settings.unprotected_key == KeyHandling::neutral;
    if (result.tolerated)
        return say(result, Kind::neutral, {}, "the key is not protected by DNSSEC (UnprotectedKey)");
    say(result, Kind::pass, {});
}

void Verifier::judge_with(PublicKey const& key, Field const& field, SignatureResult& result) {
    auto const& signature = *field.signature;
    auto const& body = bodies_[field.body];
    test_key_ = test_key_ || key.testing();
    result.key_bits = key.bits();
    if (key.only_domain() && signature.in_subdomain)
        return say(result, Kind::permerror, {}, "the key may not sign for subdomains (t=s)");
    if (key.bits() != 0 && key.bits() < configuration_.settings.minimum_key_bits)
        return say(result, Kind::policy, "signing key too small");
    auto const form = signature.canonicalization.header;
    auto const text = hashed_header(form, signature.fields, header_) +
                      canonical_field(form, "DKIM-Signature:" + with_crlf(without_signature(*field.value)));
    auto const verified = key.verifies(text, signature.value);
    if (!verified) {
        failed_ = true;
        trouble_ = verified.error().text;
        return say(result, Kind::temperror, {}, trouble_);
    }
    if (!*verified)
        return say(
            result, Kind::fail, std::string(bad_signature),
            "the header fields that it signs, or itself, were changed, or it was made with another key");
    if (body.length && *body.length > body.hash.canonical_length())
        return say(result, Kind::fail, "length tag value exceeds body size");
    result.body_hash = body.digest == signature.body_hash ? 0 : 1;
    if (result.body_hash != 0)
        return say(result, Kind::fail, std::string(bad_signature), "the body was changed");
    judge_verified(field, result);
}

void Verifier::judge(Field const& field, SignatureResult& result) {
    if (!field.read.error.empty()) return say(result, Kind::permerror, {}, field.read.error);
    if (!field.fault.empty()) return say(result, Kind::permerror, {}, field.fault);
    if (!field.signature) return say(result, Kind::neutral, {}, "not among those that are verified");
    // RFC 8301: SHA-1 says nothing any more.
    if (!field.signature->algorithm) return say(result, Kind::policy, "rsa-sha1 is not accepted");
    auto const& record = records_.of(*field.signature);
    if (record.unreachable) trouble_ = record.fault;
    result.dnssec = record.dnssec;
    auto const bogus = configuration_.settings.bogus_key;
    result.tolerated = record.bogus && bogus == KeyHandling::neutral;
    if (result.tolerated) return say(result, Kind::neutral, {}, record.fault);
    if (record.bogus && bogus == KeyHandling::fail) return say(result, Kind::policy, "key is bogus");
    if (record.unreachable) return say(result, Kind::temperror, {}, record.fault);
    // OpenDKIM's word for it; RFC 8601 would have permerror.
    if (record.absent) {
        key_absent_ = true;
        return say(result, Kind::fail, "key not found in DNS", record.fault);
    }
    if (!record.fault.empty()) return say(result, Kind::permerror, {}, record.fault);
    result.record = record.text;
    auto const key = configuration_.public_keys.get(record.text, *field.signature->algorithm);
    if (key) return judge_with(**key, field, result);
    if (key.error().kind == ErrorKind::permanent) return say(result, Kind::fail, key.error().text);
    say(result, Kind::permerror, {}, key.error().text);
}

// Longer than usual only where another signature begins with the same octets.
std::string Verifier::prefix_of(Field const& field) const {
    auto size = header_b_length;
    for (auto const& other : fields_) {
        auto const same = std::ranges::mismatch(field.text, other.text).in1 - field.text.begin();
        if (field.text != other.text) size = std::max(size, static_cast<std::size_t>(same) + 1);
    }
    std::string out;
    for (char const c : field.text.substr(0, size))
        if (is_alnum(c) || c == '+' || c == '/' || c == '=') out += c;
    return out;
}

SignatureResult Verifier::described(Field const& field) const {
    SignatureResult result;
    result.domain = field.read.tag("d");
    result.selector = field.read.tag("s");
    result.algorithm = field.read.tag("a");
    result.identity =
        field.read.tags.find("i") ? field.read.tag("i") : (result.domain.empty() ? "" : "@" + result.domain);
    result.signature = prefix_of(field);
    return result;
}

SignatureResult Verifier::result_of(Field const& field) {
    auto result = described(field);
    if (field.signature) measure(field, result);
    try {
        judge(field, result);
    } catch (std::exception const& failure) {
        failed_ = true;
        trouble_ = failure.what();
        say(result, Kind::temperror, {}, trouble_);
    }
    bool const good = result.kind == Kind::pass || result.body_hash == 0;
    result.error = signature_error(!result.reason.empty() ? result.reason : result.why);
    if (good && result.error < 0) result.error = 0;
    if (result.kind == Kind::temperror) result.error = signature_error("key DNS query failed");
    return result;
}

// One good signature is enough; one that could not be looked up leaves the question open.
void Verifier::conclude(std::vector<SignatureResult> const& results) {
    auto const any = [&](Kind kind) {
        return std::ranges::any_of(results, [&](SignatureResult const& each) { return each.kind == kind; });
    };
    if (results.empty())
        outcome_ = Outcome::no_signature;
    else if (any(Kind::pass))
        outcome_ = Outcome::good;
    else if (failed_)
        outcome_ = Outcome::internal_error;
    else if (any(Kind::temperror))
        outcome_ = Outcome::dns_error;
    else if (std::ranges::any_of(results, &SignatureResult::tolerated))
        outcome_ = Outcome::tolerated;
    else
        outcome_ = key_absent_ ? Outcome::key_not_found : Outcome::bad_signature;
}

} // namespace postern::milter_dkim
