// JSON web tokens: the RFCs' examples, every algorithm, and the ways to pass a false one off.
#include "auth-socket/oauth2/jwt.h"
#include "auth-socket/oauth2/key_store.h"

#include "common/base/encoding.h"
#include "tests/unit/auth-socket/token_maker.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/temp_dir.h"

using namespace postern;
using namespace postern::auth_socket;
using namespace postern::auth_socket::test;

namespace {

constexpr std::int64_t now = 1'700'000'000;
constexpr char good_claims[] =
    R"({"sub":"1","email":"ann@a.example","iat":1699999990,"nbf":1699999990,"exp":1700000100})";
std::string const secret(32, 'k');

Jwt parsed(std::string_view token) {
    auto jwt = read_jwt(token);
    REQUIRE(jwt);
    REQUIRE(*jwt);
    return std::move(**jwt);
}

bool verifies(VerificationKey const& key, std::string_view token) {
    auto const jwt = parsed(token);
    auto const* algorithm = find_signature_algorithm(jwt.algorithm);
    return algorithm != nullptr && key.verifies(*algorithm, jwt.signed_text, jwt.signature);
}

VerificationKey jwk(std::string_view text) {
    auto const value = json::parse(text);
    REQUIRE(value);
    auto key = VerificationKey::of_jwk(*value);
    REQUIRE(key);
    return std::move(*key);
}

VerificationKey pem(TokenKey const& key) {
    auto read = VerificationKey::of_pem(key.pem());
    REQUIRE(read);
    return std::move(*read);
}

std::string claims_problem(std::string_view text, ClaimRules const& rules = {}) {
    auto const claims = json::parse(text);
    REQUIRE(claims);
    return problem_of_claims(*claims, rules, now).value_or("none");
}

// Keys in Dovecot's layout below a directory of this test's own.
struct Keys {
    postern::test::TempDir directory;
    KeyStore store{directory.path() + "/"};

    void put(std::string const& name, std::string const& text) const { (void)directory.write(name, text); }
    std::string verdict(std::string_view token) const {
        auto const found = store.verifies(parsed(token));
        return !found ? std::string(to_string(found.error().kind)) : *found ? "yes" : "no";
    }
};

} // namespace

TEST_CASE("RFC 7515's and RFC 8037's examples verify, and no longer with one bit changed") {
    constexpr char joe[] =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl"
        "fQ.";
    std::pair<std::string, std::string> const examples[] = {
        {R"({"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"})",
         std::string("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.") + joe +
             "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"},
        {R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
         R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})",
         std::string("eyJhbGciOiJFUzI1NiJ9.") + joe +
             "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"},
    };
    for (auto const& [key, token] : examples) {
        CHECK(verifies(jwk(key), token));
        auto changed = token;
        auto& last = changed[changed.size() - 20];
        last = last == 'A' ? 'B' : 'A';
        CHECK(!verifies(jwk(key), changed));
    }
    // RFC 8037 A.4; its payload is a text, not claims.
    auto const edwards =
        jwk(R"({"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})");
    auto const signature = base64url_decode(
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg");
    CHECK(edwards.verifies(*find_signature_algorithm("EdDSA"),
                           "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc", *signature));
}

TEST_CASE("every algorithm verifies with its own kind of key, and with no other") {
    auto const rsa = TokenKey::rsa(2048);
    auto const p256 = TokenKey::elliptic("P-256");
    auto const p384 = TokenKey::elliptic("P-384");
    auto const p521 = TokenKey::elliptic("P-521");
    auto const ed25519 = TokenKey::edwards("ED25519");
    auto const ed448 = TokenKey::edwards("ED448");
    std::pair<std::string_view, TokenKey const*> const pairs[] = {
        {"RS256", &rsa},  {"RS384", &rsa},     {"RS512", &rsa},   {"PS256", &rsa},
        {"PS384", &rsa},  {"PS512", &rsa},     {"ES256", &p256},  {"ES384", &p384},
        {"ES512", &p521}, {"EdDSA", &ed25519}, {"EdDSA", &ed448},
    };
    for (auto const& [algorithm, key] : pairs) {
        auto const token = signed_token(*key, algorithm, good_claims);
        for (auto const* other : {&rsa, &p256, &p384, &p521, &ed25519, &ed448})
            CHECK(verifies(pem(*other), token) == (other == key));
    }
    CHECK(verifies(jwk(rsa.rsa_jwk()), signed_token(rsa, "PS256", good_claims)));
    for (auto const* algorithm : {"HS256", "HS384", "HS512"}) {
        auto const token = secret_token(secret, algorithm, good_claims);
        CHECK(verifies(*VerificationKey::of_secret(secret), token));
        CHECK(!verifies(*VerificationKey::of_secret(std::string(32, 'x')), token));
    }
}

TEST_CASE("a signature of another digest, another padding or another length does not verify") {
    auto const rsa = TokenKey::rsa(2048);
    auto const key = pem(rsa);
    auto const& rs256 = *find_signature_algorithm("RS256");
    CHECK(key.verifies(rs256, "x", rsa.sign("RS256", "x")));
    CHECK(!key.verifies(rs256, "x", rsa.sign("RS512", "x")));
    CHECK(!key.verifies(rs256, "x", rsa.sign("PS256", "x")));
    CHECK(!key.verifies(rs256, "x", ""));
    auto const curve = TokenKey::elliptic("P-256");
    auto const signature = curve.sign("ES256", "x");
    auto const& es256 = *find_signature_algorithm("ES256");
    CHECK(pem(curve).verifies(es256, "x", signature));
    CHECK(!pem(curve).verifies(es256, "x", signature + '\0'));
    CHECK(!pem(curve).verifies(es256, "x", std::string(64, '\0'))); // r = s = 0
}

TEST_CASE("short keys are refused, and at the limit they are not") {
    CHECK(!VerificationKey::of_pem(TokenKey::rsa(1024).pem()));
    CHECK(VerificationKey::of_pem(TokenKey::rsa(2048).pem()));
    CHECK(!VerificationKey::of_secret(std::string(15, 'x')));
    CHECK(VerificationKey::of_secret(std::string(16, 'x')));
    CHECK(!VerificationKey::of_pem("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"));
}

TEST_CASE("alg none in any spelling, and names nobody knows, are no algorithms") {
    for (auto const* name : {"none", "None", "NONE", "", "HS1", "rs256", "ES256K"})
        CHECK(find_signature_algorithm(name) == nullptr);
    Keys keys;
    keys.put("default/HS256/default", base64_encode(secret));
    CHECK(keys.verdict(joined_token(R"({"alg":"none"})", good_claims, "")) == "no");
    CHECK(keys.verdict(joined_token(R"({"alg":""})", good_claims, "x")) == "no");
}

TEST_CASE("a public RSA key is never the secret of an HMAC") {
    auto const rsa = TokenKey::rsa(2048);
    Keys keys;
    keys.put("default/RS256/default", rsa.pem());
    auto const forged = secret_token(rsa.pem(), "HS256", good_claims);
    CHECK(keys.verdict(forged) == "no"); // no key for HS256
    CHECK(!verifies(pem(rsa), forged));
    // Even where somebody has copied it there, it is a mistake to be told, not a secret.
    keys.put("default/HS256/default", rsa.pem());
    CHECK(keys.verdict(forged) == "temporary");
    KeyStore const set(keys.directory.write("set.json", R"({"keys":[)" + rsa.rsa_jwk() + "]}"));
    CHECK(!set.verifies(parsed(forged)).value());
    CHECK(set.verifies(parsed(signed_token(rsa, "RS256", good_claims))).value());
}

TEST_CASE("keys are found by azp, algorithm and kid, as Dovecot lays them out") {
    auto const key = TokenKey::elliptic("P-256");
    auto const edwards = TokenKey::edwards("ED25519");
    Keys keys;
    keys.put("default/ES256/default", key.pem());
    keys.put("web%2fmail/ES256/a%25b", key.pem());
    keys.put("default/EDDSA/k1", edwards.pem());
    keys.put("default/HS256/default", base64_encode(secret) + "\n");
    CHECK(keys.verdict(signed_token(key, "ES256", good_claims)) == "yes");
    CHECK(keys.verdict(signed_token(key, "ES256", R"({"azp":"web/mail"})", "a%b")) == "yes");
    CHECK(keys.verdict(signed_token(key, "ES256", R"({"azp":"web/mail"})")) == "no");
    CHECK(keys.verdict(signed_token(edwards, "EdDSA", good_claims, "k1")) == "yes");
    CHECK(keys.verdict(secret_token(secret, "HS256", good_claims)) == "yes");
    CHECK(keys.verdict(secret_token(std::string(32, 'x'), "HS256", good_claims)) == "no");
}

TEST_CASE("a kid or azp leads to no file outside the directory") {
    CHECK(key_file_name("") == "default");
    CHECK(key_file_name("a/../b") == "a%2f%2e%2e%2fb");
    CHECK(key_file_name("..") == "%2e%2e");
    CHECK(key_file_name("1.apps.example") == "1%2eapps%2eexample"); // Google's azp
    CHECK(key_file_name(std::string("a\0b", 3)) == std::nullopt);
    CHECK(key_file_name(std::string(255, 'x')) == std::string(255, 'x'));
    CHECK(key_file_name(std::string(256, 'x')) == std::nullopt);
    CHECK(key_file_name(std::string(254, 'x') + "/") == std::nullopt); // 257 when escaped
}

TEST_CASE("a key that is there and cannot be used is temporary, one that is not there refuses") {
    Keys keys;
    CHECK(keys.verdict(secret_token(secret, "HS256", good_claims)) == "no");
    keys.put("default/HS256/default", "not base64!");
    CHECK(keys.verdict(secret_token(secret, "HS256", good_claims)) == "temporary");
    keys.put("default/HS256/default", base64_encode("short"));
    CHECK(keys.verdict(secret_token("short", "HS256", good_claims)) == "temporary");
    KeyStore const nowhere(keys.directory.path() + "/nothing/");
    CHECK(nowhere.verifies(parsed(secret_token(secret, "HS256", good_claims))).error().kind ==
          ErrorKind::temporary);
    KeyStore const broken(keys.directory.path() + "/default/HS256/default");
    CHECK(broken.verifies(parsed(secret_token(secret, "HS256", good_claims))).error().kind ==
          ErrorKind::temporary);
}

TEST_CASE("a JWK that says what it is for is for nothing else") {
    auto const rsa = TokenKey::rsa(2048);
    auto const inner = rsa.rsa_jwk().substr(1);
    postern::test::TempDir directory;
    auto const verdict = [&](std::string const& members, std::string_view key_id,
                             std::string_view algorithm) {
        return KeyStore(directory.write("set.json",
                                        R"({"keys":[{"kty":"oct","k":"AA"},{)" + members + inner + "]}"))
            .verifies(parsed(signed_token(rsa, algorithm, good_claims, key_id)))
            .value();
    };
    CHECK(verdict(R"("kid":"a","use":"sig","alg":"RS256",)", "a", "RS256"));
    CHECK(verdict(R"("kid":"a",)", "", "RS256"));
    CHECK(!verdict(R"("kid":"a",)", "b", "RS256"));
    CHECK(!verdict("", "a", "RS256"));
    CHECK(!verdict(R"("use":"enc",)", "", "RS256"));
    CHECK(!verdict(R"("alg":"RS512",)", "", "RS256"));
}

TEST_CASE("a key of a JWK set that the token names and nobody can read is temporary") {
    postern::test::TempDir directory;
    KeyStore const store(directory.write(
        "set.json", R"({"keys":[{"kty":"oct","kid":"a","k":"AA"},{"kty":"RSA","kid":"b","n":"AQAB"}]})"));
    auto const kind = [&](std::string_view key_id) {
        auto const found = store.verifies(parsed(
            joined_token(R"({"alg":"HS256","kid":")" + std::string(key_id) + "\"}", good_claims, "x")));
        return found ? std::string(*found ? "yes" : "no") : std::string(to_string(found.error().kind));
    };
    CHECK(kind("a") == "temporary");
    CHECK(kind("b") == "temporary");
    CHECK(kind("c") == "no");
    CHECK(kind("") == "no");
}

TEST_CASE("times: exp is needed and is the first second that is too late; others may be a second ahead") {
    CHECK(claims_problem(good_claims) == "none");
    CHECK(claims_problem("{}") == "it has no exp");
    CHECK(claims_problem(R"({"exp":1700000001})") == "none");
    CHECK(claims_problem(R"({"exp":1700000000})") == "it has expired");
    CHECK(claims_problem(R"({"exp":1.70000000099e9})") == "it has expired");
    CHECK(claims_problem(R"({"exp":"1700000100"})") == "exp is not a time");
    CHECK(claims_problem(R"({"exp":1e300})") == "exp is not a time");
    CHECK(claims_problem(R"({"exp":1700000100,"nbf":1700000001})") == "none");
    CHECK(claims_problem(R"({"exp":1700000100,"nbf":1700000002})") == "it is not valid yet");
    CHECK(claims_problem(R"({"exp":1700000100,"iat":1700000001})") == "none");
    CHECK(claims_problem(R"({"exp":1700000100,"iat":1700000002})") == "it was issued in the future");
    CHECK(claims_problem(R"({"exp":1700000100,"nbf":null})") == "nbf is not a time");
}

TEST_CASE("issuer, audience and scope are held against the configuration") {
    auto const with = [](std::string const& more) { return R"({"exp":1700000100)" + more + "}"; };
    ClaimRules const issuers{
        .issuers = {"https://a.example", "https://b.example"}, .audience = {}, .scopes = {}};
    CHECK(claims_problem(with(R"(,"iss":"https://b.example")"), issuers) == "none");
    CHECK(claims_problem(with(R"(,"iss":"https://b.example/")"), issuers) ==
          "its issuer \"https://b.example/\" is not one of issuers");
    CHECK(claims_problem(with(""), issuers) == "its issuer \"\" is not one of issuers");
    ClaimRules const audience{.issuers = {}, .audience = "mail", .scopes = {}};
    CHECK(claims_problem(with(R"(,"aud":"mail")"), audience) == "none");
    CHECK(claims_problem(with(R"(,"aud":["web","mail"])"), audience) == "none");
    CHECK(claims_problem(with(R"(,"aud":"mail web")"), audience) == "it is for another audience");
    CHECK(claims_problem(with(R"(,"aud":{"mail":1})"), audience) == "it is for another audience");
    CHECK(claims_problem(with(""), audience) == "it is for another audience");
    ClaimRules const scopes{.issuers = {}, .audience = {}, .scopes = {"mail", "send"}};
    CHECK(claims_problem(with(R"(,"scope":"send x mail")"), scopes) == "none");
    CHECK(claims_problem(with(R"(,"scope":["mail","send"])"), scopes) == "none");
    CHECK(claims_problem(with(R"(,"scope":"mail sender")"), scopes) == "it lacks the scope");
    CHECK(claims_problem(with(""), scopes) == "it lacks the scope");
}

TEST_CASE("what is no JWT may be an opaque token, and a broken JWT is refused") {
    auto const kind = [](std::string_view token) {
        auto const read = read_jwt(token);
        return std::string(!read ? "broken" : *read ? "jwt" : "opaque");
    };
    CHECK(kind("abc") == "opaque");
    CHECK(kind("a.b.c") == "opaque");
    CHECK(kind("a.b") == "opaque");
    CHECK(kind(joined_token(R"({"typ":"JWT"})", "{}", "x")) == "opaque");
    CHECK(kind(joined_token(R"({"alg":"HS256"})", "{}", "x")) == "jwt");
    CHECK(kind(joined_token(R"({"alg":"HS256"})", "[]", "x")) == "broken");
    CHECK(kind(joined_token(R"({"alg":"HS256"})", "{", "x")) == "broken");
    CHECK(kind(joined_token(R"({"alg":"HS256","crit":["b64"],"b64":false})", "{}", "x")) == "broken");
    CHECK(kind(joined_token(R"({"alg":"HS256"})", R"({"exp":1,"exp":2})", "x")) == "broken");
}

TEST_CASE("only the octets of RFC 6750's b64token are a token, up to the limit") {
    CHECK(is_token("aZ0-._~+/=="));
    for (auto const* text : {"", "=", "a b", "a\r\nX: y", "a=b", "ä", "a\x01"}) CHECK(!is_token(text));
    CHECK(is_token(std::string(token_limit, 'a')));
    CHECK(!is_token(std::string(token_limit + 1, 'a')));
}

TEST_CASE("nested claims have their path as name, and arrays become words") {
    auto const claims = json::parse(R"({"a":{"b":{"c":1}},"aud":["x","y",{"z":1}],"t":true,"n":null})");
    auto const fields = flat_claims(*claims);
    CHECK(fields.value("a_b_c") == "1");
    CHECK(fields.value("aud") == "x y");
    CHECK(fields.value("t") == "true");
    CHECK(!fields.has("n"));
}

TEST_CASE("a claim is never that of an object within which its name is made up") {
    for (auto const* text :
         {R"({"a_b":"1","a":{"b":"2"},"":{"a_b":"3"}})", R"({"":{"a_b":"3"},"a":{"b":"2"},"a_b":"1"})"})
        CHECK(flat_claims(*json::parse(text)).value("a_b") == "1");
}
