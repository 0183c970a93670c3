// The user database protocol, and a client whose server is slow, wrong, restarted or gone.
#include "lmtp-deliver/userdb.h"

#include "common/net/listener.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/temp_dir.h"

#include <poll.h>
#include <sys/socket.h>

#include <functional>
#include <thread>

using namespace postern;
using namespace postern::lmtp_deliver;

namespace {

Origin const unix_origin;

std::string reply(std::string_view line) {
    auto const read = parse_userdb_reply(line, 7);
    if (!read) return "error: " + read.error().text;
    if (read->kind == UserdbReply::Kind::not_found) return "not found";
    if (read->kind == UserdbReply::Kind::other) return "other";
    if (read->kind == UserdbReply::Kind::failed) return "failed: " + read->reason;
    auto const& user = read->user;
    std::string out = user.name;
    if (user.home) out += " home=" + *user.home;
    if (user.mail) out += " mail=" + *user.mail;
    if (user.uid) out += " uid=" + std::to_string(*user.uid);
    if (user.gid) out += " gid=" + std::to_string(*user.gid);
    for (auto const& [name, value] : user.fields) out += " " + name + "=" + value;
    return out;
}

// Serves one connection after another, each with the next script.
class Server {
  public:
    using Script = std::function<void(net::Stream&)>;
    Server(test::TempDir const& dir, std::vector<Script> scripts) {
        net::ListenAddress address;
        address.address.path = dir.path("userdb");
        auto listener = net::Listener::open(address);
        REQUIRE(listener);
        thread_ = std::thread([listener = std::move(*listener), scripts = std::move(scripts)] {
            for (auto const& script : scripts) {
                pollfd waiting{listener.descriptor(), POLLIN, 0};
                ::poll(&waiting, 1, 10000);
                net::Stream stream(net::Descriptor(::accept(listener.descriptor(), nullptr, nullptr)));
                script(stream);
            }
        });
    }
    ~Server() { thread_.join(); }

  private:
    std::thread thread_;
};

Deadline soon() { return Deadline::after(std::chrono::seconds(10)); }

net::Address address_in(test::TempDir const& dir) {
    net::Address address;
    address.path = dir.path("userdb");
    return address;
}

// Answers the given number of questions and hangs up.
Server::Script answers(int count, std::vector<std::string>& heard) {
    return [count, &heard](net::Stream& stream) {
        static_cast<void>(stream.write("VERSION\t1\t1\nSPID\t4711\n", soon()));
        for (int i = 0; i < count;) {
            auto const line = stream.read_line(2000, soon());
            if (!line) return;
            heard.push_back(*line);
            if (!line->starts_with("USER\t")) continue;
            ++i;
            auto const id = line->substr(5, line->find('\t', 5) - 5);
            auto const known = line->contains("alice");
            static_cast<void>(
                stream.write(known ? "USER\t" + id + "\talice\tuid=5\n" : "NOTFOUND\t" + id + "\n", soon()));
        }
    };
}

} // namespace

TEST_CASE("a question names the user, the service and the connection") {
    CHECK(*userdb_request(1, "alice@example.com", unix_origin) ==
          "USER\t1\talice@example.com\tservice=lmtp\n");
    CHECK(*userdb_request(2, "a\tb\nc\001\r", {"192.0.2.7", 4711, "192.0.2.1", 24}) ==
          "USER\t2\ta\001tb\001nc\0011\001r\tservice=lmtp\tlip=192.0.2.1\tlport=24\trip=192.0.2.7\trport="
          "4711\n");
}

TEST_CASE("a question of 1024 octets is asked and a longer one is not") {
    auto const around = userdb_request(1, "", unix_origin)->size();
    CHECK(userdb_request(1, std::string(max_userdb_request - around, 'x'), unix_origin));
    CHECK_FALSE(userdb_request(1, std::string(max_userdb_request - around + 1, 'x'), unix_origin));
}

TEST_CASE("answers are read with their fields") {
    CHECK(
        reply(
            "USER\t7\talice@example.com\thome=/h\tuid=5\tgid=6\tquota_rule=*:bytes=2000\tmail=maildir:/m") ==
        "alice@example.com home=/h mail=maildir:/m uid=5 gid=6 quota_rule=*:bytes=2000");
    CHECK(reply("USER\t7\ta\001tb\thome=/x\001ty\tflag") == "a\tb home=/x\ty flag=");
    CHECK(reply("NOTFOUND\t7") == "not found");
    CHECK(reply("VERSION\t1\t4") == "other");
    CHECK(reply("SPID\t17") == "other");
    CHECK(reply("USER\t8\tbob") == "other");
    CHECK(reply("") == "other");
}

TEST_CASE("FAIL, another version and ids that are no numbers are failures") {
    CHECK(reply("FAIL\t7") == "failed: the user database failed");
    CHECK(reply("FAIL\t7\treason=away\001tnow") == "failed: the user database failed: away\\x09now");
    CHECK(reply("VERSION\t2\t0") == "error: the user database speaks another version");
    CHECK(reply("USER\t7\talice\tuid=vmail") == "error: the user database's uid \"vmail\" is no number");
}

TEST_CASE("tab escapes are inverse to each other") {
    std::string const all("a\0b\001c\td\re\nf", 11);
    CHECK(tab_unescape(tab_escape(all)) == all);
    CHECK(tab_escape(all).find_first_of("\t\r\n") == std::string::npos);
    CHECK(tab_unescape("a\001") == "a\001");
}

TEST_CASE("one connection serves many questions and shakes hands once") {
    test::TempDir dir;
    std::vector<std::string> heard;
    {
        Server const server(dir, {answers(2, heard)});
        UserdbClient client(address_in(dir), std::chrono::seconds(10));
        auto const alice = client.find("alice", unix_origin);
        REQUIRE(alice);
        REQUIRE(*alice);
        CHECK((*alice)->uid == 5);
        auto const nobody = client.find("nobody", unix_origin);
        REQUIRE(nobody);
        CHECK_FALSE(*nobody);
    }
    CHECK(heard == std::vector<std::string>{"VERSION\t1\t0", "USER\t1\talice\tservice=lmtp",
                                            "USER\t2\tnobody\tservice=lmtp"});
}

TEST_CASE("a server that was restarted in between is asked again on a new connection") {
    test::TempDir dir;
    std::vector<std::string> heard;
    Server const server(dir, {answers(1, heard), answers(1, heard)});
    UserdbClient client(address_in(dir), std::chrono::seconds(10));
    CHECK(client.find("alice", unix_origin));
    auto const again = client.find("alice", unix_origin);
    INFO((again ? "" : again.error().text));
    REQUIRE(again);
    CHECK(again->has_value());
}

TEST_CASE("a server whose database fails is asked once and its connection kept") {
    test::TempDir dir;
    Server const server(dir, {[](net::Stream& stream) {
                            for (int i = 0; i < 2; ++i) static_cast<void>(stream.read_line(100, soon()));
                            static_cast<void>(stream.write("VERSION\t1\t1\nNOTFOUND\t1\n", soon()));
                            static_cast<void>(stream.read_line(100, soon()));
                            static_cast<void>(stream.write("FAIL\t2\n", soon()));
                            static_cast<void>(stream.read_line(100, soon()));
                            static_cast<void>(stream.write("NOTFOUND\t3\n", soon()));
                        }});
    UserdbClient client(address_in(dir), std::chrono::seconds(10));
    CHECK(client.find("a", unix_origin));
    CHECK_FALSE(client.find("b", unix_origin));
    CHECK(client.find("c", unix_origin));
}

TEST_CASE("a server that hangs up, fails, is silent or not there is an error and never no user") {
    test::TempDir dir;
    UserdbClient client(address_in(dir), std::chrono::seconds(10));
    CHECK_FALSE(client.find("alice", unix_origin));
    Server const server(dir,
                        {[](net::Stream&) {},
                         [](net::Stream& stream) {
                             static_cast<void>(stream.write("VERSION\t1\t1\nFAIL\t1\n", soon()));
                             static_cast<void>(stream.read_line(100, soon()));
                             static_cast<void>(stream.read_line(100, soon()));
                         },
                         [](net::Stream& stream) {
                             static_cast<void>(stream.write(std::string(max_userdb_reply + 1, 'x'), soon()));
                         },
                         [](net::Stream& stream) {
                             for (int i = 0; i < 3; ++i) static_cast<void>(stream.read_line(100, soon()));
                         }});
    for (int i = 0; i < 3; ++i) CHECK_FALSE(client.find("alice", unix_origin));
    UserdbClient impatient(address_in(dir), std::chrono::milliseconds(50));
    auto const answer = impatient.find("alice", unix_origin);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().kind == ErrorKind::temporary);
}
