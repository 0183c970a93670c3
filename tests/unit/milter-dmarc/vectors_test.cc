// The evaluation gives what the reference vectors say, case by case (tests/data/milter-dmarc/vectors.txt).
#include "common/base/text.h"
#include "common/config/settings.h"
#include "common/mail/domain.h"
#include "milter-dmarc/authors.h"
#include "milter-dmarc/evaluate.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/fake_resolver.h"

#include <cstdlib>

using namespace postern;
using namespace postern::milter_dmarc;

namespace {

using Expectation = std::map<std::string, std::string>;

struct Case {
    std::string name;
    test::Zone zone;
    std::vector<std::string> from;
    Identities identities;
    Expectation expect;
    std::vector<Expectation> accept;
    std::string asked;
};

// A zone with wildcards, which the shared one has no need of.
class WildcardResolver final : public dns::Resolver {
  public:
    explicit WildcardResolver(test::Zone zone) : zone_(std::move(zone)) {}
    Result<dns::DnsAnswer> lookup(std::string_view name, dns::RecordType type, Deadline) override {
        if (zone_.exists(name) || zone_.fails(name, type)) return zone_.answer(name, type);
        for (auto labels = mail::label_count(name) - 1; labels > 0; --labels)
            if (auto const wildcard = "*." + std::string(mail::last_labels(name, labels));
                zone_.exists(wildcard))
                return zone_.answer(wildcard, type);
        return zone_.answer(name, type);
    }

  private:
    test::Zone zone_;
};

Expectation expectation(std::string_view text) {
    Expectation all;
    for (auto const word : split_words(text)) {
        auto const [key, value] = halve(word, '=');
        all[std::string(key)] = value.value_or("");
    }
    return all;
}

void take_record(test::Zone& zone, std::string_view text) {
    auto const [name, rest] = halve(text, ' ');
    auto const [type, data] = halve(rest.value_or(""), ' ');
    if (type == "TXT")
        zone.txt(name, data.value_or(""));
    else
        zone.lines(text);
}

void take_line(Case& one, std::string_view key, std::string_view value) {
    auto const words = split_words(value);
    if (key == "record")
        take_record(one.zone, value);
    else if (key == "fail")
        one.zone.fail(value);
    else if (key == "from")
        one.from.emplace_back(value);
    else if (key == "spf")
        one.identities.spf = {std::string(words[0]), mail::normal_domain(words[1]).value_or("")};
    else if (key == "dkim")
        one.identities.dkim.push_back(
            {std::string(words[0]), mail::normal_domain(words[1]).value_or(""), {}});
    else if (key == "expect")
        one.expect = expectation(value);
    else if (key == "accept")
        one.accept.push_back(expectation(value));
    else if (key == "asked")
        one.asked = value == "-" ? "" : value;
    else
        FAIL("unknown line: " << key);
}

std::vector<Case> read_cases() {
    auto const text = config::read_file(std::string(std::getenv("POSTERN_SOURCE")) +
                                        "/tests/data/milter-dmarc/vectors.txt");
    REQUIRE(text);
    std::vector<Case> cases;
    for (auto const line : split(*text, '\n')) {
        auto const [key, value] = halve(line, ' ');
        if (key == "case")
            cases.emplace_back().name = value.value_or("");
        else if (!line.empty() && key != "#")
            take_line(cases.back(), key, value.value_or(""));
    }
    return cases;
}

std::string author_of(Case const& one) {
    std::string from;
    for (auto const& each : one.from) from += (from.empty() ? "" : ", ") + each;
    auto const authors = find_authors({from});
    return authors.domains.size() == 1 ? authors.domains[0] : "";
}

struct Outcome {
    Expectation values;
    std::string asked;
};

Outcome run(Case const& one, mail::PublicSuffixes const& suffixes) {
    WildcardResolver resolver(one.zone);
    Discovery discovery(resolver, suffixes, {.mode = DiscoveryMode::treewalk}, Deadline::never());
    auto const author = author_of(one);
    Outcome outcome;
    Evaluation evaluation;
    if (!author.empty()) {
        if (auto found = discovery.record_for(author)) outcome.asked = join(discovery.asked(), " ");
        evaluation = evaluate(author, one.identities, discovery);
    }
    auto& values = outcome.values;
    values["result"] = to_string(evaluation.result);
    values["policy"] = evaluation.found ? to_string(evaluation.policy) : "-";
    values["disposition"] = to_string(evaluation.disposition);
    values["domain"] = evaluation.found ? evaluation.found->domain : "-";
    values["tag"] = evaluation.policy_tag;
    values["spf"] = evaluation.spf_aligned ? "yes" : "no";
    values["dkim"] = evaluation.dkim_aligned ? "yes" : "no";
    auto const organization = discovery.organizational_domain(author, Method::treewalk);
    values["org"] = organization ? *organization : "-";
    return outcome;
}

bool agrees(Expectation const& wanted, Expectation const& got) {
    for (auto const& [key, value] : wanted)
        if (got.at(key) != value) return false;
    return true;
}

std::string shown(Expectation const& all) {
    std::string text;
    for (auto const& [key, value] : all) text += key + "=" + value + " ";
    return text;
}

} // namespace

TEST_CASE("every DMARC vector gives its expected or an accepted answer") {
    auto const suffixes = mail::PublicSuffixes::load();
    REQUIRE(suffixes);
    auto const cases = read_cases();
    CHECK(cases.size() == 82);
    std::string by_acceptance;
    for (auto const& one : cases) {
        auto const outcome = run(one, *suffixes);
        bool accepted = agrees(one.expect, outcome.values);
        for (auto const& each : one.accept) {
            if (!accepted && agrees(each, outcome.values)) {
                accepted = true;
                by_acceptance += one.name + " ";
            }
        }
        INFO(one.name << "\n  wanted " << shown(one.expect) << "\n  got    " << shown(outcome.values));
        CHECK(accepted);
        if (!outcome.asked.empty()) CHECK(outcome.asked == one.asked);
    }
    // Where RFC 9989 is silent, these are Postern's choices: the milder error, and no organization above a
    // suffix.
    CHECK(by_acceptance == "tld-record-without-psd-literal signer-walk-servfail spf-temperror-no-other-id ");
}
