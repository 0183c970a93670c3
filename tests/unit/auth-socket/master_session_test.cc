// The userdb and master protocols against what Dovecot 2.3.19 answered.
#include "auth-socket/master_session.h"
#include "common/base/text.h"
#include "tests/unit/auth-socket/fixture.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/replay.h"

using namespace postern;
using namespace postern::auth_socket;
using namespace postern::auth_socket::test;

namespace {

constexpr std::string_view greeting = "VERSION\t1\t1\nSPID\t17633\n";

struct Master : House {
    MasterSettings settings;
    net::Peer peer{.address = "unix", .port = 0, .local_address = "", .local_port = 0, .credentials = {}};

    std::unique_ptr<MasterSession> master() {
        return std::make_unique<MasterSession>(settings, authority(), surroundings, peer, net::Waker());
    }
    // What comes behind the greeting, in pieces of any size.
    std::string answer(std::string_view lines) {
        auto const all = postern::test::replay_in_all_pieces([this] { return master(); },
                                                             "VERSION\t1\t0\n" + std::string(lines));
        REQUIRE(all.starts_with(greeting));
        return all.substr(greeting.size());
    }
};

} // namespace

TEST_CASE("USER, PASS and LIST are answered as Dovecot does") {
    Master master;
    CHECK(master.answer("USER\t1\talice@example.com\tservice=lmtp\n") ==
          "USER\t1\talice@example.com\thome=/srv/try/mail/example.com/alice\tuid=65534\tgid=65534\n");
    CHECK(master.answer("USER\t2\tALICE@EXAMPLE.com\tprotocol=lmtp\tlip=127.0.0.1\n")
              .starts_with("USER\t2\talice@example.com\t"));
    CHECK(master.answer("USER\t2\tnobody@example.com\tservice=lmtp\n") == "NOTFOUND\t2\n");
    CHECK(master.answer("USER\t0\ta'b@example.com\tservice=lmtp\n") == "NOTFOUND\t0\n");
    CHECK(master.answer("PASS\t3\talice@example.com\tservice=smtp\n") == "PASS\t3\tuser=alice@example.com\n");
    CHECK(master.answer("PASS\t3\tnobody@example.com\tservice=smtp\n") == "NOTFOUND\t3\n");
    CHECK(master.answer("LIST\t4\tuser=*\tservice=doveadm\n") == "LIST\t4\talice@example.com\nDONE\t4\t\n");
    CHECK(master.answer("LIST\t4\tuser=b*\tservice=doveadm\n") == "DONE\t4\t\n");
}

TEST_CASE("a database that is away is FAIL, never NOTFOUND") {
    Master master;
    master.users->fails = true;
    CHECK(master.answer("USER\t1\talice@example.com\tservice=lmtp\n") == "FAIL\t1\n");
    CHECK(master.answer("PASS\t1\talice@example.com\tservice=lmtp\n") == "FAIL\t1\tcode=temp_fail\n");
    CHECK(master.answer("LIST\t1\n") == "DONE\t1\tfail\n");
    CHECK(master.log.expect("the database is away"));
}

TEST_CASE("lines that are not the protocol's end the connection, after what was answered before") {
    Master master;
    for (auto const* line : {"USER\t5\talice@example.com\n", "USER\t5\n", "USER\n", "USER\tx\ta\tservice=y\n",
                             "CPID\t3\n", "REQUEST\t1\t1\t1\t00\n", "CACHE-FLUSH\t1\n", "\n", "FOO\t1\n"}) {
        INFO(line);
        CHECK(master.answer(line) == "<closed>");
        CHECK(master.answer("USER\t2\tnobody@x\tservice=lmtp\n" + std::string(line)) ==
              "NOTFOUND\t2\n<closed>");
    }
    CHECK(postern::test::replay(*master.master(), "VERSION\t2\t0\n") == std::string(greeting) + "<closed>");
    CHECK(postern::test::replay(*master.master(), "VERSION\t1\t0\n" + std::string(master_line_limit, 'x')) ==
          std::string(greeting) + "<closed>");
    postern::test::replay_cut_off([&] { return master.master(); },
                                  "VERSION\t1\t0\nUSER\t1\talice@example.com\tservice=lmtp\nLIST\t2\n");
}

TEST_CASE("on a 0666 socket others than its owner see only themselves") {
    Master master;
    master.settings = {
        .master_role = false, .checks_peer = true, .socket_uid = 10, .socket_gid = 20, .flush_cache = {}};
    auto const user = "USER\t1\talice@example.com\tservice=lmtp\n",
               pass = "PASS\t2\talice@example.com\tservice=x\n";
    master.peer.credentials = {.pid = 1, .uid = 65534, .gid = 65534};
    CHECK(master.answer(user).starts_with("USER\t1\talice@example.com\t"));
    CHECK(master.answer(pass) == "FAIL\t2\n");
    CHECK(master.answer("LIST\t3\n") == "DONE\t3\tfail\n");
    master.peer.credentials = {.pid = 1, .uid = 7, .gid = 7};
    CHECK(master.answer(user) == "FAIL\t1\n");
    CHECK(master.answer("USER\t1\tnobody@x\tservice=lmtp\n") == "NOTFOUND\t1\n");
    CHECK(master.log.expect("uid 7 may not look up this user"));
    for (auto const& [uid, gid] : {std::pair{10U, 7U}, std::pair{7U, 20U}}) {
        master.peer.credentials = {.pid = 1, .uid = uid, .gid = gid};
        CHECK(master.answer(pass) == "PASS\t2\tuser=alice@example.com\n");
    }
}

TEST_CASE("REQUEST gives the user of a finished login once, with the right pid and cookie") {
    Master master;
    master.settings.master_role = true;
    master.peer.credentials = {.pid = 99, .uid = 0, .gid = 0};
    auto const log_in = [&] {
        FinishedLogin login;
        login.request.user = login.outcome.user = "alice@example.com";
        login.request.mechanism = "PLAIN";
        login.request.client_pid = 4242;
        master.logins.keep("c00c1e", 1, login);
    };
    auto const ask = [&](std::string_view rest) {
        auto const all =
            postern::test::replay(*master.master(), "VERSION\t1\t1\nREQUEST\t7\t" + std::string(rest) + "\n");
        return all.substr(greeting.size());
    };
    log_in();
    CHECK(ask("4242\t1\tc00c1e\tsession_pid=99\trequest_auth_token") ==
          "USER\t7\talice@example.com\thome=/srv/try/mail/example.com/"
          "alice\tuid=65534\tgid=65534\tauth_mech=PLAIN\n");
    CHECK(ask("4242\t1\tc00c1e") == "FAIL\t7\n");
    log_in();
    for (auto const* wrong :
         {"4243\t1\tc00c1e", "4242\t2\tc00c1e", "4242\t1\tc00c1f", "4242\t1\tc00c1e\tsession_pid=98"}) {
        INFO(wrong);
        CHECK(ask(wrong) == "FAIL\t7\n");
    }
    CHECK(ask("4242\t1") == "<closed>");
    master.now += request_lifetime;
    CHECK(ask("4242\t1\tc00c1e") == "FAIL\t7\n");
    CHECK(master.log.expect("REQUEST for a login that is not there"));
    CHECK(master.log.expect("REQUEST says session_pid=98"));
}

TEST_CASE("CACHE-FLUSH tells how much went, on the master socket") {
    Master master;
    master.settings.master_role = true;
    std::vector<std::string> flushed;
    master.settings.flush_cache = [&](auto const& users) {
        flushed = users;
        return std::size_t(3);
    };
    CHECK(master.answer("CACHE-FLUSH\t4\ta@x\tb@x\n") == "OK\t4\t3\n");
    CHECK(flushed == std::vector<std::string>{"a@x", "b@x"});
}
