// The resolver of production against a DNS server in this process.
#include "tests/unit/support/catch.h"

#include "common/dns/unbound.h"
#include "tests/unit/support/dns_server.h"
#include "tests/unit/support/temp_dir.h"
#include "tests/unit/support/test_log.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

using namespace postern;
using namespace postern::dns;
using namespace std::chrono_literals;
using test::DnsServer;

namespace {

constexpr auto patience = 20s; // a limit only

struct Bench {
    DnsServer server;
    test::TestLog log;
    Metrics metrics;
    std::unique_ptr<Resolver> resolver;

    explicit Bench(std::string_view records, ResolverSettings settings = {}) {
        test::Zone zone;
        zone.lines(records);
        server.serve(zone);
        if (settings.nameservers.empty()) settings.nameservers = {server.nameserver()};
        auto made = make_unbound_resolver(settings, log, metrics);
        REQUIRE(made.has_value());
        resolver = std::move(*made);
    }
    Result<DnsAnswer> ask(std::string_view name, RecordType type, std::chrono::milliseconds wait = patience) {
        return resolver->lookup(name, type, Deadline::after(wait));
    }
    long times_asked(std::string_view question) const {
        return std::ranges::count(server.questions(), question);
    }
};

} // namespace

TEST_CASE("every type comes back as resolver.h describes it") {
    Bench bench("a.example A 192.0.2.1\na.example A 192.0.2.2\na.example AAAA 2001:db8::1\n"
                "a.example MX 10 mail.example\na.example MX 0 .\na.example TXT v=spf1 -all\n"
                "1.2.0.192.in-addr.arpa PTR a.example\nexample NS ns.example");
    auto const a = bench.ask("A.example", RecordType::a);
    REQUIRE(a.has_value());
    CHECK(a->records.size() == 2);
    CHECK(a->ttl == 300);
    CHECK_FALSE(a->secure);
    CHECK(bench.ask("a.example", RecordType::aaaa)->records.front().data.size() == 16);
    auto mx = bench.ask("a.example", RecordType::mx)->records;
    std::ranges::sort(mx, {}, &DnsRecord::preference);
    CHECK(mx == std::vector<DnsRecord>{{"", 0}, {"mail.example", 10}});
    CHECK(bench.ask("a.example", RecordType::txt)->records.front().data == "v=spf1 -all");
    CHECK(bench.ask("1.2.0.192.in-addr.arpa", RecordType::ptr)->records.front().data == "a.example");
    CHECK(bench.ask("example", RecordType::ns)->records.front().data == "ns.example");
}

TEST_CASE("no such name, no such type and the ttl of both from the SOA") {
    Bench bench("a.example A 192.0.2.1");
    auto const type = bench.ask("a.example", RecordType::txt);
    REQUIRE(type.has_value());
    CHECK(type->kind == DnsAnswer::Kind::no_records);
    CHECK(type->ttl == 300);
    auto const name = bench.ask("b.example", RecordType::txt);
    REQUIRE(name.has_value());
    CHECK(name->kind == DnsAnswer::Kind::no_such_name);
    CHECK(name->ttl == 300);
}

TEST_CASE("a second lookup is answered from the cache, a negative one too") {
    Bench bench("a.example TXT x");
    for (int i = 0; i < 3; ++i) {
        CHECK(bench.ask("a.example", RecordType::txt)->found());
        CHECK(bench.ask("A.EXAMPLE", RecordType::txt)->found());
        CHECK_FALSE(bench.ask("b.example", RecordType::txt)->found());
    }
    CHECK(bench.times_asked("udp a.example TXT") == 1);
    CHECK(bench.times_asked("udp b.example TXT") == 1);
    CHECK(bench.metrics.text().find("postern_dns_lookups_total{result=\"cached\"} 7") != std::string::npos);
}

TEST_CASE("SERVFAIL, REFUSED and garbage are temporary, and remembered") {
    Bench bench("a.example A 192.0.2.1");
    test::Zone zone;
    zone.fail("fail.example");
    bench.server.serve(zone);
    bench.server.set_manner("refused.example", DnsServer::Manner::refused);
    for (int i = 0; i < 2; ++i)
        for (auto const* name : {"fail.example", "refused.example"}) {
            auto const answer = bench.ask(name, RecordType::a);
            REQUIRE_FALSE(answer.has_value());
            CHECK(answer.error().kind == ErrorKind::temporary);
        }
    CHECK(bench.metrics.text().find("postern_dns_lookups_total{result=\"cached\"} 2") != std::string::npos);
    bench.server.set_manner("garbage.example", DnsServer::Manner::garbage);
    CHECK(bench.ask("garbage.example", RecordType::a, 300ms).error().kind == ErrorKind::temporary);
}

TEST_CASE("a silent server costs the caller its deadline and no more, and the name may be asked again") {
    Bench bench("a.example A 192.0.2.1");
    bench.server.set_manner("a.example", DnsServer::Manner::silent);
    auto const answer = bench.ask("a.example", RecordType::a, 200ms);
    REQUIRE_FALSE(answer.has_value());
    CHECK(answer.error().kind == ErrorKind::temporary);
    CHECK(answer.error().text == "no answer in time for a.example/A");
    bench.server.set_manner("a.example", DnsServer::Manner::normal);
    CHECK(bench.ask("a.example", RecordType::a)->found());
}

TEST_CASE("a server that needs a second is waited for and asked once, however fast it was before") {
    Bench bench("a.example A 192.0.2.1\nb.example A 192.0.2.1\nlate.example A 192.0.2.1");
    CHECK(bench.ask("a.example", RecordType::a)->found());
    CHECK(bench.ask("b.example", RecordType::a)->found());
    bench.server.set_manner("late.example", DnsServer::Manner::late);
    CHECK(bench.ask("late.example", RecordType::a)->found());
    CHECK(bench.times_asked("udp late.example A") == 1);
}

TEST_CASE("a truncated answer is fetched over TCP") {
    Bench bench("a.example TXT over TCP");
    bench.server.set_manner("a.example", DnsServer::Manner::truncated);
    auto const answer = bench.ask("a.example", RecordType::txt);
    REQUIRE(answer.has_value());
    CHECK(answer->records.front().data == "over TCP");
    CHECK(bench.times_asked("tcp a.example TXT") == 1);
}

TEST_CASE("with tcp_only nothing is asked over UDP") {
    ResolverSettings settings;
    settings.tcp_only = true;
    Bench bench("a.example A 192.0.2.1", settings);
    CHECK(bench.ask("a.example", RecordType::a)->found());
    CHECK(bench.times_asked("tcp a.example A") == 1);
    CHECK(bench.times_asked("udp a.example A") == 0);
}

TEST_CASE("a record of 20000 octets comes whole") {
    Bench bench("big.example TXT " + std::string(20000, 'x'));
    auto const answer = bench.ask("big.example", RecordType::txt);
    REQUIRE(answer.has_value());
    CHECK(answer->records.front().data == std::string(20000, 'x'));
}

TEST_CASE("CNAMEs are followed and a loop of them is temporary") {
    Bench bench("one.example CNAME two.example\ntwo.example CNAME three.example\nthree.example TXT end\n"
                "x.example CNAME y.example\ny.example CNAME x.example\ndangling.example CNAME no.example");
    CHECK(bench.ask("one.example", RecordType::txt)->records.front().data == "end");
    CHECK(bench.ask("x.example", RecordType::txt).error().kind == ErrorKind::temporary);
    CHECK(bench.ask("dangling.example", RecordType::txt)->kind == DnsAnswer::Kind::no_such_name);
}

TEST_CASE("test domains and reverse names of private networks reach the server") {
    Bench bench("mail.test TXT x\nmail.invalid TXT x\n1.0.0.10.in-addr.arpa PTR a.test\n"
                "1.0.17.172.in-addr.arpa PTR a.test\n1.1.168.192.in-addr.arpa PTR a.test\n"
                "1.0.0.127.in-addr.arpa PTR a.test");
    CHECK(bench.ask("mail.test", RecordType::txt)->found());
    CHECK(bench.ask("mail.invalid", RecordType::txt)->found());
    for (auto const* name : {"1.0.0.10.in-addr.arpa", "1.0.17.172.in-addr.arpa", "1.1.168.192.in-addr.arpa",
                             "1.0.0.127.in-addr.arpa"})
        CHECK(bench.ask(name, RecordType::ptr)->found());
}

TEST_CASE(
    "identical questions of many callers are asked once, and one that gives up ends none of the others") {
    Bench bench("a.example A 192.0.2.1");
    bench.server.set_manner("a.example", DnsServer::Manner::silent);
    std::atomic<int> found{0};
    std::vector<std::jthread> callers;
    for (int i = 0; i < 8; ++i)
        callers.emplace_back([&] {
            auto const answer = bench.ask("a.example", RecordType::a);
            if (answer && answer->found()) ++found;
        });
    while (bench.times_asked("udp a.example A") == 0) std::this_thread::sleep_for(5ms);
    CHECK_FALSE(bench.ask("a.example", RecordType::a, 1ms).has_value());
    bench.server.set_manner("a.example", DnsServer::Manner::normal); // libunbound asks again by itself
    callers.clear();
    CHECK(found == 8);
    CHECK(bench.metrics.text().find("postern_dns_lookups_total{result=\"found\"} 1\n") != std::string::npos);
}

TEST_CASE("what is no domain name never leaves the machine") {
    Bench bench("a.example A 192.0.2.1");
    CHECK(bench.ask("", RecordType::a).error().kind == ErrorKind::malformed);
    CHECK(bench.ask(std::string(64, 'x'), RecordType::a).error().kind == ErrorKind::malformed);
    CHECK(bench.server.questions().empty());
}

TEST_CASE("a resolver goes while questions are open, and one that was never asked goes too") {
    Bench unused("");
    auto bench = std::make_unique<Bench>("");
    bench->server.set_manner("a.example", DnsServer::Manner::silent);
    CHECK_FALSE(bench->ask("a.example", RecordType::a, 50ms).has_value());
    bench.reset();
}

TEST_CASE("another resolv.conf takes effect with the next question") {
    DnsServer second;
    test::Zone zone;
    zone.lines("a.example TXT second\nb.example TXT second");
    second.serve(zone);
    auto const path = std::filesystem::temp_directory_path() / ("resolv-" + std::to_string(::getpid()));
    DnsServer first;
    test::Zone other;
    other.lines("a.example TXT first");
    first.serve(other);
    std::ofstream(path) << "# made by a test\nsearch example\nnameserver not-an-address\nnameserver "
                        << first.nameserver() << "\n";
    ResolverSettings settings;
    settings.resolv_conf = path;
    test::TestLog log;
    Metrics metrics;
    auto const resolver = make_unbound_resolver(settings, log, metrics);
    REQUIRE(resolver.has_value());
    auto const ask = [&](std::string_view name) {
        return (*resolver)->lookup(name, RecordType::txt, Deadline::after(patience))->records.front().data;
    };
    CHECK(ask("a.example") == "first");
    auto const changed = path.string() + ".new";
    std::ofstream(changed) << "nameserver " << second.nameserver() << "\n";
    std::filesystem::rename(changed, path);
    CHECK(ask("b.example") == "second");
    CHECK(log.contains("has changed, nameservers=" + second.nameserver()));
    std::filesystem::remove(path);
}

TEST_CASE("settings that libunbound refuses are named") {
    test::TestLog log;
    Metrics metrics;
    ResolverSettings settings;
    settings.nameservers = {"not an address"};
    auto const bad = make_unbound_resolver(settings, log, metrics);
    REQUIRE_FALSE(bad.has_value());
    CHECK(bad.error().kind == ErrorKind::permanent);
    CHECK(bad.error().text.find("the nameserver not an address") != std::string::npos);
    settings = {};
    settings.unbound_configuration = {"/nonexistent/unbound.conf"};
    auto const missing = make_unbound_resolver(settings, log, metrics);
    REQUIRE_FALSE(missing.has_value());
    CHECK(missing.error().text.find("/nonexistent/unbound.conf") != std::string::npos);
}

TEST_CASE("a configuration file that forwards everything is asked alone") {
    DnsServer of_file;
    DnsServer of_system;
    test::TempDir const dir;
    ResolverSettings settings;
    settings.unbound_configuration = {
        dir.write("unbound.conf",
                  "forward-zone:\n  name: \".\" # all\n  forward-addr: " + of_file.nameserver() + "\n")};
    settings.resolv_conf = dir.write("resolv.conf", "nameserver " + of_system.nameserver() + "\n");
    test::TestLog log;
    Metrics metrics;
    auto const resolver = make_unbound_resolver(settings, log, metrics);
    REQUIRE(resolver);
    for (int i = 0; i < 20; ++i) {
        auto const name = "n" + std::to_string(i) + ".a.example";
        CHECK((*resolver)->lookup(name, RecordType::a, Deadline::after(patience)));
    }
    CHECK(of_file.questions().size() >= 20);
    CHECK(of_system.questions().empty());
}
