// OAUTHBEARER and XOAUTH2: their messages, and what a client with a bad token sees.
#include "auth-socket/mechanisms/mechanism.h"

#include "common/base/encoding.h"
#include "tests/unit/auth-socket/fixture.h"
#include "tests/unit/support/catch.h"

using namespace postern;
using namespace postern::auth_socket;
using namespace postern::auth_socket::test;

namespace {

std::string said(std::string_view name, std::string_view message) {
    MechanismContext context;
    context.token_scope = "mail send";
    context.openid_configuration = "https://auth.example/.well-known/openid-configuration";
    auto const mechanism = find_mechanism(name)->make(context);
    auto const step = mechanism->receive(message);
    if (auto const* check = std::get_if<CheckPassword>(&step))
        return check->user + "/" + check->authorization + "/" + std::string(check->password.reveal());
    if (auto const* challenge = std::get_if<Challenge>(&step)) {
        CHECK(std::get<Refused>(mechanism->receive("\x01")).why == "invalid input");
        return challenge->data;
    }
    return "another step";
}

// Tokens "good", "away" and others.
class Tokens final : public Passdb {
  public:
    Result<std::vector<Fields>> lookup(Request const&) const override { return std::vector<Fields>{}; }
    std::optional<Result<Checked>> check(Request const&, Secret const& token) const override {
        if (token.reveal() == "good")
            return Checked{Verdict::ok, "", fields({{"userdb_x", "1"}, {"y", "2"}})};
        if (token.reveal() == "away") return temporary("the endpoint is away");
        if (token.reveal() == "off") return Checked{Verdict::user_disabled, "User account is not active", {}};
        return Checked{Verdict::password_mismatch, "Invalid credentials: no", {}};
    }
};

struct TokenHouse : House {
    TokenHouse() { client.mechanisms = {"XOAUTH2", "OAUTHBEARER"}; }
    std::unique_ptr<ClientSession> open() {
        auto const authority = std::make_shared<Authenticator>(
            AuthenticatorSettings{}, std::vector{passdb(std::make_shared<Tokens>(), "oauth")},
            std::vector<ConfiguredUserdb>{}, hashing, log);
        auto session = std::make_unique<ClientSession>(client, authority, surroundings, net::Waker());
        CHECK(session->greeting().contains("MECH\tXOAUTH2\tplaintext\nMECH\tOAUTHBEARER\tplaintext\n"));
        REQUIRE(session->receive("VERSION\t1\t1\nCPID\t1\n"));
        return session;
    }
    static std::string login(std::string_view token, int id = 1) {
        auto const message = "user=ann\x01"
                             "auth=Bearer " +
                             std::string(token) + "\x01\x01";
        return "AUTH\t" + std::to_string(id) +
               "\tXOAUTH2\tservice=smtp\trip=192.0.2.1\tresp=" + base64_encode(message) + "\n";
    }
};

} // namespace

TEST_CASE("RFC 7628's message names the user in its GS2 header") {
    CHECK(said("OAUTHBEARER", "n,a=user@a.example,\x01host=mx.a.example\x01port=587\x01"
                              "auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01") ==
          "user@a.example//vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
    CHECK(said("OAUTHBEARER", "y,a=a=2Cb=3Dc,\x01"
                              "auth=bearer x\x01\x01") == "a,b=c//x");
}

TEST_CASE("Google's message names the user as a pair") {
    CHECK(said("XOAUTH2", "user=user@a.example\x01"
                          "auth=Bearer ya29.x\x01\x01") == "user@a.example//ya29.x");
}

TEST_CASE("a message that is none gets RFC 7628's error before it fails") {
    constexpr char refused[] = R"({"status":"invalid_request","scope":"mail send","openid-configuration":)"
                               R"("https://auth.example/.well-known/openid-configuration"})";
    for (auto const* message : {"", "\x01",
                                "n,,\x01"
                                "auth=Bearer x\x01\x01",
                                "p=tls-unique,a=u,\x01"
                                "auth=Bearer x\x01\x01",
                                "n,a=u\x01"
                                "auth=Bearer x\x01\x01",
                                "n,a=u=,\x01"
                                "auth=Bearer x\x01\x01",
                                "n,a=u,\x01"
                                "auth=Basic x\x01\x01",
                                "n,a=u,\x01"
                                "auth=Bearer \x01\x01",
                                "n,a=u,\x01"
                                "auth=Bearer\x01\x01",
                                "n,a=u,x\x01"
                                "auth=Bearer x\x01\x01",
                                "n,a=u,", "n,a=u,\x01host=x\x01\x01",
                                "user=u\x01"
                                "auth=Bearer x\x01\x01"})
        CHECK(said("OAUTHBEARER", message) == refused);
    for (auto const* message : {"", "user=u", "auth=Bearer x",
                                "user=u\x01"
                                "auth=x\x01\x01",
                                "n,a=u,\x01"
                                "auth=Bearer x\x01\x01"})
        CHECK(said("XOAUTH2", message) ==
              R"({"status":"400","schemes":"bearer","scope":"mail send","openid-configuration":)"
              R"("https://auth.example/.well-known/openid-configuration"})");
}

TEST_CASE("a good token lets its user in, with what the passdb tells of it") {
    TokenHouse house;
    auto const session = house.open();
    CHECK(session->receive(TokenHouse::login("good")).value() == "OK\t1\tuser=ann\ty=2\n");
}

TEST_CASE("a bad token is told why, and fails when the client has answered") {
    TokenHouse house;
    auto const session = house.open();
    CHECK(session->receive(TokenHouse::login("bad")).value() ==
          "CONT\t1\t" + base64_encode(R"({"status":"401","schemes":"bearer","scope":"mail"})") + "\n");
    CHECK(house.log.contains("auth: oauth(ann,192.0.2.1): Invalid credentials: no"));
    CHECK(session->receive("CONT\t1\t\n").value() == "FAIL\t1\tuser=ann\n");
    CHECK(session->receive(TokenHouse::login("off", 2)).value() ==
          "CONT\t2\t" + base64_encode(R"({"status":"403","schemes":"bearer","scope":"mail"})") + "\n");
    CHECK(session->receive("CONT\t2\tAQ==\n").value() == "FAIL\t2\tuser=ann\tcode=user_disabled\n");
}

TEST_CASE("a token that could not be checked fails at once, as temporary, and counts for nothing") {
    TokenHouse house;
    auto const session = house.open();
    CHECK(session->receive(TokenHouse::login("away")).value() == "FAIL\t1\tuser=ann\tcode=temp_fail\n");
    CHECK(house.log.expect("the endpoint is away"));
    CHECK(house.penalties.size() == 0);
}

TEST_CASE("a guess counts once, also when its client does not wait for the end") {
    TokenHouse house;
    auto const session = house.open();
    REQUIRE(session->receive(TokenHouse::login("bad1")));
    CHECK(house.penalties.size() == 2); // the address and the user
    REQUIRE(session->receive("CANCEL\t1\n"));
    REQUIRE(session->receive(TokenHouse::login("bad2", 2)));
    REQUIRE(session->receive("CONT\t2\t\n"));
    CHECK(house.penalties.delay("192.0.2.1", "ann") == std::chrono::milliseconds(1000)); // after two
}
