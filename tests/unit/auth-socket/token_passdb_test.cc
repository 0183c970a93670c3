// passdb oauth2: what endpoints and keys say, and what a login makes of it.
#include "auth-socket/oauth2/token_passdb.h"

#include "common/base/encoding.h"
#include "tests/unit/auth-socket/token_maker.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/temp_dir.h"

#include <map>

using namespace postern;
using namespace postern::auth_socket;
using namespace postern::auth_socket::test;

namespace {

// Answers by URL without its user and its query; what was asked is kept.
class FakeClient final : public http::Client {
  public:
    std::map<std::string, http::Answer> answers;
    mutable std::vector<http::Request> asked;

    Result<http::Answer> send(http::Request const& request, Deadline) const override {
        asked.push_back(request);
        auto const user = request.url.find('@');
        auto const place =
            user == std::string::npos ? request.url : "https://" + request.url.substr(user + 1);
        auto const at = answers.find(place.substr(0, place.find('?')));
        if (at == answers.end()) return temporary("connection refused");
        return at->second;
    }
};

constexpr char url[] = "https://auth.example/introspect";

struct World {
    TokenSettings settings;
    std::shared_ptr<FakeClient> client = std::make_shared<FakeClient>();

    World() { settings.introspection_url = url; }
    Checked check(std::string_view token = "token", std::string user = "ann@a.example") const {
        Request request;
        request.user = std::move(user);
        request.client.service = "smtp";
        request.client.remote_ip = "2001:db8::1";
        request.client.remote_port = "1234";
        auto checked =
            TokenPassdb(settings, client, [] { return 1'700'000'000; }).check(request, Secret(token));
        REQUIRE(checked.has_value());
        REQUIRE(checked->has_value());
        return **checked;
    }
    std::string verdict(std::string_view token = "token") const {
        auto const checked = check(token);
        switch (checked.verdict) {
        case Verdict::ok: return "ok";
        case Verdict::password_mismatch: return "mismatch";
        case Verdict::user_disabled: return "disabled";
        case Verdict::temporary: return "temporary";
        default: return "another";
        }
    }
    std::string verdict_on(long status, std::string body) {
        client->answers[url] = {status, std::move(body)};
        return verdict();
    }
};

} // namespace

TEST_CASE("mode auth sends the token as its own authorization") {
    World world;
    CHECK(world.verdict_on(200, R"({"email":"Ann@A.example"})") == "ok");
    auto const& asked = world.client->asked.at(0);
    CHECK(asked.url == url);
    CHECK(!asked.body);
    CHECK(asked.headers == std::vector<std::string>{"Authorization: Bearer token"});
}

TEST_CASE("where the URL names a user, 401 is about that user and not about the token") {
    World world;
    world.settings.introspection_mode = IntrospectionMode::get;
    world.settings.introspection_url = "https://id:pw@auth.example/introspect?token=";
    CHECK(world.verdict_on(200, R"({"email":"ann@a.example"})") == "ok");
    CHECK(world.verdict_on(401, "") == "temporary");
    world.settings.tokeninfo_url = world.settings.introspection_url;
    CHECK(world.verdict_on(401, "") == "temporary");
}

TEST_CASE("without a client to ask with, an opaque token could not be checked, which is no wrong one") {
    World world;
    world.client = nullptr;
    CHECK(world.verdict() == "temporary");
}

TEST_CASE("no token gets into the log, wherever the URL has it") {
    World world;
    world.settings.tokeninfo_url = "https://auth.example/tokeninfo/";
    world.client->answers["https://auth.example/tokeninfo/s3cret"] = {500, ""};
    CHECK(world.check("s3cret").text == "https://auth.example: HTTP status 500");
}

TEST_CASE("a server's words fill no log") {
    World world;
    auto const answer = R"({"error":"invalid_token","error_description":")" + std::string(5000, 'x') + "\"}";
    CHECK(world.verdict_on(400, answer) == "mismatch");
    CHECK(world.check().text.size() < 300);
}

TEST_CASE("modes get and post send the token and our credentials, encoded") {
    World world;
    world.settings.client_id = "me&you";
    world.settings.client_secret = "s";
    world.settings.introspection_mode = IntrospectionMode::get;
    world.settings.introspection_url = std::string(url) + "?token=";
    CHECK(world.verdict_on(200, R"({"email":"ann@a.example"})") == "ok");
    CHECK(world.client->asked.back().url ==
          std::string(url) + "?token=token&client_id=me%26you&client_secret=s");
    world.settings.introspection_mode = IntrospectionMode::post;
    world.settings.introspection_url = url;
    CHECK(world.verdict("a+/=") == "ok");
    CHECK(world.client->asked.back().body == "token=a%2B%2F%3D&client_id=me%26you&client_secret=s");
    CHECK(world.client->asked.back().content_type == "application/x-www-form-urlencoded");
}

TEST_CASE("the server learns of the client only where it is to") {
    World world;
    world.settings.send_auth_headers = true;
    CHECK(world.verdict_on(200, R"({"email":"ann@a.example"})") == "ok");
    CHECK(world.client->asked.at(0).headers ==
          std::vector<std::string>{"X-Dovecot-Auth-Service: smtp",
                                   "X-Dovecot-Auth-Remote: [2001:db8::1]:1234",
                                   "Authorization: Bearer token"});
}

TEST_CASE("only what an endpoint clearly says about the token is held against it") {
    World world;
    CHECK(world.verdict() == "temporary"); // away
    CHECK(world.verdict_on(500, "") == "temporary");
    CHECK(world.verdict_on(302, "") == "temporary");
    CHECK(world.verdict_on(404, "") == "temporary");
    CHECK(world.verdict_on(429, "") == "temporary");
    CHECK(world.verdict_on(403, "") == "temporary");
    CHECK(world.verdict_on(401, "") == "mismatch");
    CHECK(world.verdict_on(400, "<html>") == "temporary"); // a proxy, about the request
    CHECK(world.verdict_on(400, R"({"error_description":"Invalid Value"})") == "mismatch");
    CHECK(world.verdict_on(400, R"({"error":"invalid_client"})") == "temporary");
    CHECK(world.verdict_on(400, R"({"error":"invalid_token"})") == "mismatch");
    CHECK(world.verdict_on(403, R"({"error":"insufficient_scope"})") == "disabled");
    CHECK(world.verdict_on(200, "") == "temporary");
    CHECK(world.verdict_on(200, "<html>") == "temporary");
    CHECK(world.verdict_on(200, "[]") == "temporary");
    CHECK(world.verdict_on(200, "{}") == "temporary"); // whose token it is was not told
    CHECK(world.verdict_on(200, R"({"error":"server_error"})") == "temporary");
    CHECK(world.verdict_on(200, R"({"error":"invalid_token","email":"ann@a.example"})") == "mismatch");
    world.settings.introspection_mode = IntrospectionMode::post;
    CHECK(world.verdict_on(401, "") == "temporary");
    CHECK(world.verdict_on(401, R"({"error":"invalid_client"})") == "temporary");
    CHECK(world.verdict_on(400, R"({"error":"invalid_token"})") == "mismatch");
}

TEST_CASE(
    "a token that is not active, has expired or is of another type is none, whatever else is configured") {
    World world;
    CHECK(world.verdict_on(200, R"({"active":false})") == "mismatch");
    CHECK(world.verdict_on(200, R"({"active":"false","email":"ann@a.example"})") == "mismatch");
    CHECK(world.verdict_on(200, R"({"active":true,"email":"ann@a.example"})") == "ok");
    for (auto const* no : {"null", "0", "\"\"", "[]", "\"False\""})
        CHECK(world.verdict_on(200, R"({"email":"ann@a.example","active":)" + std::string(no) + "}") ==
              "mismatch");
    CHECK(world.verdict_on(200, R"({"email":"ann@a.example","exp":null})") == "ok");
    CHECK(world.verdict_on(200, R"({"email":"ann@a.example","exp":1000})") == "mismatch");
    CHECK(world.verdict_on(200, R"({"email":"ann@a.example","exp":"1000"})") == "mismatch");
    CHECK(world.verdict_on(200, R"({"email":"ann@a.example","exp":99999999999})") == "ok");
    CHECK(world.verdict_on(200, R"({"email":"ann@a.example","token_type":"Bearer"})") == "ok");
    CHECK(world.verdict_on(200, R"({"email":"ann@a.example","token_type":"mac"})") == "mismatch");
}

TEST_CASE("another's token lets nobody in") {
    World world;
    CHECK(world.verdict_on(200, R"({"email":"eve@a.example"})") == "mismatch");
    CHECK(world.verdict_on(200, R"({"email":""})") == "mismatch");
    CHECK(world.check().text == "Invalid credentials: the token is that of \"\"");
    world.settings.username_format = "%Ln";
    world.client->answers[url] = {200, R"({"email":"@b.example"})"};
    CHECK(world.check("token", "@a.example").verdict == Verdict::password_mismatch); // two empty names
    world.settings.username_attribute = "preferred_username";
    world.settings.username_format = "%Ln";
    CHECK(world.verdict_on(200, R"({"preferred_username":"ANN","email":"eve@a.example"})") == "ok");
}

TEST_CASE("active_attribute and scope keep a user out") {
    World world;
    world.settings.active_attribute = "enabled";
    CHECK(world.verdict_on(200, R"({"email":"ann@a.example"})") == "disabled");
    CHECK(world.verdict_on(200, R"({"email":"ann@a.example","enabled":0})") == "ok"); // any value will do
    world.settings.active_value = "true";
    CHECK(world.verdict_on(200, R"({"email":"ann@a.example","enabled":false})") == "disabled");
    CHECK(world.verdict_on(200, R"({"email":"ann@a.example","enabled":true})") == "ok");
    world.settings.scopes = {"mail"};
    CHECK(world.verdict_on(200, R"({"email":"ann@a.example","enabled":true})") == "disabled");
    CHECK(world.verdict_on(200, R"({"email":"ann@a.example","enabled":true,"scope":"a mail"})") == "ok");
    CHECK(world.verdict_on(200, R"({"email":"ann@a.example","enabled":true,"aud":["mail"]})") == "ok");
}

TEST_CASE("what could become part of a header or a URL in another way is never sent") {
    World world;
    for (auto const* text : {"", "a b", "a\r\nHost: x", "a\tb"}) CHECK(world.verdict(text) == "mismatch");
    CHECK(world.client->asked.empty());
}

TEST_CASE("tokeninfo_url is asked first, and introspection_url where it did not tell all") {
    World world;
    world.settings.tokeninfo_url = "https://auth.example/tokeninfo?access_token=";
    auto const asked = [&](std::string const& info, bool force = false) {
        world.client->asked.clear();
        world.settings.force_introspection = force;
        world.client->answers["https://auth.example/tokeninfo"] = {200, info};
        world.client->answers[url] = {200, R"({"email":"ann@a.example"})"};
        auto const verdict = world.verdict();
        return verdict + " after " + std::to_string(world.client->asked.size());
    };
    CHECK(asked(R"({"email":"ann@a.example"})") == "ok after 1");
    CHECK(world.client->asked.at(0).url == "https://auth.example/tokeninfo?access_token=token");
    CHECK(world.client->asked.at(0).headers == std::vector<std::string>{"Authorization: Bearer token"});
    CHECK(asked(R"({"email":"eve@a.example"})") == "mismatch after 1");
    CHECK(asked(R"({"email":"eve@a.example"})", true) == "ok after 2"); // what the later one says counts
    CHECK(asked("{}") == "ok after 2");
    CHECK(asked(R"({"error":"invalid_token"})") == "mismatch after 1");
    world.settings.pass_attributes.set("userdb_quota_rule", "*:bytes=%{oauth2:quota}");
    CHECK(asked(R"({"email":"ann@a.example"})") == "ok after 2");
    CHECK(asked(R"({"email":"ann@a.example","quota":5})") == "ok after 1");
    CHECK(world.check().fields.value("userdb_quota_rule") == "*:bytes=5");
}

TEST_CASE("tokeninfo_url is shown the token as an authorization in mode auth only, and not beside a user of "
          "its own") {
    World world;
    world.settings.tokeninfo_url = "https://id:pw@auth.example/tokeninfo?access_token=";
    (void)world.verdict();
    CHECK(world.client->asked.at(0).headers.empty());
    world.client->asked.clear();
    world.settings.tokeninfo_url = "https://auth.example/tokeninfo?access_token=";
    world.settings.introspection_mode = IntrospectionMode::post;
    (void)world.verdict();
    CHECK(world.client->asked.at(0).headers.empty());
}

TEST_CASE("keys check a signed token without any server, and an opaque one is asked for") {
    postern::test::TempDir directory;
    (void)directory.write("default/HS256/default", base64_encode(std::string(32, 'k')));
    World world;
    world.settings.local_validation_key_dict = "fs:posix:prefix=" + directory.path() + "/";
    auto const token = [](std::string const& claims) {
        return secret_token(std::string(32, 'k'), "HS256", claims);
    };
    CHECK(world.verdict(token(R"({"email":"ann@a.example","exp":1700000100})")) == "ok");
    CHECK(world.verdict(token(R"({"email":"eve@a.example","exp":1700000100})")) == "mismatch");
    CHECK(world.verdict(token(R"({"email":"ann@a.example","exp":1600000000})")) == "mismatch");
    CHECK(world.verdict(secret_token("12345678901234567890", "HS256",
                                     R"({"email":"ann@a.example","exp":1700000100})")) == "mismatch");
    CHECK(world.client->asked.empty());
    CHECK(world.verdict_on(200, R"({"email":"ann@a.example"})") == "ok");
    CHECK(world.client->asked.size() == 1);
    world.settings.introspection_url.clear();
    CHECK(world.verdict() == "mismatch");
    CHECK(world.client->asked.size() == 1);
}

TEST_CASE("a password is exchanged for a token where the configuration says so") {
    World world;
    world.settings.grant_url = "https://auth.example/token";
    world.settings.use_grant_password = true;
    world.settings.client_id = "id";
    world.settings.scopes = {"mail"};
    world.client->answers["https://auth.example/token"] = {200,
                                                           R"({"access_token":"t2","token_type":"Bearer"})"};
    world.client->answers[url] = {200, R"({"email":"ann@a.example","scope":"mail"})"};
    CHECK(world.verdict("pass word&") == "ok");
    CHECK(world.client->asked.at(0).body ==
          "grant_type=password&username=ann%40a.example&password=pass%20word%26"
          "&client_id=id&scope=mail");
    CHECK(world.client->asked.at(1).headers == std::vector<std::string>{"Authorization: Bearer t2"});
    world.client->answers["https://auth.example/token"] = {400, R"({"error":"invalid_grant"})"};
    CHECK(world.verdict("wrong") == "mismatch");
    world.client->answers["https://auth.example/token"] = {401, R"({"error":"invalid_client"})"};
    CHECK(world.verdict("right") == "temporary");
    CHECK(world.verdict("") == "mismatch");
}
