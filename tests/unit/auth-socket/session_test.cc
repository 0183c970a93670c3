// The auth client protocol against what Dovecot 2.3.19 answered, and what only Postern does.
#include "auth-socket/session.h"
#include "common/base/encoding.h"
#include "common/base/text.h"
#include "tests/unit/auth-socket/fixture.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/replay.h"

#include <cstdlib>
#include <ctime>
#include <fstream>
#include <set>

using namespace postern;
using namespace postern::auth_socket;
using namespace postern::auth_socket::test;
using namespace std::chrono_literals;

namespace {

// Users whose rows are in memory, as those of a passwd-file.
class HeldUsers final : public Passdb {
  public:
    std::map<std::string, std::vector<Fields>, std::less<>> rows;
    bool held = true;

    Result<std::vector<Fields>> lookup(Request const& request) const override {
        auto const at = rows.find(request.user);
        return at == rows.end() ? std::vector<Fields>{} : at->second;
    }
    AtHand at_hand(Request const& request) const override {
        if (!held) return {};
        return {std::make_shared<std::vector<Fields> const>(lookup(request).value())};
    }
};

constexpr std::string_view hello = "VERSION\t1\t1\nCPID\t4242\n";
constexpr std::string_view hidden_ok = "AGFsaWNlQGV4YW1wbGUuY29tAHNlY3JldA=="; // alice, secret
constexpr std::string_view hidden_bad = "AGFsaWNlQGV4YW1wbGUuY29tAHdyb25n";    // alice, wrong

std::string auth(int id, std::string_view response, std::string_view more = "rip=192.0.2.1\tno-penalty") {
    return fmt::format("AUTH\t{}\tPLAIN\tservice=smtp\t{}\tresp={}\n", id, more, response);
}

struct Transcript {
    std::string name, sent, expected;
};

std::vector<Transcript> transcripts() {
    std::ifstream file(std::string(std::getenv("POSTERN_SOURCE")) +
                       "/tests/data/auth-socket/auth-client.txt");
    std::vector<Transcript> all;
    for (std::string line; std::getline(file, line);) {
        line = replace_all(line, "<TAB>", "\t");
        if (line.starts_with("== ")) all.push_back({line.substr(3), "", ""});
        if (line.starts_with("C: ")) all.back().sent += line.substr(3) + "\n";
        if (line == "S: [EOF]")
            all.back().expected += "<closed>";
        else if (line.starts_with("S: ")) {
            // 2.3 leaves tabs where it hides a field; 2.4 and Postern do not.
            auto reply = replace_all(line.substr(3), "\t\t", "\t");
            if (reply.starts_with("OK") && reply.ends_with("\t")) reply.pop_back();
            all.back().expected += reply + "\n";
        }
    }
    REQUIRE(all.size() == 27);
    return all;
}

// Challenges with random parts have their own tests; the order of delayed answers too.
bool is_replayed(std::string const& name) {
    static std::set<std::string> const others{"CRAM-MD5 challenge", "DIGEST-MD5 challenge",
                                              "SCRAM-SHA-256 wo resp", "user 2-line pipelined + id order"};
    return !others.contains(name);
}

} // namespace

TEST_CASE("every captured exchange with Dovecot gets the same answers, in pieces of any size") {
    House house;
    for (auto const& [name, sent, expected] : transcripts()) {
        if (!is_replayed(name)) continue;
        INFO(name);
        // Cookies differ from session to session: the handshake is compared elsewhere.
        for (std::size_t const piece : {std::string::npos, std::size_t(1), std::size_t(2), std::size_t(7)})
            CHECK(after_handshake(postern::test::replay(*house.session(), sent, piece)) == expected);
        postern::test::replay_cut_off([&] { return house.session(); }, sent);
    }
}

// Captured from Dovecot 2.4.4, whose server waits for VERSION before its MECH lines. With a dovecot.conf
// of 2.3 ours says 1.2, so that CANCEL stays silent.
TEST_CASE("what Dovecot 2.4's clients send is answered as 2.4 answers it") {
    House house;
    auto const answers = [&](std::string const& minor, std::string const& sent) {
        return after_handshake(
            postern::test::replay(*house.session(), "VERSION\t1\t" + minor + "\nCPID\t4242\n" + sent));
    };
    auto const upper = base64_encode(std::string("\0ALICE@example.com\0secret", 25));
    CHECK(answers("0",
                  "AUTH\t1\tPLAIN\tservice=smtp\tnologin\tlip=127.0.0.1\trip=10.1.2.3\tno-penalty\tresp=" +
                      std::string(hidden_ok) + "\nAUTH\t2\tPLAIN\tservice=smtp\tno-penalty\tresp=" +
                      std::string(hidden_bad) + "\nAUTH\t4\tPLAIN\tservice=smtp\tno-penalty\tresp=" + upper +
                      "\n") == "OK\t1\tuser=alice@example.com\nFAIL\t2\tuser=alice@example.com\n"
                               "OK\t4\tuser=alice@example.com\toriginal_user=ALICE@example.com\n");
    CHECK(answers("4", "AUTH\t1\tPLAIN\tprotocol=smtp\tno-penalty\nCANCEL\t1\n"
                       "AUTH\t2\tPLAIN\tprotocol=smtp\tno-penalty\tsecured=tls\tresp=" +
                           std::string(hidden_ok) + "\n") == "CONT\t1\t\nOK\t2\tuser=alice@example.com\n");
    CHECK(answers(
              "4",
              "AUTH\t1\tPLAIN\tprotocol=imap\tfinal-resp-ok\tsecured\tsession=rc7z5cJgnMB/AAAB\tlip=127.0.0.1"
              "\trip=127.0.0.1\tlport=143\trport=40000\tssl_ja3_hash=00\tresp=" +
                  std::string(hidden_ok) + "\n") == "OK\t1\tuser=alice@example.com\n");
}

TEST_CASE("who is let in with a delay_until is told when it is over, and before the client goes away") {
    House house;
    auto const answer = [&](std::string const& until, std::chrono::seconds wait) {
        house.users->rows["alice@example.com"] = {
            fields({{"password", "{PLAIN}secret"}, {"delay_until", until}})};
        auto session = house.session();
        REQUIRE(session->receive(std::string(hello) + auth(1, hidden_ok)).value() == "");
        house.now += wait - 1s;
        CHECK(session->wake().value() == "");
        house.now += 1s;
        return session->wake().value();
    };
    auto const now = std::time(nullptr);
    CHECK(answer(std::to_string(now + 200), 9s) == "OK\t1\tuser=alice@example.com\n");
}

TEST_CASE("CANCEL is answered once, and only where both sides know the protocol of Dovecot 2.4") {
    House house;
    house.client.protocol_minor = dovecot24_client_protocol_minor;
    CHECK(house.session()->greeting().starts_with("VERSION\t1\t4\nMECH\t"));
    auto const answers = [&](std::string const& minor, std::string const& sent) {
        return after_handshake(
            postern::test::replay(*house.session(), "VERSION\t1\t" + minor + "\nCPID\t4242\n" + sent));
    };
    std::string const begun = "AUTH\t1\tPLAIN\tprotocol=smtp\tno-penalty\n";
    CHECK(answers("4", begun + "CANCEL\t1\nCANCEL\t1\nCANCEL\t2\nCONT\t1\t\n") ==
          "CONT\t1\t\nCANCELLED\t1\nFAIL\t1\treason=Authentication request timed out\n");
    CHECK(answers("3", begun + "CANCEL\t1\n") == "CONT\t1\t\n");
    house.client.failure_delay = 2s; // what waits for its delay is over for the client, too
    CHECK(answers("4", auth(1, hidden_bad) + "CANCEL\t1\n") == "CANCELLED\t1\n");
}

TEST_CASE("the whole handshake is sent at once, VERSION first and MECH before SPID") {
    House house;
    auto const greeting = house.session()->greeting();
    auto const cookie = greeting.substr(greeting.find("COOKIE\t") + 7, 32);
    CHECK(hex_decode(cookie));
    CHECK(greeting == "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nMECH\tEXTERNAL\nSPID\t1"
                      "7633\nCUID\t1\nCOOKIE\t" +
                          cookie + "\nDONE\n");
    CHECK(greeting != house.session()->greeting());
}

TEST_CASE("a handshake that is not one ends the connection") {
    House house;
    for (auto const* sent :
         {"VERSION\t2\t0\n", "CPID\t1\n", "VERSION\t1\t1\nCPID\t0\n", "VERSION\t1\t1\nCPID\tx\n",
          "VERSION\t1\t1\nCPID\t1\nCPID\t1\n", "VERSION\t1\t1\nAUTH\t1\tPLAIN\tservice=smtp\n",
          "VERSION\t1\t1\nCPID\t1\nFOO\t1\n", "VERSION\t1\t1\nCPID\t1\nAUTH\t1\tNTLM\tservice=smtp\n",
          "\n"}) {
        INFO(sent);
        CHECK(after_handshake(postern::test::replay(*house.session(), sent)) == "<closed>");
    }
}

TEST_CASE("a line of 16384 octets is read and one of 16385 ends the connection") {
    House house;
    for (std::size_t const extra : {0, 1}) {
        std::string line = "AUTH\t1\tPLAIN\tservice=smtp\tno-penalty\tx=";
        line.append(client_line_limit - line.size() - 1 + extra, 'a');
        auto const answer =
            after_handshake(postern::test::replay(*house.session(), std::string(hello) + line + "\n"));
        CHECK(answer == (extra == 0 ? "CONT\t1\t\n" : "<closed>"));
    }
}

TEST_CASE("a wrong password is answered after the failure delay while others are answered at once") {
    House house;
    house.client.failure_delay = 2s;
    auto session = house.session();
    session->greeting();
    auto const first = session->receive(std::string(hello) + auth(1, hidden_bad) + auth(2, hidden_ok));
    CHECK(first.value() == "OK\t2\tuser=alice@example.com\n");
    CHECK(session->busy());
    REQUIRE(session->wakes_at());
    CHECK(session->wakes_at()->point() == house.now + 2s);
    house.now += 1999ms;
    CHECK(session->wake().value().empty());
    house.now += 1ms;
    CHECK(session->wake().value() == "FAIL\t1\tuser=alice@example.com\n");
    CHECK_FALSE(session->busy());
    CHECK_FALSE(session->wakes_at());
    CHECK(house.log.contains("auth: sql(alice@example.com,192.0.2.1): Password mismatch"));
}

TEST_CASE("the failure is logged when it happens, not when it is told") {
    House house;
    house.client.failure_delay = 2s;
    auto session = house.session();
    session
        ->receive(std::string(hello) +
                  auth(1, base64_encode(std::string_view("\0nobody@example.com\0x", 21))))
        .value();
    CHECK(house.log.contains("auth: sql(nobody@example.com,192.0.2.1): unknown user"));
}

TEST_CASE("a database that is away is temp_fail, at once, and never a wrong password") {
    House house;
    house.client.failure_delay = 2s;
    house.users->fails = true;
    auto session = house.session();
    session->greeting();
    CHECK(session->receive(std::string(hello) + auth(1, hidden_ok)).value() ==
          "FAIL\t1\tuser=alice@example.com\tcode=temp_fail\n");
    CHECK(house.log.expect("auth: sql(alice@example.com,192.0.2.1): the database is away"));
}

TEST_CASE("towards Postfix a temporary failure closes the connection, because it takes every FAIL for good") {
    House house;
    house.client.temporary_failure = TemporaryFailure::closes;
    house.users->fails = true;
    auto const answer =
        after_handshake(postern::test::replay(*house.session(), std::string(hello) + auth(1, hidden_ok)));
    CHECK(answer == "<closed>");
    CHECK(house.log.expect("the database is away"));
}

TEST_CASE("logins are counted by mechanism and by how they came out") {
    House house;
    house.session()->receive(std::string(hello) + auth(1, hidden_ok) + auth(2, hidden_bad)).value();
    house.users->fails = true;
    house.session()->receive(std::string(hello) + auth(1, hidden_ok)).value();
    auto const text = house.metrics.text();
    for (auto const* result : {"ok", "wrong_password", "temporary"})
        CHECK(
            text.contains(fmt::format("auth_logins_total{{mechanism=\"PLAIN\",result=\"{}\"}} 1\n", result)));
    CHECK(text.contains("auth_logins_total{mechanism=\"LOGIN\",result=\"ok\"} 0\n"));
    CHECK(house.log.expect("the database is away"));
}

TEST_CASE("what is at hand and fits is answered without a worker; everything else gets one") {
    House house;
    auto const held = std::make_shared<HeldUsers>();
    held->rows["quick@example.com"] = {fields({{"password", "{PLAIN}secret"}})};
    held->rows["slow@example.com"] = house.users->rows["alice@example.com"];
    held->rows["gone@example.com"] = {fields({{"password", "{PLAIN}secret"}, {"user_disabled", "Y"}})};
    held->rows["net@example.com"] = {fields({{"password", "{PLAIN}secret"}, {"allow_nets", "10.0.0.0/8"}})};
    auto const authority =
        std::make_shared<Authenticator>(AuthenticatorSettings{}, std::vector{passdb(held)},
                                        std::vector<ConfiguredUserdb>{}, house.hashing, house.log);
    ClientSession session(house.client, authority, house.surroundings, net::Waker{});
    session.receive(hello).value();
    int id = 0;
    auto const answer = [&](std::string const& user, std::string const& password) {
        auto const text = base64_encode(std::string(1, '\0') + user + "@example.com" + '\0' + password);
        return session.receive(auth(++id, text)).value();
    };
    CHECK(answer("quick", "secret") == "OK\t1\tuser=quick@example.com\n");
    CHECK(house.executor.keys.empty());
    CHECK(answer("quick", "wrong").starts_with("FAIL"));
    CHECK(answer("slow", "secret").starts_with("OK"));
    CHECK(answer("nobody", "secret").starts_with("FAIL"));
    CHECK(answer("gone", "secret") == "FAIL\t5\tuser=gone@example.com\tcode=user_disabled\n");
    CHECK(answer("net", "secret") == "FAIL\t6\tuser=net@example.com\n");
    CHECK(house.executor.keys.size() == 5);
    held->held = false;
    CHECK(answer("quick", "secret").starts_with("OK"));
    CHECK(house.executor.keys.size() == 6);
}

TEST_CASE("a client of version 1.0 takes every FAIL for good, too; one of 1.1 reads the code") {
    House house;
    house.client.temporary_failure = TemporaryFailure::closes_for_minor_0;
    house.users->fails = true;
    auto const answer = [&](std::string const& version) {
        return after_handshake(postern::test::replay(
            *house.session(), "VERSION\t1\t" + version + "\nCPID\t4242\n" + auth(1, hidden_ok)));
    };
    CHECK(answer("0") == "<closed>");
    CHECK(answer("1") == "FAIL\t1\tuser=alice@example.com\tcode=temp_fail\n");
    CHECK(house.log.expect("the database is away"));
}

TEST_CASE("a full queue is a temporary failure") {
    House house;
    house.executor.full = true;
    auto session = house.session();
    session->greeting();
    CHECK(session->receive(std::string(hello) + auth(1, hidden_ok)).value() == "FAIL\t1\tcode=temp_fail\n");
    CHECK(house.log.expect("too many logins wait"));
}

TEST_CASE("an answer to a cancelled request is dropped, also when its id is in use again") {
    House house;
    house.executor.at_once = false;
    auto session = house.session();
    session->greeting();
    CHECK(session->receive(std::string(hello) + auth(1, hidden_ok)).value().empty());
    CHECK(session->receive("CANCEL\t1\n" + auth(1, hidden_bad)).value().empty());
    house.executor.run();
    CHECK(session->wake().value() == "FAIL\t1\tuser=alice@example.com\n");
}

TEST_CASE("a CONT while the request is worked on ends the request") {
    House house;
    house.executor.at_once = false;
    auto session = house.session();
    session->greeting();
    auto const answer = session->receive(std::string(hello) + auth(1, hidden_ok) + "CONT\t1\tAA==\n");
    CHECK(answer.value() == "FAIL\t1\treason=Unexpected continuation\n");
    house.executor.run();
    CHECK(session->wake().value().empty());
}

TEST_CASE("a job that ends after its session does no harm") {
    House house;
    house.executor.at_once = false;
    auto session = house.session();
    session->receive(std::string(hello) + auth(1, hidden_ok)).value();
    session.reset();
    house.executor.run();
    CHECK(house.users->asked == 1);
}

TEST_CASE("a request that its client leaves unfinished is forgotten after 150 seconds") {
    House house;
    auto session = house.session();
    session->greeting();
    CHECK(session->receive(std::string(hello) + "AUTH\t1\tLOGIN\tservice=smtp\n").value() ==
          "CONT\t1\tVXNlcm5hbWU6\n");
    CHECK(session->wakes_at()->point() == house.now + 150s);
    house.now += 150s;
    CHECK(session->wake().value().empty());
    CHECK_FALSE(session->busy());
    CHECK(session->receive("CONT\t1\tAA==\n").value() ==
          "FAIL\t1\treason=Authentication request timed out\n");
}

TEST_CASE("wrong passwords make the next login from the address wait, and a right one clears it") {
    House house;
    auto session = house.session();
    session->greeting();
    session->receive(hello).value();
    auto const guess = [](int n) {
        return base64_encode(std::string("\0alice@example.com\0", 19) + std::to_string(n));
    };
    for (int n = 1; n <= 3; ++n) {
        session->receive(auth(n, guess(n), "rip=192.0.2.1")).value();
        house.now += 10s;
        session->wake().value();
    }
    CHECK(session->receive(auth(4, hidden_ok, "rip=192.0.2.1")).value().empty());
    auto const bystander = base64_encode(std::string("\0plain@example.com\0secret", 25));
    CHECK(session->receive(auth(5, bystander, "rip=192.0.2.9")).value() == "OK\t5\tuser=plain@example.com\n");
    CHECK(session->receive(auth(6, hidden_ok, "rip=192.0.2.1\tno-penalty")).value() ==
          "OK\t6\tuser=alice@example.com\n");
}

TEST_CASE("no more than 1024 requests of one connection are worked on at a time") {
    House house;
    auto session = house.session();
    session->greeting();
    session->receive(hello).value();
    std::string sent;
    for (std::size_t id = 1; id <= requests_per_connection; ++id)
        sent += fmt::format("AUTH\t{}\tLOGIN\tservice=smtp\n", id);
    CHECK(split(session->receive(sent).value(), '\n').size() == requests_per_connection + 1);
    CHECK(session->receive("AUTH\t5000\tLOGIN\tservice=smtp\n").value() == "FAIL\t5000\tcode=temp_fail\n");
}

TEST_CASE("only a login socket keeps finished logins, for its own client and until it goes") {
    House house;
    house.client.login_role = true;
    {
        auto session = house.session();
        auto const greeting = session->greeting();
        auto const cookie = greeting.substr(greeting.find("COOKIE\t") + 7, 32);
        session->receive(std::string(hello) + auth(1, hidden_ok) + auth(2, hidden_ok)).value();
        CHECK(house.logins.size() == 2);
        CHECK_FALSE(house.logins.take(cookie, 4243, 1));
        CHECK_FALSE(house.logins.take("00000000000000000000000000000000", 4242, 1));
        auto const login = house.logins.take(cookie, 4242, 1);
        REQUIRE(login);
        CHECK(login->request.user == "alice@example.com");
        CHECK_FALSE(house.logins.take(cookie, 4242, 1));
    }
    CHECK(house.logins.size() == 0);
    house.client.login_role = false;
    auto session = house.session();
    session->receive(std::string(hello) + auth(1, hidden_ok)).value();
    CHECK(house.logins.size() == 0);
}

TEST_CASE("finished logins of two clients that say they have one pid are told apart by their cookies") {
    Deadline::Clock::time_point now{};
    Logins logins([&now] { return now; });
    auto const login_of = [](std::string const& user) {
        FinishedLogin login;
        login.request.user = user;
        login.request.client_pid = 7;
        return login;
    };
    logins.keep("c1", 1, login_of("alice"));
    logins.keep("c2", 1, login_of("bob"));
    logins.keep("c2", 1, login_of("carol")); // the client used the number again
    CHECK(logins.size() == 2);
    CHECK_FALSE(logins.take("c3", 7, 1));
    CHECK_FALSE(logins.take("", 7, 1));
    CHECK(logins.take("c2", 7, 1).value().request.user == "carol");
    logins.keep("c2", 2, login_of("bob"));
    logins.forget("c2", 7);
    CHECK(logins.size() == 1);
    now += request_lifetime;
    CHECK_FALSE(logins.take("c1", 7, 1));
}

TEST_CASE("EXTERNAL lets in whom a certificate names and the passdb has without a password") {
    House house;
    auto const external =
        "AUTH\t1\tEXTERNAL\tservice=imap\tvalid-client-cert\tcert_username=alice@example.com\tresp=\n";
    auto const answer = [&] {
        return after_handshake(
            postern::test::replay(*house.session(), "VERSION\t1\t2\nCPID\t1\n" + std::string(external)));
    };
    house.client.user_from_certificate = true;
    CHECK(answer() == "FAIL\t1\tuser=alice@example.com\n");
    house.users->rows["alice@example.com"] = {fields({{"password", std::nullopt}, {"nopassword", "Y"}})};
    CHECK(answer() == "OK\t1\tuser=alice@example.com\n");
    house.client.user_from_certificate = false;
    CHECK(answer() == "FAIL\t1\n");
    house.client.requires_certificate = true;
    CHECK(after_handshake(postern::test::replay(*house.session(), std::string(hello) + auth(1, hidden_ok))) ==
          "FAIL\t1\treason=Client didn't present valid SSL certificate\n");
}

TEST_CASE("ANONYMOUS is its configured user and says so") {
    House house;
    house.client.mechanisms = {"ANONYMOUS"};
    CHECK(after_handshake(postern::test::replay(
              *house.session(), std::string(hello) + "AUTH\t1\tANONYMOUS\tservice=x\tresp=eA==\n")) ==
          "OK\t1\tuser=anonymous\tanonymous\n");
}

TEST_CASE(
    "wrong passwords for one user from many addresses make the next one for that user wait, others not") {
    House house;
    auto session = house.session();
    session->greeting();
    session->receive(hello).value();
    for (int n = 1; n <= 3; ++n) {
        auto const guess = base64_encode(std::string("\0alice@example.com\0", 19) + std::to_string(n));
        session->receive(auth(n, guess, fmt::format("rip=192.0.2.{}", n))).value();
        house.now += 3s;
        session->wake().value();
    }
    CHECK(session->receive(auth(4, hidden_ok, "rip=192.0.2.99")).value().empty());
    auto const bystander = base64_encode(std::string("\0plain@example.com\0secret", 25));
    CHECK(session->receive(auth(5, bystander, "rip=192.0.2.99")).value() ==
          "OK\t5\tuser=plain@example.com\n");
    house.now += 2s;
    CHECK(session->wake().value() == "OK\t4\tuser=alice@example.com\n");
    CHECK_FALSE(session->busy());
}

TEST_CASE("a challenge is never won where no stored password was found to hold the proof against") {
    House house;
    house.client.mechanisms = {"CRAM-MD5"};
    auto open = passdb(house.users);
    open.block.failure = Rule::continue_ok; // unknown users are let on by this configuration
    auto const authority =
        std::make_shared<Authenticator>(AuthenticatorSettings{}, std::vector{open},
                                        std::vector{userdb(house.users)}, house.hashing, house.log);
    ClientSession session(house.client, authority, house.surroundings, net::Waker{});
    REQUIRE(session.receive("VERSION\t1\t1\nCPID\t1\nAUTH\t1\tCRAM-MD5\tservice=smtp\n"));
    auto const proof = base64_encode("nobody@x " + std::string(32, '0'));
    auto const answer = session.receive("CONT\t1\t" + proof + "\n");
    REQUIRE(answer);
    CHECK(answer->starts_with("FAIL\t1\tuser=nobody@x"));
}

TEST_CASE("a user's penalty is the same however the name is written, with a password or with a challenge") {
    House house;
    house.client.mechanisms = {"PLAIN", "CRAM-MD5"};
    auto session = house.session();
    session->greeting();
    session->receive(hello).value();
    int id = 0;
    auto const guess = [&](std::string const& name, std::string const& password) {
        auto const text = base64_encode(std::string(1, '\0') + name + std::string(1, '\0') + password);
        return session->receive(auth(++id, text, fmt::format("rip=192.0.2.{}", id))).value();
    };
    CHECK(guess("Alice@Example.com", "1").starts_with("FAIL"));
    CHECK(guess("ALICE@example.com", "2").starts_with("FAIL"));
    CHECK(guess("aliCe@example.com", "secret").empty()); // waits
    house.now += 1s;
    CHECK(session->wake().value().starts_with("OK"));
    CHECK(guess("alice@example.com", "3").starts_with("FAIL"));
    CHECK(guess("alice@example.com", "4").starts_with("FAIL"));
    CHECK(
        session->receive("AUTH\t99\tCRAM-MD5\tservice=smtp\trip=192.0.2.200\n").value().starts_with("CONT"));
    auto const proof = base64_encode("ALICE@example.com " + std::string(32, '0'));
    CHECK(session->receive("CONT\t99\t" + proof + "\n").value().empty());
    house.now += 1s;
    CHECK(session->wake().value() == "FAIL\t99\tuser=alice@example.com\toriginal_user=ALICE@example.com\n");
}

TEST_CASE("a refusal is told within nine seconds of the client's last line, whatever its delays add up to") {
    House house;
    house.client.failure_delay = 15s;
    auto session = house.session();
    session->greeting();
    CHECK(session->receive(std::string(hello) + "AUTH\t1\tLOGIN\tservice=smtp\n").value() ==
          "CONT\t1\tVXNlcm5hbWU6\n");
    house.now += 60s; // the client types
    CHECK(session->receive("CONT\t1\tYUB4\n").value() == "CONT\t1\tUGFzc3dvcmQ6\n");
    CHECK(session->receive("CONT\t1\tYUB4\n").value().empty());
    house.now += 9s - 1ms;
    CHECK(session->wake().value().empty());
    house.now += 1ms;
    CHECK(session->wake().value() == "FAIL\t1\tuser=a@x\n");
}
