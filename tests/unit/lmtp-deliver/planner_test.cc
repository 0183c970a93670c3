// Users and settings turned into plans, plans into jobs and back, jobs carried out.
#include "lmtp-deliver/planner.h"

#include "lmtp-deliver/broker.h"
#include "lmtp-deliver/job.h"
#include "lmtp-deliver/mail_delivery.h"
#include "tests/unit/lmtp-deliver/names_in.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/skip.h"
#include "tests/unit/support/test_log.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace postern;
using namespace postern::lmtp_deliver;

namespace {

MailSettings settings() {
    MailSettings out;
    out.location = "maildir:~/Maildir";
    out.quota = true;
    out.plugin = {{"quota", "maildir:User quota"}, {"quota_rule", "*:storage=1G"}, {"quota_grace", "10%%"}};
    return out;
}

Destination destination(std::string detail = "") {
    Destination out;
    out.user.name = "alice@example.com";
    out.user.home = "/home/alice";
    out.user.uid = 5000;
    out.user.gid = 5001;
    out.detail = std::move(detail);
    out.session_id = "id";
    return out;
}

std::string mistake(MailSettings const& s, Destination const& d) {
    auto const plan = make_plan(s, d);
    return plan ? "" : plan.error().text;
}

} // namespace

TEST_CASE("a user's own fields win over the file") {
    auto to = destination();
    auto const plain = make_plan(settings(), to);
    REQUIRE(plain);
    CHECK(plain->location.root == "/home/alice/Maildir");
    CHECK(plain->uid == 5000);
    CHECK(plain->inbox_quota.root_bytes == 1LL << 30);
    to.user.mail = "maildir:/var/vmail/alice:LAYOUT=fs";
    to.user.fields["quota_rule"] = "*:bytes=2000";
    auto const own = make_plan(settings(), to);
    REQUIRE(own);
    CHECK(own->location.root == "/var/vmail/alice");
    CHECK(own->location.layout == Layout::fs);
    CHECK(own->inbox_quota.root_bytes == 2000);
    CHECK(own->inbox_quota.grace == 200);
}

TEST_CASE("what the database leaves out comes from mail_home, mail_uid and mail_gid") {
    auto s = settings();
    s.home = "/var/vmail/%d/%n";
    s.uid = 5000;
    s.gid = 5000;
    auto to = destination();
    to.user = {};
    to.user.name = "alice@example.com";
    auto const plan = make_plan(s, to);
    REQUIRE(plan);
    CHECK(plan->location.root == "/var/vmail/example.com/alice/Maildir");
    CHECK(plan->gid == 5000);
}

TEST_CASE("ids that are missing, root's or outside the valid range are no plan") {
    auto to = destination();
    to.user.uid = 0;
    CHECK(mistake(settings(), to) == "mail is never delivered as root (uid 0)");
    to.user.uid = 499;
    CHECK(mistake(settings(), to).starts_with("uid 499 is outside first_valid_uid 500"));
    to.user.uid.reset();
    CHECK(mistake(settings(), to).starts_with("neither the user database nor mail_uid"));
    to = destination();
    to.user.gid = 0;
    CHECK(mistake(settings(), to).starts_with("gid 0 is outside first_valid_gid 1"));
    auto s = settings();
    s.last_valid_uid = 4999;
    CHECK(mistake(s, destination()).starts_with("uid 5000 is outside"));
}

TEST_CASE("a home that is missing and a variable nobody knows are no plan") {
    auto to = destination();
    to.user.home.reset();
    CHECK(mistake(settings(), to).contains("needs a home directory"));
    auto s = settings();
    s.location = "maildir:/v/%q";
    CHECK(mistake(s, destination()) == "mail_location: unknown variable %q");
    s = settings();
    s.plugin["quota_rule"] = "junk";
    CHECK(mistake(s, destination()).contains("quota_rule"));
}

TEST_CASE("the detail names a folder, made only where the settings say so") {
    auto s = settings();
    auto plan = make_plan(s, destination("Work"));
    CHECK(plan->folder.folder == ".Work");
    CHECK_FALSE(plan->folder.create);
    s.inbox.mailboxes["Junk"] = InboxNamespace::Auto::subscribe;
    s.inbox.prefix = "INBOX.";
    plan = make_plan(s, destination("Junk"));
    CHECK(plan->folder.name == "INBOX.Junk");
    CHECK(plan->folder.create);
    CHECK(plan->folder.subscribe);
    s.autocreate = true;
    plan = make_plan(s, destination("Work"));
    CHECK(plan->folder.create);
    CHECK_FALSE(plan->folder.subscribe);
    s.inbox.separator = '/';
    CHECK(make_plan(s, destination("a/b"))->folder.folder == ".a.b");
    CHECK(make_plan(s, destination("../x"))->folder.folder.empty());
    CHECK(make_plan(s, destination("inbox"))->folder.folder.empty());
}

TEST_CASE("quota rules of a folder follow the namespace's prefix") {
    auto s = settings();
    s.inbox.prefix = "INBOX.";
    s.plugin["quota_rule2"] = "INBOX.Trash:storage=+100M";
    s.plugin["quota_rule3"] = "INBOX.Spam:ignore";
    auto const plan = make_plan(s, destination("Trash"));
    REQUIRE(plan);
    CHECK(plan->quota.folder_bytes == 100LL << 20);
    CHECK(plan->inbox_quota.folder_bytes == 0);
    CHECK(plan->quota.ignored_folders == std::vector<std::string>{".Spam"});
    s.quota = false;
    CHECK_FALSE(make_plan(s, destination())->inbox_quota.active);
}

TEST_CASE("a job survives the way to another process and nothing else is taken for one") {
    auto s = settings();
    s.autocreate = true;
    s.plugin["quota_rule2"] = "Spam:ignore";
    Job job{false, {245, 255}, {*make_plan(s, destination("W\xc3\xb6rk")), *make_plan(s, destination())}};
    auto const bytes = encode_job(job);
    auto const read = decode_job(bytes);
    REQUIRE(read);
    CHECK(encode_job(*read) == bytes);
    CHECK(read->plans[0].folder.folder == ".W&APY-rk");
    CHECK(read->plans[0].quota.ignored_folders == std::vector<std::string>{".Spam"});
    for (std::size_t size = 0; size < bytes.size(); ++size) CHECK_FALSE(decode_job(bytes.substr(0, size)));
    CHECK_FALSE(decode_job(bytes + "0:,"));
}

TEST_CASE("of outcomes that are cut short the whole ones count and the others have failed") {
    auto const first = encode_outcome({Outcome::Kind::saved, ""});
    auto const bytes = first + encode_outcome({Outcome::Kind::over_quota, "Full, 1:x"});
    for (std::size_t size = 0; size <= bytes.size() + 1; ++size) {
        auto const read = decode_outcomes(bytes.substr(0, size), 3);
        REQUIRE(read.size() == 3);
        CHECK((read[0].kind == Outcome::Kind::saved) == (size >= first.size()));
        CHECK((read[1].kind == Outcome::Kind::over_quota) == (size >= bytes.size()));
        CHECK(read[2].kind == Outcome::Kind::failed);
    }
    CHECK(decode_outcomes(bytes, 2)[1].text == "Full, 1:x");
}

TEST_CASE("users of another uid than this process are refused in plain words") {
    test::TestLog log;
    Files files;
    FileNames names("vm");
    Depositor depositor(files, names, log);
    OwnExecutor executor(depositor, log);
    auto const s = settings();
    MailDelivery delivery(s, executor, log);
    auto to = destination();
    to.user.uid = ::geteuid() + 4242;
    Spool spool;
    REQUIRE(spool.append("x\n"));
    CHECK(delivery.deliver(spool, {&to, 1}).at(0).kind == Outcome::Kind::failed);
    CHECK(log.expect("set user = root in lmtp-deliver.conf"));
}

TEST_CASE("the broker's children deliver as the user and for each user apart") {
    if (::geteuid() != 0) return postern::test::skip_case("only root can become other users");
    test::TempDir dir;
    REQUIRE(::chmod(dir.path().c_str(), 0755) == 0);
    test::TestLog log;
    Files files;
    FileNames names("vm");
    Depositor depositor(files, names, log);
    auto broker = Broker::start(depositor, log, 5000);
    REQUIRE(broker);
    CHECK(broker->alive());
    auto s = settings();
    s.check_quota_at_rcpt = true;
    MailDelivery delivery(s, *broker, log);
    std::vector<Destination> all;
    for (uid_t const uid : {5000U, 6000U, 7000U}) {
        auto to = destination();
        to.user.uid = to.user.gid = uid;
        to.user.home = dir.path(std::to_string(uid));
        if (uid != 7000U) { // the third may not make its home
            REQUIRE(::mkdir(to.user.home->c_str(), 0700) == 0);
            REQUIRE(::chown(to.user.home->c_str(), uid, uid) == 0);
        }
        all.push_back(std::move(to));
    }
    CHECK_FALSE(delivery.refusal(all[0]));
    Spool spool;
    REQUIRE(spool.append("Subject: x\n\n"));
    auto const outcomes = delivery.deliver(spool, all);
    CHECK(outcomes.at(0).kind == Outcome::Kind::saved);
    CHECK(outcomes.at(1).kind == Outcome::Kind::saved);
    CHECK(outcomes.at(2).kind == Outcome::Kind::failed);
    for (auto const* user : {"5000", "6000"}) {
        auto const folder = std::string(user) + "/Maildir/new";
        auto const found = test::names_in(dir, folder);
        REQUIRE(found.size() == 1);
        struct stat info{};
        REQUIRE(::stat(dir.path(folder + "/" + found[0]).c_str(), &info) == 0);
        CHECK(std::to_string(info.st_uid) == user);
        CHECK(std::to_string(info.st_gid) == user);
    }
    auto low = s;
    low.first_valid_uid = 100; // the broker knows better
    auto to = all[0];
    to.user.uid = 4999;
    CHECK(MailDelivery(low, *broker, log).deliver(spool, {&to, 1}).at(0).kind == Outcome::Kind::failed);
    all[0].user.fields["quota_rule"] = "*:bytes=5";
    CHECK(delivery.refusal(all[0])->kind == Outcome::Kind::over_quota);
}
