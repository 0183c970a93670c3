// The signatures that would be made, and those that are there: what each covers, its key, its result.
#include "milter-dkim/explain/explain.h"

#include "common/base/text.h"
#include "milter-dkim/verify/verifier.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace postern::milter_dkim::explain {

namespace {

constexpr std::size_t shown_record = 70; // octets of a key record

// Names of fields in h=, and those of the message that are not there, each once.
struct Coverage {
    std::vector<std::string> covered;
    std::vector<std::string> beyond; // named more often than they are there
    std::vector<std::string> left_out;
};

Coverage coverage_of(std::string_view names, HeaderList const& headers) {
    Coverage out;
    std::map<std::string, std::size_t> left;
    for (auto const& [name, value] : headers) ++left[to_lower(trim(name))];
    for (auto const each : split(names, ':')) {
        auto const name = std::string(trim(each));
        auto& count = left[to_lower(name)];
        (count > 0 ? out.covered : out.beyond).push_back(name);
        if (count > 0) --count;
    }
    std::set<std::string> seen;
    for (auto const& [name, value] : headers) {
        auto const lower_name = to_lower(trim(name));
        if (left[lower_name] > 0 && lower_name != "dkim-signature" && seen.insert(lower_name).second)
            out.left_out.push_back(name);
    }
    return out;
}

void tell_coverage(Page& page, std::string_view names, HeaderList const& headers) {
    auto const coverage = coverage_of(names, headers);
    auto covers = join(coverage.covered, ", ");
    if (!coverage.beyond.empty()) covers += ", and that there is no other " + join(coverage.beyond, ", ");
    page.row("  covers", covers);
    if (!coverage.left_out.empty()) page.row("  leaves out", join(coverage.left_out, ", "));
}

std::string described(SigningKey const& key) {
    return key.algorithm() == Algorithm::ed25519_sha256 ? "Ed25519" : fmt::format("RSA, {} bits", key.bits());
}

std::string result_words(SignatureResult const& result) {
    std::string out(to_string(result.kind));
    if (!result.reason.empty()) out += ": " + result.reason;
    if (!result.why.empty()) out += (result.reason.empty() ? ": " : "; ") + result.why;
    return out;
}

void tell_key(Page& page, SignatureResult const& result) {
    if (!result.record.empty()) page.row("  its record", printable(result.record, shown_record));
    if (result.key_bits != 0 || !result.dnssec.empty())
        page.row("  its key",
                 fmt::format("{}{}{}",
                             result.key_bits != 0 ? fmt::format("RSA, {} bits", result.key_bits) : "",
                             result.key_bits != 0 && !result.dnssec.empty() ? ", " : "",
                             result.dnssec.empty()       ? ""
                             : result.dnssec == "secure" ? "protected by DNSSEC"
                                                         : result.dnssec + " by DNSSEC"));
}

void tell_signature(Page& page, std::size_t number, SignatureField const& field,
                    SignatureResult const& result, HeaderList const& headers) {
    page.row(fmt::format("{}.", number),
             result.domain.empty()
                 ? "not readable as a signature"
                 : fmt::format("d={} s={} a={} c={}", result.domain, result.selector, result.algorithm,
                               field.tags.find("c").value_or("simple/simple")));
    if (!field.tag("h").empty()) tell_coverage(page, field.tag("h"), headers);
    if (result.limit >= 0)
        page.row("  of the body",
                 fmt::format("{} of {} (l=)", result.covered,
                             counted(static_cast<std::size_t>(result.body_length), "octet")));
    // What cannot hold, and what is not among those that are verified, asks for nothing.
    bool const asked = !result.record.empty() || !result.dnssec.empty() ||
                       result.kind == SignatureResult::Kind::temperror ||
                       result.kind == SignatureResult::Kind::fail;
    if (asked) page.row("  asks for", fmt::format("{}._domainkey.{} TXT", result.selector, result.domain));
    tell_key(page, result);
    page.row("  result", result_words(result));
}

} // namespace

void tell_signing(Page& page, Case const& about, Decision const& decision, Rehearsal const& done) {
    page.title("Signing");
    std::vector<std::string const*> made; // the first request's signature is inserted first
    for (auto const& change : done.changes)
        if (change.kind == Rehearsal::Change::Kind::insert &&
            equals_ignoring_case(change.name, "DKIM-Signature"))
            made.push_back(&change.value);
    for (std::size_t i = 0; i < decision.requests.size(); ++i) {
        auto const& request = decision.requests[i];
        page.row(fmt::format("{}.", i + 1),
                 fmt::format("d={} s={}{} key: {}", request.domain, request.selector,
                             request.identity.empty() ? "" : " i=" + request.identity,
                             described(*request.key)));
        if (i >= made.size()) continue;
        auto const field = SignatureField::read(*made[i]);
        page.row("  form (c=)", field.tag("c"));
        tell_coverage(page, field.tag("h"), about.message.headers);
        if (field.tags.find("l")) page.row("  of the body", field.tag("l") + " octets (l=)");
    }
}

void tell_verifying(Page& page, Case const& about, Decision const& decision) {
    Verifier verifier(about.configuration(), *about.generation->resolver, about.message.headers,
                      decision.sender_domain);
    page.title(verifier.has_signatures() ? "Signatures" : "Signatures: none");
    verifier.body(about.message.body);
    auto const results = verifier.finish();
    for (std::size_t i = 0; i < results.size(); ++i)
        tell_signature(page, i + 1, verifier.signature_field(i), results[i], about.message.headers);
}

} // namespace postern::milter_dkim::explain
