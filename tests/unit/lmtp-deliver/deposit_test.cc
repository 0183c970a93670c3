// Copies in Maildirs: names, modes, fsync, links, folders, and each system call failing in turn.
#include "lmtp-deliver/deposit.h"

#include "tests/unit/lmtp-deliver/faulty_files.h"
#include "tests/unit/lmtp-deliver/names_in.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/test_log.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

using namespace postern;
using namespace postern::lmtp_deliver;
using postern::test::FaultyFiles;
using postern::test::names_in;
using postern::test::TempDir;
using postern::test::TestLog;

namespace {

Spool spool_of(std::string_view text) {
    Spool spool;
    REQUIRE(spool.append(text));
    return spool;
}

std::string name_at(std::int64_t microseconds, std::string_view sizes) {
    return fmt::format("1795240587.M{}P{}.mx.example.com{}", microseconds, ::getpid(), sizes);
}

struct Fixture {
    Plan plan_for(std::string const& user, std::string const& folder = "") const {
        Plan plan;
        plan.user = user;
        plan.session_id = "wTU8KVcxAWviJgAAg+zDdQ";
        auto const root = dir.path(user);
        plan.location = {root, root, root, "subscriptions", Layout::maildirpp, false};
        if (!folder.empty()) plan.folder = {"." + folder, folder, folder, false, false};
        return plan;
    }
    Outcome::Kind deposit(Plan const& plan, std::string_view text = "Subject: a\n\nx\n") {
        auto const outcomes = depositor.deposit(spool_of(text), {&plan, 1});
        REQUIRE(outcomes.size() == 1);
        return outcomes[0].kind;
    }
    mode_t mode(std::string const& below) const {
        struct stat info{};
        REQUIRE(::stat((dir.path(below)).c_str(), &info) == 0);
        return info.st_mode & 07777;
    }

    TempDir dir;
    TestLog log;
    FaultyFiles files;
    FileNames names{"mx.example.com", [] { return FileNames::Time{1795240587, 97199}; }};
    Depositor depositor{files, names, log, [] { return std::int64_t{1795240587}; }};
};

constexpr auto saved = Outcome::Kind::saved;
constexpr auto failed = Outcome::Kind::failed;

} // namespace

TEST_CASE("a copy lands in new with its sizes in the name and nothing in tmp") {
    Fixture f;
    CHECK(f.deposit(f.plan_for("alice"), "Subject: a\n\nx\r\ny\n") == saved);
    CHECK(names_in(f.dir, "alice/new") == std::vector{name_at(97199, ",S=17,W=20")});
    CHECK(f.dir.read("alice/new/" + name_at(97199, ",S=17,W=20")) == "Subject: a\n\nx\r\ny\n");
    CHECK(names_in(f.dir, "alice/tmp").empty());
    CHECK(names_in(f.dir, "alice") == std::vector<std::string>{"cur", "new", "tmp"});
    CHECK(f.mode("alice") == 0700);
    CHECK(f.mode("alice/new/" + name_at(97199, ",S=17,W=20")) == 0600);
    CHECK(f.log.expect(fmt::format(
        "lmtp(alice)<{}><wTU8KVcxAWviJgAAg+zDdQ>: msgid=unspecified: saved mail to INBOX", ::getpid())));
}

TEST_CASE("the file is synced before it is renamed and the directory after") {
    Fixture f;
    REQUIRE(f.deposit(f.plan_for("alice")) == saved);
    f.files.done.clear();
    REQUIRE(f.deposit(f.plan_for("alice")) == saved);
    auto const root = f.dir.path("alice");
    CHECK(f.files.done == std::vector<std::string>{
                              "mkdir " + root + "/cur", "mkdir " + root + "/new", "mkdir " + root + "/tmp",
                              "open " + root + "/tmp/" + name_at(97200, ""), "write", "fsync", "close",
                              "rename " + root + "/tmp/" + name_at(97200, "") + " " + root + "/new/" +
                                  name_at(97200, ",S=14,W=17"),
                              "open " + root + "/new", "fsync"});
}

TEST_CASE("mail_fsync=never syncs neither file nor directory of the message") {
    Fixture f;
    auto plan = f.plan_for("alice");
    REQUIRE(f.deposit(plan) == saved);
    f.files.done.clear();
    plan.fsync = Fsync::never;
    REQUIRE(f.deposit(plan) == saved);
    for (auto const& call : f.files.done) CHECK(call != "fsync");
}

TEST_CASE("names are unique when the clock stands still") {
    Fixture f;
    for (int i = 0; i < 3; ++i) REQUIRE(f.deposit(f.plan_for("alice")) == saved);
    CHECK(names_in(f.dir, "alice/new") == std::vector{name_at(97199, ",S=14,W=17"),
                                                      name_at(97200, ",S=14,W=17"),
                                                      name_at(97201, ",S=14,W=17")});
    FileNames edge("a:b/c,d e", [] { return FileNames::Time{7, 999999}; });
    CHECK(edge.next() == fmt::format("7.M999999P{}.a\\072b\\057c\\054d_e", ::getpid()));
    CHECK(edge.next() == fmt::format("8.M0P{}.a\\072b\\057c\\054d_e", ::getpid()));
}

TEST_CASE("a name that is taken in tmp is not overwritten") {
    Fixture f;
    f.dir.write("alice/tmp/" + name_at(97199, ""), "another");
    CHECK(f.deposit(f.plan_for("alice")) == saved);
    CHECK(names_in(f.dir, "alice/new") == std::vector{name_at(97200, ",S=14,W=17")});
    CHECK(f.dir.read("alice/tmp/" + name_at(97199, "")) == "another");
}

TEST_CASE("further recipients get a hard link to the same file") {
    Fixture f;
    std::vector const plans{f.plan_for("alice"), f.plan_for("bob")};
    auto const outcomes = f.depositor.deposit(spool_of("Subject: a\n\nx\n"), plans);
    REQUIRE(outcomes.size() == 2);
    CHECK(outcomes[0].kind == saved);
    CHECK(outcomes[1].kind == saved);
    auto const inode = [&](std::string const& path) {
        struct stat info{};
        REQUIRE(::stat((f.dir.path(path)).c_str(), &info) == 0);
        return info.st_ino;
    };
    CHECK(inode("alice/new/" + names_in(f.dir, "alice/new").at(0)) ==
          inode("bob/new/" + names_in(f.dir, "bob/new").at(0)));
    CHECK(f.dir.read("bob/new/" + names_in(f.dir, "bob/new").at(0)) == "Subject: a\n\nx\n");
    CHECK(names_in(f.dir, "bob/tmp").empty());
}

TEST_CASE("a mailbox with other modes gets a copy of its own") {
    Fixture f;
    std::filesystem::create_directories(f.dir.path("bob"));
    REQUIRE(::chmod((f.dir.path("bob")).c_str(), 0750) == 0);
    std::vector const plans{f.plan_for("alice"), f.plan_for("bob")};
    CHECK(f.depositor.deposit(spool_of("x\n"), plans)[1].kind == saved);
    auto const file = "bob/new/" + names_in(f.dir, "bob/new").at(0);
    CHECK(f.mode(file) == 0640);
    CHECK(f.mode("bob/new") == 0750);
    CHECK(std::filesystem::hard_link_count(f.dir.path(file)) == 1);
}

TEST_CASE("a recipient whose mailbox fails does not touch the others") {
    Fixture f;
    f.dir.write("bob", "a file in the way");
    std::vector const plans{f.plan_for("bob"), f.plan_for("alice")};
    auto const outcomes = f.depositor.deposit(spool_of("x\n"), plans);
    CHECK(outcomes[0].kind == failed);
    CHECK(outcomes[1].kind == saved);
    CHECK(f.log.expect("is not a directory"));
}

TEST_CASE("folders inherit mode and setgid of the Maildir") {
    Fixture f;
    std::filesystem::create_directories(f.dir.path("alice"));
    REQUIRE(::chmod((f.dir.path("alice")).c_str(), 02770) == 0);
    auto plan = f.plan_for("alice", "Junk");
    plan.folder.create = true;
    CHECK(f.deposit(plan) == saved);
    CHECK(f.mode("alice/.Junk") == 02770);
    CHECK(f.mode("alice/.Junk/new") == 02770);
    CHECK(f.mode("alice/.Junk/maildirfolder") == 0660);
    CHECK(f.mode("alice/.Junk/new/" + names_in(f.dir, "alice/.Junk/new").at(0)) == 0660);
}

TEST_CASE("a missing folder means INBOX unless it is to be made") {
    Fixture f;
    auto plan = f.plan_for("alice", "Work");
    CHECK(f.deposit(plan) == saved);
    CHECK(names_in(f.dir, "alice/new").size() == 1);
    CHECK(f.log.contains("save failed to open mailbox Work: Mailbox doesn't exist: Work"));
    plan.folder.create = true;
    plan.folder.subscribe = true;
    CHECK(f.deposit(plan) == saved);
    CHECK(names_in(f.dir, "alice/.Work/new").size() == 1);
    CHECK(names_in(f.dir, "alice/.Work") == std::vector<std::string>{"cur", "maildirfolder", "new", "tmp"});
    CHECK(f.dir.read("alice/subscriptions") == "V\t2\n\nWork\n");
    CHECK(f.deposit(plan) == saved);
    CHECK(f.dir.read("alice/subscriptions") == "V\t2\n\nWork\n");
    CHECK(f.log.contains("saved mail to Work"));
}

TEST_CASE("a subscription is added to the old form of the file in that form") {
    Fixture f;
    f.dir.write("alice/subscriptions", "INBOX\nSent");
    auto plan = f.plan_for("alice", "Sub.Box");
    plan.folder.subscription = "Sub\tBox";
    plan.folder.create = plan.folder.subscribe = true;
    CHECK(f.deposit(plan) == saved);
    CHECK(f.dir.read("alice/subscriptions") == "INBOX\nSent\nSub.Box\n");
    CHECK(names_in(f.dir, "alice").back() == "tmp"); // no lock left
}

TEST_CASE("with LAYOUT=fs a folder's parents are plain directories") {
    Fixture f;
    auto plan = f.plan_for("alice");
    plan.location.layout = Layout::fs;
    plan.folder = {"Sub/Box", "Sub/Box", "Sub\tBox", true, true};
    CHECK(f.deposit(plan) == saved);
    CHECK(names_in(f.dir, "alice/Sub/Box") == std::vector<std::string>{"cur", "new", "tmp"});
    CHECK(names_in(f.dir, "alice/Sub") == std::vector<std::string>{"Box"});
    CHECK(f.dir.read("alice/subscriptions") == "V\t2\n\nSub\tBox\n");
}

TEST_CASE("whatever system call fails, a copy is whole in new or nowhere") {
    for (bool const quota : {false, true})
        for (int call = 1;; ++call) {
            Fixture f;
            f.files.failing_call = call;
            f.files.error = ENOSPC;
            auto plan = f.plan_for("alice", "Junk");
            plan.folder.create = plan.folder.subscribe = true;
            plan.quota.active = plan.quota.forced = quota;
            plan.quota.root_bytes = 1000;
            auto const kind = f.deposit(plan);
            INFO("call " << call << ": "
                         << f.files.done.at(
                                std::min<std::size_t>(static_cast<std::size_t>(call), f.files.done.size()) -
                                1));
            REQUIRE(names_in(f.dir, "alice/new").empty());
            REQUIRE(names_in(f.dir, "alice/tmp").empty());
            REQUIRE(names_in(f.dir, "alice/.Junk/tmp").empty());
            REQUIRE(names_in(f.dir, "alice/.Junk/new").size() == (kind == saved ? 1 : 0));
            f.log.expect(": ");
            if (f.files.calls < call) {
                REQUIRE(kind == saved);
                REQUIRE(call > 20);
                break;
            }
        }
}

TEST_CASE("a copy that failed is stored by the next attempt, once") {
    for (int call = 1; call < 30; ++call) {
        Fixture f;
        f.files.failing_call = call;
        auto const first = f.deposit(f.plan_for("alice"));
        f.files.failing_call = 0;
        if (first == failed) REQUIRE(f.deposit(f.plan_for("alice")) == saved);
        REQUIRE(names_in(f.dir, "alice/new").size() == 1);
        f.log.expect(": ");
    }
}

TEST_CASE("short writes are continued") {
    Fixture f;
    f.files.longest_write = 3;
    CHECK(f.deposit(f.plan_for("alice"), "Subject: longer than three\n") == saved);
    CHECK(f.dir.read("alice/new/" + names_in(f.dir, "alice/new").at(0)) == "Subject: longer than three\n");
}

TEST_CASE("a file that the system cuts short is not delivered") {
    Fixture f;
    REQUIRE(f.deposit(f.plan_for("alice")) == saved);
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit old{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &old) == 0);
    rlimit const small{50000, old.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
    auto const kind = f.deposit(f.plan_for("alice"), std::string(100000, 'x'));
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &old) == 0);
    CHECK(kind == failed);
    CHECK(names_in(f.dir, "alice/new").size() == 1);
    CHECK(names_in(f.dir, "alice/tmp").empty());
    CHECK(f.log.expect("File too large"));
}

TEST_CASE("a mailbox that may not be written is a failure and not a lost mail") {
    Fixture f;
    REQUIRE(f.deposit(f.plan_for("alice")) == saved);
    REQUIRE(::chmod(f.dir.path().c_str(), 0755) == 0);
    REQUIRE(::chmod((f.dir.path("alice")).c_str(), 0755) == 0);
    REQUIRE(::chmod((f.dir.path("alice/tmp")).c_str(), 0555) == 0);
    // As root modes do not count: another user tries in a process of its own.
    auto const child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        if (::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) ::_exit(9);
        NullLog quiet;
        Depositor depositor(f.files, f.names, quiet);
        Spool spool;
        static_cast<void>(spool.append("x\n"));
        auto const plan = f.plan_for("alice");
        ::_exit(depositor.deposit(spool, {&plan, 1})[0].kind == failed ? 0 : 1);
    }
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    CHECK(names_in(f.dir, "alice/new").size() == 1);
}
