// Which results of earlier filters count.
#include "milter-dmarc/inputs.h"
#include "tests/unit/support/catch.h"

using namespace postern;
using namespace postern::milter_dmarc;

namespace {

Envelope const envelope{"h.example", "192.0.2.1", "helo.example", "ann@a.example", "a.example"};
Envelope const bounce{"h.example", "192.0.2.1", "Helo.example", "", ""};
Trust trusting(std::vector<std::string> ids) {
    Trust trust;
    trust.authserv_ids = std::move(ids);
    return trust;
}
Trust const trust = trusting({"mx.example", "other.example"});

// "spf RESULT DOMAIN, dkim RESULT DOMAIN SELECTOR, ..."
std::string inputs_of(std::string_view section, Envelope const& about = envelope,
                      Trust const& believed = trust) {
    auto const headers = mail::Headers::parse(section);
    REQUIRE(headers);
    auto const inputs = read_inputs(*headers, about, believed);
    std::string text;
    if (auto const& spf = inputs.identities.spf) text += "spf " + spf->result + " " + spf->domain;
    for (auto const& each : inputs.identities.dkim)
        text +=
            (text.empty() ? "" : ", ") + ("dkim " + each.result + " " + each.domain + " " + each.selector);
    return text;
}

} // namespace

TEST_CASE("results of our own and of trusted services count, all others do not") {
    CHECK(inputs_of("Authentication-Results: MX.example; spf=pass smtp.mailfrom=ann@A.example\n"
                    "authentication-results: other.example 1;\n\tdkim=pass header.d=D.example header.s=s1;\n"
                    "\tdkim=fail reason=\"x\" header.i=@e.example\n") ==
          "spf pass a.example, dkim pass d.example s1, dkim fail e.example ");
    CHECK(inputs_of("Authentication-Results: evil.example; spf=pass smtp.mailfrom=a.example; dkim=pass "
                    "header.d=a.example\n"
                    "Authentication-Results: mx.example.evil.example; dkim=pass header.d=a.example\n"
                    "Authentication-Results: spf=pass smtp.mailfrom=a.example\n"
                    "Authentication-Results: mx.example; dkim=pass header.d=a.example (\n"
                    "X-Authentication-Results: mx.example; dkim=pass header.d=a.example\n")
              .empty());
}

TEST_CASE("a job id behind the authserv-id must be this message's") {
    Trust with_job = trust;
    with_job.job_id = "4ABC";
    auto const* const field = "Authentication-Results: \"mx.example/4ABC\"; dkim=pass header.d=a.example\n";
    CHECK(inputs_of(field, envelope, with_job) == "dkim pass a.example ");
    CHECK(inputs_of(field).empty());
    CHECK(inputs_of("Authentication-Results: mx.example/OTHER; dkim=pass header.d=a.example\n", envelope,
                    with_job)
              .empty());
}

TEST_CASE("SPF counts only for this envelope's sender") {
    CHECK(inputs_of("Authentication-Results: mx.example; spf=pass smtp.mailfrom=b.example\n").empty());
    CHECK(inputs_of("Authentication-Results: mx.example; spf=pass smtp.helo=a.example\n").empty());
    CHECK(
        inputs_of(
            "Authentication-Results: mx.example; spf=pass smtp.mailfrom=a.example smtp.mailfrom=b.example\n")
            .empty());
    CHECK(inputs_of("Authentication-Results: mx.example; spf=softfail smtp.mailfrom=a.example; spf=pass "
                    "smtp.mailfrom=a.example\n") == "spf softfail a.example");
    CHECK(inputs_of("Authentication-Results: mx.example; spf=pass smtp.helo=helo.example\n", bounce) ==
          "spf pass helo.example");
    CHECK(inputs_of("Authentication-Results: mx.example; spf=pass smtp.mailfrom=postmaster@helo.example\n",
                    bounce) == "spf pass helo.example");
    CHECK(inputs_of("Authentication-Results: mx.example; spf=pass smtp.helo=a.example\n", bounce).empty());
}

TEST_CASE("a signing domain with odd characters is not believed") {
    for (auto const* value :
         {"bank.example(.evil.example", "bank.example/evil", "\"bank.example evil\"", "a..b", "[x]"})
        CHECK(inputs_of(std::string("Authentication-Results: mx.example; dkim=pass header.d=") + value + "\n")
                  .empty());
}

TEST_CASE("the topmost Received-SPF counts where no Authentication-Results has SPF") {
    auto without_received_spf = trust;
    without_received_spf.received_spf = false;
    std::string const ours =
        "Received-SPF: Pass (mailfrom) identity=mailfrom; client-ip=192.0.2.1; helo=helo.example; "
        "envelope-from=ann@a.example; receiver=mx.example \n";
    CHECK(inputs_of(ours) == "spf pass a.example");
    CHECK(inputs_of("Authentication-Results: mx.example; spf=fail smtp.mailfrom=a.example\n" + ours) ==
          "spf fail a.example");
    CHECK(inputs_of(
              std::string("Received-SPF: Fail (mailfrom) identity=mailfrom; envelope-from=ann@a.example\n") +
              ours) == "spf fail a.example");
    CHECK(inputs_of("X-Comment: SPF check N/A for local connections - client-ip=192.0.2.1\n" + ours).empty());
    CHECK(inputs_of(ours, envelope, without_received_spf).empty());
    CHECK(inputs_of("Received-SPF: Pass (x) identity=helo; helo=helo.example; envelope-from=ann@a.example\n")
              .empty());
    CHECK(inputs_of("Received-SPF: Pass (x) identity=mailfrom; envelope-from=ann@b.example\n").empty());
    CHECK(inputs_of(
              "Received-SPF: Pass (x) identity=mailfrom; envelope-from=ann@a.example; client-ip=192.0.2.2\n")
              .empty());
    CHECK(inputs_of("Received-SPF: Pass (x) identity=helo; helo=helo.example; envelope-from=<>\n", bounce) ==
          "spf pass helo.example");
}

TEST_CASE("signatures are counted up to their limit") {
    std::string section;
    for (int i = 0; i < 3; ++i) {
        section += "Authentication-Results: mx.example";
        for (int j = 0; j < 50; ++j) section += "; dkim=pass header.d=a.example";
        section += "\n";
    }
    auto const inputs = read_inputs(*mail::Headers::parse(section), envelope, trust);
    CHECK(inputs.identities.dkim.size() == max_dkim_identities);
}
