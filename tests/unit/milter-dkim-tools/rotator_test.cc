// The whole rotation with name servers in a map: every step, every crash, and what must never happen.
#include "milter-dkim/tools/rotate/rotator.h"

#include "milter-dkim/sign/keys.h"
#include "milter-dkim/tools/replace_file.h"
#include "milter-dkim/tools/rotate/plan.h"
#include "milter-dkim/tools/rotate/rotate.h"
#include "tests/unit/milter-dkim-tools/fake_dns.h"
#include "tests/unit/milter-dkim/support.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/fake_resolver.h"
#include "tests/unit/support/temp_dir.h"
#include "tests/unit/support/test_log.h"

#include <filesystem>

using namespace postern;
using namespace postern::milter_dkim::tools;
namespace fs = std::filesystem;

namespace {

constexpr std::int64_t day = 86400;
constexpr std::string_view new_name = "202611._domainkey.a.example";
constexpr std::string_view old_name = "mail._domainkey.a.example";

struct Stopped {}; // stands for the end of the process

class CountingReloader final : public Reloader {
  public:
    Result<std::string> reload(Deadline) override {
        ++count;
        if (failing) return temporary("no permission");
        return "done";
    }
    std::string describe() const override { return "a reload"; }
    int count = 0;
    bool failing = false;
};

// A mail host with a KeyTable of one row, a zone with two servers, and a clock.
struct Host {
    Host() {
        resolver.zone = test::Zone()
                            .ns("a.example", "ns1.a.example")
                            .ns("a.example", "ns2.a.example")
                            .a("ns1.a.example", "192.0.2.1")
                            .a("ns2.a.example", "192.0.2.2");
        dir.write("mail.private", test::rsa_key());
        fs::permissions(dir.path("mail.private"), fs::perms(0640));
        table = dir.write("KeyTable", "# keys\nk a.example:mail:" + dir.path("mail.private") + " # a\n");
        conf = dir.write("opendkim.conf", "KeyTable file:" + table + "\nSigningTable refile:" +
                                              dir.write("SigningTable", "*@a.example k\n") + "\n");
        for (auto const* host : {"192.0.2.1", "192.0.2.2"})
            dns[host].shown[std::string(old_name)] = {"p=OLD"};
    }

    // One run of the program; stop_at: the boundary after which it is gone, from 0.
    Rotator::Summary run(int stop_at = -1) {
        auto const store = RotationStore::open(dir.path("state"));
        REQUIRE(store);
        auto rotations = store->load().value();
        PlanSettings plan;
        plan.now = now;
        plan.bits = 1024; // speed
        auto const planned = make_plan(take_inventory(conf), rotations, plan);
        REQUIRE(planned);
        for (auto const& each : planned->rotations) rotations.push_back(each);
        AuthoritySettings settings;
        settings.primary = {parse_dns_server("192.0.2.1", 53).value()};
        Authorities const authorities(settings, resolver, dns);
        auto const publisher = update_publisher(dns, {});
        RotatorSettings rotator_settings;
        rotator_settings.configuration = conf;
        rotator_settings.wait = std::chrono::milliseconds(patience ? 600'000 : 0);
        int boundaries = 0;
        Surroundings surroundings{*store,
                                  authorities,
                                  *publisher,
                                  reloader,
                                  log,
                                  [&] { return now; },
                                  [&] {
                                      ++pauses;
                                      if (while_waiting) while_waiting();
                                  },
                                  [&](std::string_view place) {
                                      if (boundaries++ != stop_at) return;
                                      stopped_at = place;
                                      throw Stopped();
                                  }};
        return Rotator(rotator_settings, surroundings).run(std::move(rotations));
    }

    std::string row() const {
        auto const text = dir.read("KeyTable");
        auto const begin = text.find("a.example:");
        return text.substr(begin, text.find(':', begin + 10) - begin);
    }
    std::vector<std::string> key_files() const {
        std::vector<std::string> found;
        for (auto const& entry : fs::directory_iterator(dir.path()))
            if (entry.path().string().contains(".private")) found.push_back(entry.path().filename().string());
        std::ranges::sort(found);
        return found;
    }
    std::string shown(std::string const& host, std::string_view name) {
        auto const& records = dns[host].shown[std::string(name)];
        return records.size() == 1 ? records[0] : fmt::format("{} records", records.size());
    }
    std::string record_of_new_key() const {
        auto const key = milter_dkim::SigningKey::parse(dir.read("202611.private"), 1024);
        return "v=DKIM1; h=sha256; k=rsa; p=" + key.value()->public_base64();
    }
    std::size_t unfinished() const { return RotationStore::for_reading(dir.path("state")).load()->size(); }

    test::TempDir dir;
    test::TestLog log;
    test::FakeResolver resolver;
    test::FakeDns dns;
    CountingReloader reloader;
    std::string table, conf, stopped_at;
    std::int64_t now = parse_date("2026-11-21").value();
    bool patience = true;
    int pauses = 0;
    std::function<void()> while_waiting;
};

void check_switched(Host& host) {
    CHECK(host.dir.read("KeyTable") ==
          "# keys\nk a.example:202611:" + host.dir.path("202611.private") + " # a\n");
    CHECK(host.key_files() == std::vector<std::string>{"202611.private", "mail.private"});
    CHECK(access_of(host.dir.path("202611.private"))->mode == 0640);
    CHECK(host.shown("192.0.2.1", new_name) == host.record_of_new_key());
    CHECK(host.reloader.count >= 1);
}

} // namespace

TEST_CASE("a rotation publishes, switches, reloads, keeps the old record and then empties it") {
    Host host;
    auto const summary = host.run();
    CHECK(summary.failed == 0);
    CHECK(summary.waiting == 0);
    check_switched(host);
    CHECK(host.reloader.count == 1);
    CHECK(host.shown("192.0.2.1", old_name) == "p=OLD");
    CHECK(host.unfinished() == 1);

    host.now += 13 * day;
    host.run();
    CHECK(host.shown("192.0.2.1", old_name) == "p=OLD");
    CHECK(host.row() == "a.example:202612"); // another month has begun
    host.now += day;
    host.run();
    CHECK(host.shown("192.0.2.1", old_name) == "v=DKIM1; k=rsa; p=");
    CHECK(host.shown("192.0.2.2", old_name) == "v=DKIM1; k=rsa; p=");
    CHECK(host.unfinished() == 1); // December's
}

TEST_CASE("nothing is switched before the last server shows the record") {
    Host host;
    host.dns["192.0.2.2"].lag = 4;
    host.while_waiting = [&] {
        CHECK(host.row() == "a.example:mail");
        CHECK(host.reloader.count == 0);
    };
    CHECK(host.run().waiting == 0);
    CHECK(host.pauses >= 2);
    check_switched(host);
}

TEST_CASE("a server that stays behind or silent means that the next run goes on") {
    Host host;
    host.patience = false;
    host.dns["192.0.2.2"].silent = true;
    CHECK(host.run().waiting == 1);
    CHECK(host.row() == "a.example:mail");
    CHECK(host.log.contains("ns2.a.example (192.0.2.2@53): no answer"));
    auto const keys = host.key_files();
    CHECK(host.run().waiting == 1);
    CHECK(host.key_files() == keys);
    host.dns["192.0.2.2"].silent = false;
    CHECK(host.run().waiting == 0);
    check_switched(host);
}

TEST_CASE("a process that is gone at any boundary is gone on with by the next, with the same end") {
    int boundaries = 0;
    for (;; ++boundaries) {
        Host host;
        host.dns["192.0.2.2"].lag = 2;
        bool stopped = false;
        try {
            host.run(boundaries);
        } catch (Stopped const&) {
            stopped = true;
        }
        if (!stopped) break;
        INFO("stopped " << host.stopped_at);
        // Whatever was there when it stopped could sign: the old key, or the new one with its record
        // everywhere.
        if (host.row() != "a.example:mail")
            CHECK(host.shown("192.0.2.2", new_name) == host.record_of_new_key());
        auto const summary = host.run();
        CHECK(summary.failed == 0);
        CHECK(summary.waiting == 0);
        check_switched(host);
        CHECK(host.shown("192.0.2.1", old_name) == "p=OLD");
        CHECK(host.unfinished() == 1);
    }
    CHECK(boundaries ==
          11); // planned, key, published for the domain, published, switched, reloaded: two each but one
}

TEST_CASE("a process that is gone while it revokes is gone on with by the next") {
    int boundaries = 0;
    for (;; ++boundaries) {
        Host host;
        host.run();
        host.now = parse_date("2026-11-30").value(); // no new month yet
        host.run();
        auto text = host.dir.read("state/a.example_mail.rotation");
        host.dir.write("state/a.example_mail.rotation",
                       text + "retire_at = " + std::to_string(host.now) + "\n");
        bool stopped = false;
        try {
            host.run(boundaries);
        } catch (Stopped const&) {
            stopped = true;
        }
        if (stopped) host.run();
        CHECK(host.shown("192.0.2.1", old_name) == "v=DKIM1; k=rsa; p=");
        CHECK(host.unfinished() == 0);
        if (!stopped) break;
    }
    CHECK(boundaries == 2);
}

TEST_CASE("a name that publishes another key is left alone, and the rotation is taken back") {
    Host host;
    host.dns["192.0.2.2"].shown[std::string(new_name)] = {"v=DKIM1; p=OTHERHOST"};
    CHECK(host.run().failed == 1);
    CHECK(host.log.expect(
        "202611._domainkey.a.example is another key's: ns2.a.example (192.0.2.2@53): has another "
        "record: v=DKIM1; p=OTHERHOST; choose another --pattern"));
    CHECK(host.dns.updates().empty());
    CHECK(host.row() == "a.example:mail");
    CHECK(host.key_files() == std::vector<std::string>{"mail.private"});
    CHECK(host.unfinished() == 0);
}

TEST_CASE("an update that is refused fails, and the next run asks again") {
    Host host;
    host.dns.update_error = Error{ErrorKind::permanent, "192.0.2.1@53 does not update a.example: REFUSED"};
    CHECK(host.run().failed == 1);
    CHECK(host.log.expect("step=key_made 192.0.2.1@53 does not update a.example: REFUSED"));
    CHECK(host.row() == "a.example:mail");
    host.dns.update_error.reset();
    CHECK(host.run().failed == 0);
    check_switched(host);
}

TEST_CASE("a record that was lost after it was published is published again by the next run") {
    Host host;
    host.patience = false;
    host.dns["192.0.2.2"].silent = true;
    host.run();
    for (auto const* server : {"192.0.2.1", "192.0.2.2"}) host.dns[server].shown.erase(std::string(new_name));
    host.dns["192.0.2.2"].silent = false;
    host.patience = true;
    host.run();
    CHECK(host.dns.updates().size() == 2);
    check_switched(host);
}

TEST_CASE("a row that was changed by hand meanwhile is not touched") {
    Host host;
    host.patience = false;
    host.dns["192.0.2.2"].silent = true;
    host.run();
    auto const changed = "k a.example:byhand:" + host.dir.path("mail.private") + "\n";
    host.dir.write("KeyTable", changed);
    host.dns["192.0.2.2"].silent = false;
    host.run();
    CHECK(host.log.expect("does not sign with selector mail any more; nothing was switched"));
    // "byhand" is a key like any other and gets its own rotation, with the next free name.
    CHECK(host.row() == "a.example:202611b");
}

TEST_CASE("a reload that fails is done again by the next run, and the old record waits for it") {
    Host host;
    host.patience = false;
    host.reloader.failing = true;
    CHECK(host.run().waiting == 1);
    host.log.expect("no permission");
    CHECK(host.row() == "a.example:202611");
    host.now += 20 * day - 20 * day; // time alone does not end it
    host.reloader.failing = false;
    CHECK(host.run().waiting == 0);
    CHECK(host.reloader.count == 2);
}

TEST_CASE("the record of a selector that is in use again is not emptied") {
    Host host;
    host.run();
    host.dir.write("KeyTable",
                   "k a.example:mail:" + host.dir.path("mail.private") + "\n"); // taken back by hand
    host.dir.write("state/a.example_mail.rotation", host.dir.read("state/a.example_mail.rotation") +
                                                        "retire_at = " + std::to_string(host.now) + "\n");
    host.run();
    CHECK(host.log.expect("selector mail is in use again"));
    CHECK(host.shown("192.0.2.1", old_name) == "p=OLD");
}

TEST_CASE("without a KeyTable, one key of two domains is published for both and switched in the settings") {
    Host host;
    host.resolver.zone.ns("b.example", "ns1.a.example");
    host.dir.write("opendkim.conf", "Domain a.example,b.example\nSelector mail\nKeyFile " +
                                        host.dir.path("mail.private") + "\nSocket inet:8891\n");
    CHECK(host.run().failed == 0);
    CHECK(host.dir.read("opendkim.conf") == "Domain a.example,b.example\nSelector 202611\nKeyFile " +
                                                host.dir.path("202611.private") + "\nSocket inet:8891\n");
    CHECK(host.dns.updates().size() == 2);
    CHECK(host.shown("192.0.2.1", "202611._domainkey.b.example") == host.record_of_new_key());
}
