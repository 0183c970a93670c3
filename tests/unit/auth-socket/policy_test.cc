// The policy server: what it is asked, what its answers do to a login, and what happens while it is away.
#include "auth-socket/policy/policed_authority.h"

#include "auth-socket/schemes/kinds.h"
#include "common/base/encoding.h"
#include "tests/unit/auth-socket/fixture.h"
#include "tests/unit/support/catch.h"

using namespace postern;
using namespace postern::auth_socket;
using namespace postern::auth_socket::test;
using namespace std::chrono_literals;

namespace {

class FakePolicyServer final : public http::Client {
  public:
    std::vector<std::string> answers; // one for each question; then status 0. "away": none comes
    mutable std::vector<http::Request> asked;
    std::function<void()> meanwhile = [] {};

    Result<http::Answer> send(http::Request const& request, Deadline) const override {
        asked.push_back(request);
        meanwhile();
        auto const text = asked.size() <= answers.size() ? answers[asked.size() - 1] : R"({"status":0})";
        if (text == "away") return temporary("connection refused");
        return http::Answer{200, text};
    }
    std::string commands() const {
        std::string all;
        for (auto const& each : asked) all += each.url.substr(each.url.rfind('=') + 1) + " ";
        return all;
    }
};

struct PolicyHouse : House {
    std::shared_ptr<FakePolicyServer> server = std::make_shared<FakePolicyServer>();
    PolicySettings policy;

    PolicyHouse() {
        policy.server_url = "http://policy.example:4001/";
        policy.hash_nonce = "nonce";
        client.mechanisms = {"PLAIN", "CRAM-MD5", "SCRAM-SHA-256"};
        surroundings.web_executor = &executor;
    }
    std::unique_ptr<ClientSession> open() {
        auto const policed = std::make_shared<PolicedAuthority>(
            authority(), std::make_shared<PolicyServer>(policy, server, clock, log), executor, log);
        auto session = std::make_unique<ClientSession>(client, policed, surroundings, net::Waker());
        session->greeting();
        REQUIRE(session->receive("VERSION\t1\t2\nCPID\t1\n"));
        return session;
    }
    static std::string login(std::string_view password, int id = 1) {
        std::string message(1, '\0');
        message.append("plain@example.com").append(1, '\0').append(password);
        return "AUTH\t" + std::to_string(id) +
               "\tPLAIN\tservice=smtp\trip=192.0.2.1\tsession=s1\tresp=" + base64_encode(message) + "\n";
    }
    std::string answer(std::string_view password) { return open()->receive(login(password)).value(); }
};

} // namespace

TEST_CASE("the hash of the password is Dovecot's: nonce, name, NUL, password, its first bits as a number") {
    PolicySettings settings;
    settings.hash_nonce = "nonce";
    settings.hash_truncate = 0;
    // sha256sum of "nonce" "user" NUL "pw"
    CHECK(hashed_password(settings, "user", "pw") ==
          "ab0bd372408a299191961f89a24908c9652c19ad49bdd25b0deba3fae5fdd572");
    settings.hash_truncate = 12;
    CHECK(hashed_password(settings, "user", "pw") == "0ab0");
    settings.hash_truncate = 16;
    CHECK(hashed_password(settings, "user", "pw") == "ab0b");
}

TEST_CASE("a login asks before and after, and reports its end") {
    PolicyHouse house;
    CHECK(house.answer("secret") == "OK\t1\tuser=plain@example.com\n");
    CHECK(house.server->commands() == "allow allow report ");
    auto const& asked = house.server->asked;
    CHECK(asked[0].url == "http://policy.example:4001/?command=allow");
    auto const pwhash = hashed_password(house.policy, "plain@example.com", "secret");
    auto const common = R"({"login":"plain@example.com","pwhash":")" + pwhash +
                        R"(","remote":"192.0.2.1","device_id":"","protocol":"smtp","session_id":"s1")";
    CHECK(asked[0].body == common + R"(,"tls":false})");
    CHECK(asked[2].body == common + R"(,"success":true,"policy_reject":false,"tls":false})");
}

TEST_CASE("names with slashes are objects, and the header is sent") {
    PolicyHouse house;
    house.policy.attributes = {{"a/b/c", "1"}, {"a/b/d", "%{requested_username}"}, {"a/e", "\"%s\""}};
    house.policy.api_header = "Authorization: Basic eA==";
    house.policy.check_after = house.policy.report_after = false;
    house.policy.server_url = "http://policy.example/?x=1&";
    CHECK(house.answer("secret").starts_with("OK\t1\t"));
    REQUIRE(house.server->asked.size() == 1);
    auto const& asked = house.server->asked[0];
    CHECK(asked.url == "http://policy.example/?x=1&command=allow");
    CHECK(asked.headers == std::vector<std::string>{"Authorization: Basic eA=="});
    CHECK(asked.body == R"({"a":{"b":{"c":"1","d":"plain@example.com"},"e":"\"smtp\""},"tls":false})");
}

TEST_CASE("a refusal before the password keeps out who has the right one, and is not a wrong guess") {
    PolicyHouse house;
    house.server->answers = {R"({"status":-1,"msg":"go away"})"};
    CHECK(house.answer("secret") == "FAIL\t1\tuser=plain@example.com\treason=go away\n");
    CHECK(house.server->commands() == "allow report ");
    CHECK(house.server->asked[1].body->ends_with(R"("success":false,"policy_reject":true,"tls":false})"));
    CHECK(house.users->asked == 0);
    CHECK(house.penalties.size() == 0);
    CHECK(house.log.contains(
        "auth: policy(plain@example.com,192.0.2.1,<s1>): Authentication failure due to policy "
        "server refusal: go away"));
}

TEST_CASE("a refusal after the password keeps out as well, and only one answer is given") {
    PolicyHouse house;
    house.server->answers = {R"({"status":0})", R"({"status":-1})"};
    CHECK(house.answer("secret") == "FAIL\t1\tuser=plain@example.com\n");
    CHECK(house.server->commands() == "allow allow report ");
}

namespace {

struct UsersInMemory final : Passdb {
    std::shared_ptr<MemoryUsers> users;
    explicit UsersInMemory(std::shared_ptr<MemoryUsers> all) : users(std::move(all)) {}
    Result<std::vector<Fields>> lookup(Request const& request) const override {
        return users->lookup(request);
    }
    AtHand at_hand(Request const& request) const override {
        return {std::make_shared<std::vector<Fields> const>(users->rows.at(request.user))};
    }
};

} // namespace

TEST_CASE("a password that is known without asking any database does not get past the policy server") {
    PolicyHouse house;
    auto const known = std::make_shared<Authenticator const>(
        AuthenticatorSettings{}, std::vector{passdb(std::make_shared<UsersInMemory>(house.users))},
        std::vector<ConfiguredUserdb>{}, house.hashing, house.log);
    auto const answer = [&](std::shared_ptr<Authority const> const& authority) {
        ClientSession session(house.client, authority, house.surroundings, net::Waker());
        session.greeting();
        REQUIRE(session.receive("VERSION\t1\t2\nCPID\t1\n"));
        return session.receive(PolicyHouse::login("secret")).value();
    };
    // Without one nobody waits for a worker: the way that this test is about is taken.
    CHECK(answer(known) == "OK\t1\tuser=plain@example.com\n");
    CHECK(house.executor.keys.empty());
    auto const policed = std::make_shared<PolicedAuthority>(
        known, std::make_shared<PolicyServer>(house.policy, house.server, house.clock, house.log),
        house.executor, house.log);
    CHECK(answer(policed) == "OK\t1\tuser=plain@example.com\n");
    CHECK(house.server->commands() == "allow allow report ");
    house.server->asked.clear();
    house.server->answers = {R"({"status":-1,"msg":"go away"})"};
    CHECK(answer(policed) == "FAIL\t1\tuser=plain@example.com\treason=go away\n");
    CHECK(house.server->commands() == "allow report ");
    CHECK(house.log.expect("policy server refusal"));
}

TEST_CASE("a wrong password is reported and not asked about again") {
    PolicyHouse house;
    CHECK(house.answer("wrong") == "FAIL\t1\tuser=plain@example.com\n");
    CHECK(house.server->commands() == "allow report ");
    CHECK(house.server->asked[1].body->contains(R"("success":false,"policy_reject":false)"));
}

TEST_CASE("a wait is waited for before the password is looked at, and for no more than 6 seconds") {
    PolicyHouse house;
    house.server->answers = {R"({"status":30})"};
    auto const session = house.open();
    CHECK(session->receive(PolicyHouse::login("secret")).value() == "");
    CHECK(house.users->asked == 0);
    CHECK(session->wakes_at()->point() == house.now + 6s);
    house.now += 6s;
    CHECK(session->wake().value() == "OK\t1\tuser=plain@example.com\n");
    CHECK(house.server->commands() == "allow allow report "); // not asked a second time before
}

TEST_CASE("challenge mechanisms are asked about before, and after the proof") {
    PolicyHouse house;
    house.server->answers = {R"({"status":0})", R"({"status":-1,"msg":"no"})"};
    auto const session = house.open();
    auto const hello = session->receive("AUTH\t1\tCRAM-MD5\tservice=smtp\n").value();
    auto const challenge = base64_decode(hello.substr(7, hello.size() - 8)).value();
    auto const proof = "plain@example.com " +
                       hex_encode(kinds::cram_md5_response(kinds::cram_md5_state("secret"), challenge));
    CHECK(session->receive("CONT\t1\t" + base64_encode(proof) + "\n").value() ==
          "FAIL\t1\tuser=plain@example.com\treason=no\n");
    CHECK(house.server->commands() == "allow allow report ");
}

TEST_CASE("while the server is away logins go on, it is not asked for a while, and the log says so once") {
    PolicyHouse house;
    house.server->answers = {"away"};
    CHECK(house.answer("secret").starts_with("OK\t1\t"));
    CHECK(house.log.expect("auth: policy: connection refused; until it answers, logins are let through"));
    CHECK(house.server->asked.size() == 1); // neither after nor report
    house.now += policy_pause;
    CHECK(house.answer("secret").starts_with("OK\t1\t"));
}

TEST_CASE("one server object tells once that the server went away and once that it is back") {
    PolicyHouse house;
    house.server->answers = {"away", "away", "nonsense", R"({"status":"x"})", R"({"status":1})"};
    house.policy.reject_on_fail = true;
    PolicyServer const server(house.policy, house.server, house.clock, house.log);
    std::vector<std::int64_t> said; // -9: nothing
    auto const ask = [&] {
        auto const advice = server.allow({}, "");
        said.push_back(advice.is_missing ? -9 : advice.status);
    };
    for (int i = 0; i < 2; ++i) {
        ask();
        ask(); // in the pause after silence nobody is asked
        house.now += policy_pause;
    }
    for (int i = 0; i < 4; ++i) ask();
    CHECK(said == std::vector<std::int64_t>{-9, -9, -9, -9, -9, -9, 1, 0});
    CHECK(house.server->asked.size() == 6);
    CHECK(house.log.expect("until it answers, logins are refused for now"));
    CHECK(house.log.contains("the policy server answers again"));
    auto const all = house.log.all();
    CHECK(all.find("until it answers") == all.rfind("until it answers"));
}

TEST_CASE("an answer of no use, which an odd login may have caused, lets nobody else through unasked") {
    PolicyHouse house;
    house.policy.check_after = house.policy.report_after = false;
    house.server->answers = {"nonsense", R"({"status":-1})"};
    auto const session = house.open();
    CHECK(session->receive(PolicyHouse::login("secret")).value().starts_with("OK\t1\t"));
    CHECK(house.log.expect("until it answers, logins are let through"));
    CHECK(session->receive(PolicyHouse::login("secret", 2)).value().starts_with("FAIL\t2\t"));
}

TEST_CASE(
    "a login whose own time is over is not let through unasked, and does not say that the server is away") {
    PolicyHouse house;
    house.server->answers = {"away"};
    PolicyServer const server(house.policy, house.server, house.clock, house.log);
    Request late;
    late.answer_by = Deadline::at(house.now);
    CHECK(server.allow(late, "").is_missing);
    CHECK(!server.allow({}, "").is_missing);
    CHECK(house.server->asked.size() == 2); // no pause
}

TEST_CASE("a server that was silent for its whole time is left alone, though the login has little left") {
    PolicyHouse house;
    house.server->answers = {"away"};
    house.server->meanwhile = [&house] { house.now += house.policy.timeout; };
    PolicyServer const server(house.policy, house.server, house.clock, house.log);
    Request request;
    request.answer_by = Deadline::at(house.now + house.policy.timeout);
    CHECK(!server.allow(request, "").is_missing);
    CHECK(!server.allow({}, "").is_missing);
    CHECK(house.server->asked.size() == 1);
    CHECK(house.log.expect("until it answers, logins are let through"));
}

TEST_CASE("who has to be asked about and cannot be is told to try again, before and after the password") {
    for (auto const& answers : {std::vector<std::string>{"away"}, {R"({"status":0})", "away"}}) {
        PolicyHouse house;
        house.policy.reject_on_fail = true;
        house.server->answers = answers;
        CHECK(house.answer("secret").contains("code=temp_fail"));
        CHECK(house.log.expect("until it answers, logins are refused for now"));
        CHECK(house.log.contains("the policy server could not be asked"));
        CHECK(house.penalties.size() == 0);
    }
}

TEST_CASE("log_only acts on nothing") {
    PolicyHouse house;
    house.policy.log_only = true;
    house.server->answers = {R"({"status":-1})", R"({"status":-1})"};
    CHECK(house.answer("secret").starts_with("OK\t1\t"));
    CHECK(house.log.contains("the policy server says -1, which is only logged"));
}

TEST_CASE("a database that is away is not reported as a failed login") {
    PolicyHouse house;
    house.users->fails = true;
    CHECK(house.answer("secret").contains("code=temp_fail"));
    CHECK(house.log.expect("the database is away"));
    CHECK(house.server->commands() == "allow ");
}
