// Quota: rules, the maildirsize file, counting anew, and what is refused.
#include "lmtp-deliver/deposit.h"
#include "lmtp-deliver/quota/count.h"
#include "lmtp-deliver/quota/maildirsize.h"
#include "lmtp-deliver/quota/rules.h"

#include "tests/unit/lmtp-deliver/faulty_files.h"
#include "tests/unit/lmtp-deliver/names_in.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/test_log.h"

#include <fmt/format.h>
#include <utime.h>

#include <sys/stat.h>

#include <filesystem>

using namespace postern;
using namespace postern::lmtp_deliver;
using postern::test::names_in;
using postern::test::TempDir;
using postern::test::TestLog;

namespace {

std::string parsed(std::string_view text) {
    auto const sum = parse_maildirsize(text);
    if (!sum) return "broken";
    return fmt::format("{} = {} {} in {}", limits_line(sum->limits), sum->usage.bytes, sum->usage.count,
                       sum->lines);
}

std::string rule(std::string_view text) {
    auto const read = parse_quota_rule(text);
    if (!read) return "error: " + read.error().text;
    return fmt::format("{} bytes={}{:+}% count={}{:+}%{}", read->mask, read->bytes, read->bytes_percent,
                       read->count, read->count_percent, read->ignore ? " ignore" : "");
}

QuotaPlan plan_of(PluginSettings settings, std::string_view mailbox = "INBOX") {
    settings.emplace("quota", "maildir:User quota");
    auto const plan =
        quota_for(settings, mailbox, "", [](std::string_view name) { return "." + std::string(name); });
    REQUIRE(plan);
    return *plan;
}

struct Mailbox {
    explicit Mailbox(QuotaPlan const& quota) {
        plan.user = "alice";
        auto const root = dir.path("alice");
        plan.location = {root, root, root, "subscriptions", Layout::maildirpp, false};
        plan.quota = plan.inbox_quota = quota;
    }
    Outcome deposit(std::size_t octets) {
        Spool spool;
        REQUIRE(spool.append(std::string(octets, 'x')));
        return depositor.deposit(spool, {&plan, 1}).at(0);
    }
    std::string file() const { return dir.read("alice/maildirsize"); }
    void age(std::int64_t seconds) const {
        utimbuf const times{now - seconds, now - seconds};
        REQUIRE(::utime((dir.path("alice/maildirsize")).c_str(), &times) == 0);
    }

    std::int64_t now = unix_time();
    TempDir dir;
    TestLog log;
    Files files;
    FileNames names{"vm"};
    Depositor depositor{files, names, log, [this] { return now; }};
    Plan plan;
};

} // namespace

TEST_CASE("a maildirsize file is limits and a sum") {
    CHECK(parsed("1073741824S,1000C\n100 1\n-40 -1\n") == "1073741824S,1000C = 60 0 in 2");
    CHECK(parsed("2000S\n0 0\n") == "2000S = 0 0 in 1");
    CHECK(parsed("5C\n") == "5C = 0 0 in 0");
    CHECK(parsed("2000S\n100 1\n50 ") == "2000S = 100 1 in 1"); // still being written
    CHECK(parsed("\n1 1\n") == "0S = 1 1 in 1");
    CHECK(parsed("99999999999999999999S\n1 1\n") == "0S = 1 1 in 1");
    CHECK(parsed("18446744073709551615S\n") == "9223372036854775807S = 0 0 in 0");
}

TEST_CASE("a maildirsize file that cannot be believed is broken") {
    CHECK(parsed("") == "broken");
    CHECK(parsed("2000S") == "broken");
    CHECK(parsed("2000S\nx 1\n") == "broken");
    CHECK(parsed("2000S\n1\n") == "broken");
    CHECK(parsed("2000S\n1 1 1\n") == "broken");
    CHECK(parsed("2000S\n-1 1\n") == "broken");
    CHECK(parsed("2000S\n1 -1\n") == "broken");
    CHECK(parsed("2000S\n\n") == "broken");
    CHECK(parsed("2000S\n9223372036854775807 1\n1 1\n") == "broken");
    CHECK(parsed(std::string_view("2000S\n1 1\n\0\n", 13)) == "broken");
}

TEST_CASE("quota rules are read with their units") {
    CHECK(rule("*:storage=1G") == "* bytes=1073741824+0% count=0+0%");
    CHECK(rule("*:bytes=2000") == "* bytes=2000+0% count=0+0%");
    CHECK(rule("*:storage=100") == "* bytes=102400+0% count=0+0%");
    CHECK(rule("*:storage=1GB:messages=1000") == "* bytes=1073741824+0% count=1000+0%");
    CHECK(rule("Trash:storage=+100M") == "Trash bytes=104857600+0% count=0+0%");
    CHECK(rule("Trash:storage=+10%%") == "error: \"+10%%\" is no amount");
    CHECK(rule("Trash:storage=+10%") == "Trash bytes=0+10% count=0+0%");
    CHECK(rule("Spam:ignore") == "Spam bytes=0+0% count=0+0% ignore");
    CHECK(rule("?:storage=0") == "* bytes=0+0% count=0+0%");
    CHECK(rule("*") == "error: \"*\" is no rule (MAILBOX:LIMIT)");
    CHECK(rule("*:size=1") == "error: \"size\" is no limit");
    CHECK(rule("*:storage=x") == "error: \"x\" is no amount");
    CHECK(rule("*:storage=9999999999999T") == "error: \"9999999999999T\" is no amount");
}

TEST_CASE("limits come from the default rule and what a folder adds to it") {
    PluginSettings const settings{{"quota_rule", "*:storage=1000B"},
                                  {"quota_rule2", "Trash:storage=+10%"},
                                  {"quota_rule3", "Spam*:ignore"},
                                  {"quota_grace", "5%"}};
    auto const inbox = plan_of(settings);
    CHECK(inbox.active);
    CHECK(inbox.forced);
    CHECK(inbox.root_bytes == 1000);
    CHECK(inbox.folder_bytes == 0);
    CHECK(inbox.grace == 50);
    CHECK(inbox.ignored_folders == std::vector<std::string>{".Spam*"});
    CHECK(plan_of(settings, "Trash").folder_bytes == 100);
    CHECK(plan_of(settings, "Spam.old").folder_ignored);
    CHECK(plan_of({{"quota_rule", "*:bytes=1000"}}).grace == 100);
    CHECK(plan_of({{"quota_rule", "*:bytes=1000"}, {"quota_grace", "0"}}).grace == 0);
    CHECK_FALSE(plan_of({}).forced);
    CHECK_FALSE(plan_of({{"quota_rule", "*:backend"}}).forced);
}

TEST_CASE("only a maildir root of the inbox namespace is kept") {
    auto const active = [](PluginSettings const& settings) {
        auto const plan =
            quota_for(settings, "INBOX", "INBOX/", [](std::string_view) { return std::string(); });
        REQUIRE(plan);
        return plan->active;
    };
    CHECK_FALSE(active({}));
    CHECK_FALSE(active({{"quota", "count:User quota"}}));
    CHECK_FALSE(active({{"quota", "maildir:Shared:ns=Public/"}}));
    CHECK(active({{"quota", "maildir:Shared:ns=Public/"}, {"quota2", "maildir:User:ns=INBOX/"}}));
    CHECK_FALSE(active({{"quota", "maildir:User:ignoreunlimited"}}));
    CHECK_FALSE(quota_for({{"quota", "maildir:x"}, {"quota_rule", "junk"}}, "INBOX", "",
                          [](std::string_view) { return std::string(); }));
}

TEST_CASE("masks match as file names do") {
    CHECK(matches_mask("*", ""));
    CHECK(matches_mask("Tr*h", "Trash"));
    CHECK(matches_mask("*a*a*", "banana"));
    CHECK(matches_mask("S?am", "Spam"));
    CHECK_FALSE(matches_mask("Trash", "Trash.x"));
    CHECK_FALSE(matches_mask("*b", "ba"));
    CHECK_FALSE(matches_mask("", "x"));
}

TEST_CASE("sizes stand in file names") {
    CHECK(size_in_name("1.M2P3.vm,S=245,W=255") == 245);
    CHECK(size_in_name("1.M2P3.vm,S=245:2,S") == 245);
    CHECK(size_in_name("1.M2P3.vm,S=245") == 245);
    CHECK_FALSE(size_in_name("1.M2P3.vm,S=245x"));
    CHECK_FALSE(size_in_name("1.M2P3.vm,S=,W=1"));
    CHECK_FALSE(size_in_name("1.M2P3.vm"));
    CHECK_FALSE(size_in_name("1,S=99999999999999999999"));
}

TEST_CASE("the first delivery makes the file and each one adds a line") {
    Mailbox box(plan_of({{"quota_rule", "*:bytes=2000"}}));
    CHECK(box.deposit(100).kind == Outcome::Kind::saved);
    CHECK(box.deposit(50).kind == Outcome::Kind::saved);
    CHECK(box.file() == "2000S\n0 0\n100 1\n50 1\n");
}

TEST_CASE("a mailbox below its limit may pass it once by the grace, one at its limit takes nothing") {
    Mailbox box(plan_of({{"quota_rule", "*:bytes=1000"}}));
    CHECK(box.deposit(1101).kind == Outcome::Kind::over_quota);
    CHECK(box.deposit(999).kind == Outcome::Kind::saved);
    auto const refused = box.deposit(102);
    CHECK(refused.kind == Outcome::Kind::over_quota);
    CHECK(refused.text == "Quota exceeded (mailbox for user is full)");
    CHECK_FALSE(box.depositor.refusal(box.plan));
    CHECK(box.deposit(101).kind == Outcome::Kind::saved);
    CHECK(box.deposit(1).kind == Outcome::Kind::over_quota);
    CHECK(box.depositor.refusal(box.plan)->kind == Outcome::Kind::over_quota);
    CHECK(box.log.contains(
        "msgid=unspecified: save failed to INBOX: Quota exceeded (mailbox for user is full)"));
}

TEST_CASE("without grace a mailbox is filled to the octet") {
    Mailbox box(plan_of({{"quota_rule", "*:bytes=1000"}, {"quota_grace", "0"}}));
    CHECK(box.deposit(1001).kind == Outcome::Kind::over_quota);
    CHECK(box.deposit(1000).kind == Outcome::Kind::saved);
}

TEST_CASE("messages are counted, and words and kind of the refusal are settings") {
    Mailbox box(plan_of({{"quota_rule", "*:messages=1"}, {"quota_exceeded_message", "Full."}}));
    box.plan.inbox_quota.full_is_temporary = true;
    CHECK(box.deposit(5).kind == Outcome::Kind::saved);
    CHECK(box.file() == "1C\n0 0\n5 1\n");
    auto const refused = box.deposit(5);
    CHECK(refused.kind == Outcome::Kind::over_quota_for_now);
    CHECK(refused.text == "Full.");
}

TEST_CASE("noenforcing counts and lets through") {
    Mailbox box(plan_of({{"quota", "maildir:User:noenforcing"}, {"quota_rule", "*:bytes=10"}}));
    CHECK(box.deposit(500).kind == Outcome::Kind::saved);
    CHECK(box.deposit(500).kind == Outcome::Kind::saved);
    CHECK(names_in(box.dir, "alice/new").size() == 2);
}

TEST_CASE("changed limits, a broken file and a long one are counted anew") {
    Mailbox box(plan_of({{"quota_rule", "*:bytes=90000"}}));
    REQUIRE(box.deposit(100).kind == Outcome::Kind::saved);
    for (auto const& old : {std::string("5000S\n7 7\n"), std::string("90000S\n-5 0\n"), std::string("junk\n"),
                            "90000S\n" + std::string(max_maildirsize, '0') + "0 0\n"}) {
        box.dir.write("alice/maildirsize", old);
        Maildirsize sizes(
            box.files, box.plan.location, [](std::string const&) { return false; }, [&] { return box.now; });
        auto const state = sizes.read(QuotaLimits{90000, 0}, {});
        REQUIRE(state);
        CHECK(state->usage == QuotaUsage{100, 1});
        CHECK(box.file() == "90000S\n100 1\n");
    }
}

TEST_CASE("a file of the longest length is believed and one octet more is not") {
    TempDir dir;
    auto const root = dir.path("m");
    MailLocation const location{root, root, root, "subscriptions", Layout::maildirpp, false};
    Files files;
    Maildirsize sizes(
        files, location, [](std::string const&) { return false; }, [] { return std::int64_t{0}; });
    std::string text = "90000S\n5 5\n";
    while (text.size() + 4 <= max_maildirsize) text += "0 0\n";
    text.insert(7, std::string(max_maildirsize - text.size(), '0'));
    REQUIRE(text.size() == max_maildirsize);
    dir.write("m/maildirsize", text);
    CHECK(sizes.read(QuotaLimits{90000, 0}, {})->usage == QuotaUsage{5, 5});
    text.insert(7, "0");
    dir.write("m/maildirsize", text);
    CHECK(sizes.read(QuotaLimits{90000, 0}, {})->usage == QuotaUsage{0, 0});
}

TEST_CASE("before refusing, a sum of many lines or an old one is counted anew") {
    Mailbox box(plan_of({{"quota_rule", "*:bytes=1000"}, {"quota_grace", "0"}}));
    REQUIRE(box.deposit(100).kind == Outcome::Kind::saved);
    box.dir.write("alice/maildirsize", "1000S\n2000 1\n");
    CHECK(box.deposit(100).kind == Outcome::Kind::over_quota); // fresh, one line: believed
    box.age(maildirsize_stale_seconds + 60);
    CHECK(box.deposit(100).kind == Outcome::Kind::saved);
    CHECK(box.file() == "1000S\n100 1\n100 1\n");
    box.dir.write("alice/maildirsize", "1000S\n1000 1\n1000 1\n");
    CHECK(box.deposit(100).kind == Outcome::Kind::saved);
    CHECK(box.file() == "1000S\n200 2\n100 1\n");
}

TEST_CASE("all folders count but those that a rule ignores") {
    Mailbox box(plan_of({{"quota_rule", "*:bytes=100000"}, {"quota_rule2", "Spam:ignore"}}));
    box.dir.write("alice/cur/1.vm,S=10,W=11:2,S", "");
    box.dir.write("alice/new/2.vm", "12345");
    box.dir.write("alice/.Sent/cur/3.vm,S=100:2,", "");
    box.dir.write("alice/.Spam/cur/4.vm,S=5000:2,", "");
    box.dir.write("alice/tmp/5.vm,S=7", "");
    CHECK(box.deposit(1).kind == Outcome::Kind::saved);
    CHECK(box.file() == "100000S\n115 3\n1 1\n");
    box.plan.folder = {".Spam", "Spam", "Spam", false, false};
    box.plan.quota = plan_of({{"quota_rule", "*:bytes=100000"}, {"quota_rule2", "Spam:ignore"}}, "Spam");
    CHECK(box.deposit(1).kind == Outcome::Kind::saved);
    CHECK(box.file() == "100000S\n115 3\n1 1\n");
}

TEST_CASE("without a configured limit the file's own one counts, and no file means no quota") {
    Mailbox box(plan_of({}));
    CHECK(box.deposit(100).kind == Outcome::Kind::saved);
    CHECK(box.file().empty());
    box.dir.write("alice/maildirsize", "150S\n100 1\n");
    CHECK(box.deposit(200).kind == Outcome::Kind::over_quota);
    CHECK(box.deposit(40).kind == Outcome::Kind::saved);
    CHECK(box.file() == "150S\n100 1\n40 1\n");
}

TEST_CASE("LAYOUT=fs counts directories in directories") {
    TempDir dir;
    auto const root = dir.path("m");
    MailLocation const location{root, root, root, "subscriptions", Layout::fs, false};
    dir.write("m/new/1,S=1", "");
    dir.write("m/Sub/Box/cur/2,S=20:2,", "");
    dir.write("m/.hidden/cur/3,S=300:2,", "");
    auto const counted = count_folders(location, [](std::string const&) { return false; });
    REQUIRE(counted);
    CHECK(counted->usage == QuotaUsage{21, 2});
}

TEST_CASE("a circle of links in LAYOUT=fs ends, as a failure for now") {
    TempDir dir;
    auto const root = dir.path("m");
    MailLocation const location{root, root, root, "subscriptions", Layout::fs, false};
    dir.write("m/new/1,S=1", "");
    std::filesystem::create_directory_symlink(".", root + "/a");
    auto const counted = count_folders(location, [](std::string const&) { return false; });
    REQUIRE_FALSE(counted);
    CHECK(counted.error().kind == ErrorKind::temporary);
}

TEST_CASE("a FIFO in the place of maildirsize keeps no delivery waiting") {
    Mailbox box(plan_of({{"quota_rule", "*:bytes=1000"}}));
    REQUIRE(box.deposit(1).kind == Outcome::Kind::saved);
    std::filesystem::remove(box.dir.path("alice/maildirsize"));
    REQUIRE(::mkfifo(box.dir.path("alice/maildirsize").c_str(), 0600) == 0);
    CHECK(box.deposit(1).kind == Outcome::Kind::failed);
    CHECK(box.log.expect("maildirsize is not a regular file"));
}

TEST_CASE("a mailbox changed while it was counted is counted again next time") {
    Mailbox box(plan_of({{"quota_rule", "*:bytes=1000"}}));
    REQUIRE(box.deposit(100).kind == Outcome::Kind::saved);
    auto const counted = count_folders(box.plan.location, [](std::string const&) { return false; });
    REQUIRE(counted);
    auto const none = [](std::string const&) { return false; };
    CHECK(changed_since(box.plan.location, none, counted->latest_change) == false);
    CHECK(changed_since(box.plan.location, none, counted->latest_change - 1) == true);
}
