// What milter-dmarc-check prints.
#include "milter-dmarc/tools/check.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/fake_resolver.h"

using namespace postern;
using namespace postern::milter_dmarc;

namespace {

CheckAnswer checked(std::string const& name) {
    test::FakeResolver resolver;
    resolver.zone
        .txt("_dmarc.a.example", "v=DMARC1; p=reject; aspf=s; np=reject; rua=mailto:r@a.example; foo=1")
        .txt("_dmarc.bad.example", "v=DMARC1; p=block")
        .fail("_dmarc.broken.example");
    auto const suffixes = mail::PublicSuffixes::load();
    REQUIRE(suffixes);
    Discovery discovery(resolver, *suffixes, {}, Deadline::never());
    return check_domain(name, discovery);
}

} // namespace

TEST_CASE("a record is shown as opendmarc-check shows it, with what is new behind") {
    auto const answer = checked("Sub.A.example");
    CHECK(answer.exit_code == 0);
    CHECK(answer.error.empty());
    CHECK(answer.text ==
          "DMARC record for sub.a.example:\n\tSample percentage: 100\n\tDKIM alignment: relaxed\n"
          "\tSPF alignment: strict\n\tDomain policy: reject\n\tSubdomain policy: unspecified\n"
          "\tAggregate report URIs:\n\t\tmailto:r@a.example\n\tForensic report URIs:\n\t\t(none)\n"
          "\tNon-existent subdomain policy: reject\n\tTest mode: no\n\tPublic suffix: unspecified\n"
          "\tPolicy domain: a.example\n\tDiscovery method: psl\n\tNote: unknown tag ignored: foo\n");
}

TEST_CASE("no record, no answer and no domain name are told apart") {
    CHECK(checked("none.example").error == "none.example: no DMARC record");
    CHECK(checked("none.example").exit_code == 1);
    CHECK(checked("broken.example").error.starts_with("broken.example: _dmarc.broken.example TXT: "));
    CHECK(checked("broken.example").exit_code == 75);
    CHECK(checked("a b").exit_code == 64);
    CHECK(checked("bad.example").text.contains("\tUnusable: no valid policy and no report URI\n"));
}
