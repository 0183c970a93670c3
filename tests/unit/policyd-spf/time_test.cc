// How long a request may take: what every DNS question is given, whatever the settings say.
#include "tests/unit/support/catch.h"

#include "tests/unit/policyd-spf/bench.h"
#include "tests/unit/support/temp_dir.h"

#include <algorithm>

using namespace postern;
using namespace std::chrono_literals;
using test::PolicyBench;

namespace {

constexpr std::string_view zone =
    "fail.example TXT v=spf1 a mx include:i.example exists:%{i}.x.example -all exp=why.example\n"
    "fail.example A 192.0.2.9\nfail.example MX 1 fail.example\ni.example TXT v=spf1 ptr ?all\nhelo.example "
    "TXT v=spf1 mx ?all\n"
    "1.2.0.192.in-addr.arpa PTR mail.trusted.example\n";

// Remembers the longest wait that any question was allowed.
class Timing final : public dns::Resolver {
  public:
    explicit Timing(test::FakeResolver& inner) : inner_(inner) {}
    Result<dns::DnsAnswer> lookup(std::string_view name, dns::RecordType type, Deadline deadline) override {
        longest = std::max(longest, deadline.remaining());
        return inner_.lookup(name, type, deadline);
    }
    std::chrono::milliseconds longest{0};

  private:
    test::FakeResolver& inner_;
};

struct Asked {
    std::chrono::milliseconds longest;
    std::vector<std::string> questions;
};

Asked asked(std::string_view configuration, std::string_view recipient = "bob@postern.example") {
    PolicyBench at(zone, configuration);
    Timing timing(at.resolver);
    spf::Checker const checker(timing, *at.engine);
    policyd_spf::Session session(at.settings, {timing, checker, at.log, at.metrics});
    test::replay(session, PolicyBench::request("192.0.2.1", "helo.example", "u@fail.example", recipient));
    return {timing.longest, at.resolver.questions()};
}

} // namespace

TEST_CASE("each identity has Lookup_Time") {
    CHECK(asked("Lookup_Time = 7").longest <= 7s);
    CHECK(asked("Lookup_Time = 7").longest > 2s);
    CHECK(asked("").longest <= 20s);
}

TEST_CASE("checks and whitelists together stay under the policy timeout of Postfix, whatever is set") {
    auto const all = asked("Lookup_Time = 1000\nWhitelist_Lookup_Time = 1000\nNo_Mail = True\n"
                           "Domain_Whitelist = a.example,b.example\nHELO_Whitelist = helo.example\n"
                           "Domain_Whitelist_PTR = trusted.example");
    CHECK(all.longest <= policyd_spf::Policy::total_time);
    CHECK(policyd_spf::Policy::total_time < 100s); // smtpd_policy_service_timeout
    for (auto const* question :
         {"a.example TXT", "b.example TXT", "helo.example A", "1.2.0.192.in-addr.arpa PTR",
          "helo.example TXT", "fail.example TXT", "i.example TXT", "why.example TXT"}) {
        INFO(question);
        CHECK(std::ranges::find(all.questions, question) != all.questions.end());
    }
    CHECK(asked("Lookup_Time = 0").longest <= policyd_spf::Policy::total_time);
}

TEST_CASE("whitelists that ask the DNS have Whitelist_Lookup_Time") {
    CHECK(asked("Lookup_Time = 1\nWhitelist_Lookup_Time = 4\nDomain_Whitelist = a.example\n"
                "HELO_Whitelist = helo.example\nDomain_Whitelist_PTR = trusted.example")
              .longest <= 4s);
}

TEST_CASE("a recipient's own times count for that recipient, within the same bound") {
    test::TempDir const directory;
    auto const path =
        directory.write("per_user", "ann@postern.example,Lookup_Time=3|Whitelist_Lookup_Time=2\n"
                                    "bob@postern.example,Lookup_Time=1000|Whitelist_Lookup_Time=1000|"
                                    "Domain_Whitelist=a.example|Domain_Whitelist_PTR=trusted.example\n");
    auto const conf = "Per_User = text," + path;
    CHECK(asked(conf, "ann@postern.example").longest <= 3s);
    CHECK(asked(conf, "bob@postern.example").longest <= policyd_spf::Policy::total_time);
    CHECK(asked(conf, "bob@postern.example").longest > 20s);
}
