// SPF and DKIM results from trusted header fields.
#include "milter-dmarc/inputs.h"

#include "common/base/text.h"
#include "common/mail/auth_results.h"
#include "common/mail/domain.h"
#include "common/mail/received_spf.h"

#include <algorithm>

namespace postern::milter_dmarc {

namespace {

bool is_trusted(std::string_view id, Trust const& trust) {
    auto const is_one = [&](std::string_view name) {
        return std::ranges::any_of(trust.authserv_ids,
                                   [&](auto const& each) { return equals_ignoring_case(each, name); });
    };
    if (is_one(id)) return true;
    auto const [name, job] = halve(id, '/');
    return job && !trust.job_id.empty() && *job == trust.job_id && is_one(name);
}

// "a@x.example" or "x.example".
std::string domain_in(std::string_view text) {
    auto const [local, domain] = halve_at_last(text, '@');
    return mail::normal_domain(domain.value_or(local)).value_or("");
}

// Only a result about this message's own envelope counts: MAIL FROM, or HELO for the null sender.
std::optional<SpfIdentity> spf_of(mail::AuthResult const& result, Envelope const& envelope) {
    auto const property = result.property("smtp", "mailfrom");
    if (!envelope.sender.empty()) {
        if (!property || envelope.sender_domain.empty() || domain_in(*property) != envelope.sender_domain)
            return std::nullopt;
        return SpfIdentity{result.result, envelope.sender_domain};
    }
    auto const helo = result.property("smtp", "helo");
    auto const name = helo ? helo : property;
    auto const expected = mail::normal_domain(envelope.helo);
    if (!name || !expected || domain_in(*name) != *expected) return std::nullopt;
    return SpfIdentity{result.result, *expected};
}

std::optional<DkimIdentity> dkim_of(mail::AuthResult const& result) {
    auto domain = result.property("header", "d");
    if (!domain) domain = result.property("header", "i");
    // A name with anything odd in it could mean another name to another reader.
    auto const normal = domain ? domain_in(*domain) : std::string();
    if (normal.empty()) return std::nullopt;
    return DkimIdentity{result.result, normal, std::string(result.property("header", "s").value_or(""))};
}

void take_results(Inputs& inputs, mail::AuthResults const& field, Envelope const& envelope,
                  Trust const& trust) {
    auto& [spf, dkim] = inputs.identities;
    for (auto const& result : field.results) {
        if (result.method == "spf" && trust.authentication_results_spf && !spf) {
            spf = spf_of(result, envelope);
        } else if (result.method == "dkim" && dkim.size() < max_dkim_identities) {
            if (auto identity = dkim_of(result)) dkim.push_back(std::move(*identity));
        }
    }
}

// The topmost Received-SPF, unless the policy daemon wrote above it that it made no check.
mail::HeaderField const* topmost_received_spf(mail::Headers const& headers) {
    for (auto const& field : headers.fields()) {
        if (field.is(mail::received_spf_name)) return &field;
        if (field.is("X-Comment") && starts_with_ignoring_case(field.unfolded_value(), "SPF "))
            return nullptr;
    }
    return nullptr;
}

std::optional<SpfIdentity> spf_of(mail::ReceivedSpf const& field, Envelope const& envelope) {
    auto const client = field.value("client-ip");
    if (client && !envelope.client_address.empty() && !equals_ignoring_case(*client, envelope.client_address))
        return std::nullopt;
    auto const identity = field.value("identity").value_or(envelope.sender.empty() ? "helo" : "mailfrom");
    if (envelope.sender.empty()) {
        auto const helo = field.value("helo");
        auto const expected = mail::normal_domain(envelope.helo);
        if (!helo || !expected || mail::normal_domain(*helo) != expected) return std::nullopt;
        return SpfIdentity{field.result, *expected};
    }
    auto const sender = field.value("envelope-from");
    if (!equals_ignoring_case(identity, "mailfrom") || !sender || envelope.sender_domain.empty() ||
        domain_in(*sender) != envelope.sender_domain)
        return std::nullopt;
    return SpfIdentity{field.result, envelope.sender_domain};
}

} // namespace

Inputs read_inputs(mail::Headers const& headers, Envelope const& envelope, Trust const& trust) {
    Inputs inputs;
    for (auto const* field : headers.all(mail::auth_results_name)) {
        auto const results = mail::read_auth_results(field->value());
        if (results && is_trusted(results->authserv_id, trust))
            take_results(inputs, *results, envelope, trust);
        else if (inputs.ignored.size() < max_dkim_identities)
            inputs.ignored.push_back(results ? results->authserv_id : "?");
    }
    if (inputs.identities.spf || !trust.received_spf) return inputs;
    if (auto const* field = topmost_received_spf(headers))
        if (auto const read = mail::read_received_spf(field->value()))
            inputs.identities.spf = spf_of(*read, envelope);
    return inputs;
}

} // namespace postern::milter_dmarc
