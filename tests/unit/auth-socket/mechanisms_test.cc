// SASL mechanisms against recorded exchanges and the RFCs' own examples.
#include "auth-socket/mechanisms/mechanism.h"

#include "auth-socket/schemes/kinds.h"
#include "auth-socket/schemes/scheme.h"
#include "common/base/encoding.h"
#include "common/base/text.h"
#include "tests/unit/support/catch.h"

using namespace postern;
using namespace postern::auth_socket;

namespace {

Credential stored(std::string_view text) {
    auto credential = read_stored_password(text, "PLAIN");
    REQUIRE(credential);
    return std::move(*credential);
}

std::unique_ptr<Mechanism> make(std::string_view name, std::string nonce, std::string host = "vm") {
    auto const* kind = find_mechanism(name);
    REQUIRE(kind != nullptr);
    MechanismContext context;
    context.fixed_nonce = std::move(nonce);
    context.host_name = std::move(host);
    return kind->make(context);
}

std::string challenge(Step const& step) {
    auto const* found = std::get_if<Challenge>(&step);
    return found == nullptr ? "<no challenge>" : found->data;
}

std::string refusal(Step const& step) {
    auto const* found = std::get_if<Refused>(&step);
    return found == nullptr ? "<not refused>" : found->why + (found->mismatch ? " (mismatch)" : "");
}

std::string proof(Step const& step) {
    auto const* found = std::get_if<Proven>(&step);
    return found == nullptr ? "<not proven: " + refusal(step) + ">" : "proven " + found->final_data;
}

NeedSecret needed(Step const& step) {
    auto const* found = std::get_if<NeedSecret>(&step);
    REQUIRE(found != nullptr);
    return *found;
}

// Checks RFC 2195's example with one form of the stored password.
std::string cram_example(std::string_view stored_password, std::string_view answer) {
    auto const challenge_text = "<1896.697170952@postoffice.reston.mci.net>";
    auto const response = kinds::cram_md5_response(stored(stored_password).value.reveal(), challenge_text);
    return hex_encode(response) == answer ? "equal" : hex_encode(response);
}

} // namespace

TEST_CASE("RFC 2195's example comes out of the stored CRAM-MD5 state") {
    auto const made = make_stored_password("CRAM-MD5", {"tanstaaftanstaaf", "tim"}, {});
    REQUIRE(made);
    CHECK(cram_example(*made, "b913a602c7eda7a495b4e6e7334d3890") == "equal");
}

TEST_CASE("CRAM-MD5 accepts the right answer for a plain and a stored password and no other") {
    for (std::string const& password :
         {std::string("{PLAIN}secret"), *make_stored_password("CRAM-MD5", {"secret", ""}, {}),
          *make_stored_password("HMAC-MD5", {"secret", ""}, {})}) {
        auto mechanism = make("CRAM-MD5", "1234");
        auto const asked = challenge(mechanism->start(std::nullopt));
        REQUIRE(asked.starts_with("<1234."));
        REQUIRE(asked.ends_with("@vm>"));
        auto const answer = hex_encode(kinds::hmac("MD5", "secret", asked));
        CHECK(needed(mechanism->receive("a b@example.com " + answer)).user == "a b@example.com");
        CHECK(proof(mechanism->secret(stored(password), {})) == "proven ");
        CHECK(refusal(mechanism->secret(stored("{PLAIN}Secret"), {})) == "Password mismatch (mismatch)");
    }
    for (auto const* bad : {"", "user", "user xyz", "user 00", "user 0123456789abcdef0123456789abcdef00"})
        CHECK(refusal(make("CRAM-MD5", "1")->receive(bad)) == "invalid input");
}

TEST_CASE("the recorded DIGEST-MD5 exchange is proven and answered with the recorded rspauth") {
    auto mechanism = make("DIGEST-MD5", "V8DKkYvx/G9lyo9CQTG3OA==");
    CHECK(challenge(mechanism->start(std::nullopt)) ==
          "realm=\"\",nonce=\"V8DKkYvx/"
          "G9lyo9CQTG3OA==\",qop=\"auth\",charset=\"utf-8\",algorithm=\"md5-sess\"");
    auto const need = needed(mechanism->receive(
        "username=\"plain@example.com\",realm=\"\",nonce=\"V8DKkYvx/G9lyo9CQTG3OA==\",nc=00000001,"
        "cnonce=\"OA6MHXh6VqTrRk\",digest-uri=\"smtp/mx\",response=522ae30850c2565f802856d83adfbc8c,qop=auth,"
        "charset=utf-8"));
    CHECK(need.user == "plain@example.com");
    CHECK(proof(mechanism->secret(stored("{PLAIN}secret"), {})) ==
          "proven rspauth=e363058994802aa4bf7fc7f059cc7d38");
    CHECK(refusal(mechanism->secret(stored("{PLAIN}wrong"), {})) == "Password mismatch (mismatch)");
}

TEST_CASE("DIGEST-MD5 refuses another nonce, a replayed count, twice the same directive and broken quoting") {
    auto const answer = [](std::string_view text) { return refusal(make("DIGEST-MD5", "n")->receive(text)); };
    auto const good =
        std::string("username=\"u\",nonce=\"n\",nc=00000001,cnonce=\"c\",response=") + std::string(32, '0');
    CHECK(answer(good) == "<not refused>");
    CHECK(answer(replace_all(good, "nonce=\"n\"", "nonce=\"m\"")) == "invalid input");
    CHECK(answer(replace_all(good, "00000001", "00000002")) == "invalid input");
    CHECK(answer(good + ",nc=00000001") == "invalid input");
    CHECK(answer(good + ",qop=auth-int") == "invalid input");
    CHECK(answer("username=\"u") == "invalid input");
    CHECK(answer("username=\"u\\") == "invalid input");
    CHECK(answer(std::string(100, ',')) == "invalid input");
}

TEST_CASE("RFC 7677's example of SCRAM-SHA-256 is proven with the example's server signature") {
    // The RFC's server nonce and salt: the stored form carries the salt, the nonce is fixed.
    auto const keys =
        kinds::make_scram_keys("SHA256", "pencil", *base64_decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096);
    auto mechanism = make("SCRAM-SHA-256", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
    auto const need = needed(mechanism->receive("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"));
    CHECK(need.user == "user");
    CHECK(need.schemes == std::vector<std::string>{"SCRAM-SHA-256"});
    auto const server_first =
        challenge(mechanism->secret(stored("{SCRAM-SHA-256}" + kinds::write_scram_keys(keys)), {}));
    CHECK(server_first ==
          "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
    auto const last = std::string("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                                  "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    CHECK(proof(mechanism->receive(last)) == "proven v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    CHECK(refusal(mechanism->receive(replace_all(last, "p=dHz", "p=eHz"))) == "Password mismatch (mismatch)");
    CHECK(refusal(mechanism->receive(replace_all(last, "c=biws", "c=eSws"))) ==
          "the channel binding changed");
    CHECK(refusal(mechanism->receive(replace_all(last, "r=rOp", "r=rOq"))) == "wrong nonce");
    CHECK(refusal(mechanism->receive("c=biws")) == "invalid input");
}

TEST_CASE("RFC 5802's example of SCRAM-SHA-1 is proven") {
    auto const keys = kinds::make_scram_keys("SHA1", "pencil", *base64_decode("QSXCR+Q6sek8bf92"), 4096);
    auto mechanism = make("SCRAM-SHA-1", "3rfcNHYJY1ZVvWVs7j");
    needed(mechanism->receive("n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"));
    mechanism->secret(stored("{SCRAM-SHA-1}" + kinds::write_scram_keys(keys)), {});
    CHECK(proof(mechanism->receive("c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
                                   "p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=")) ==
          "proven v=rmF9pqV8S7suAoZWja4dJRkFsKQ=");
}

TEST_CASE("SCRAM reads escaped names and authorization and refuses channel binding and broken messages") {
    auto const need = needed(make("SCRAM-SHA-1", "x")->receive("n,a=boss,n=a=2Cb=3Dc,r=n"));
    CHECK(need.user == "a,b=c");
    CHECK(need.authorization == "boss");
    CHECK(refusal(make("SCRAM-SHA-1", "x")->receive("p=tls-unique,,n=u,r=n")) ==
          "channel binding is not supported");
    for (auto const* bad :
         {"", "n", "n,", "n,,", "n,,n=u", "n,,m=x,n=u,r=n", "n,,n=a=2D,r=n", "n,,n=u,r=", "n,b=x,n=u,r=n"})
        CHECK(refusal(make("SCRAM-SHA-1", "x")->receive(bad)) != "<not refused>");
    CHECK(refusal(make("SCRAM-SHA-1", "x")->receive("n,,n=u,r=" + std::string(512, 'r'))) == "<not refused>");
    CHECK(refusal(make("SCRAM-SHA-1", "x")->receive("n,,n=u,r=" + std::string(513, 'r'))) == "invalid input");
}

TEST_CASE("a SCRAM nonce of ours is printable, has no comma and is new each time") {
    auto const nonce = [] {
        auto mechanism = make("SCRAM-SHA-1", "");
        needed(mechanism->receive("n,,n=u,r=c"));
        auto const first = challenge(mechanism->secret(stored("{PLAIN}x"), {}));
        return first.substr(0, first.find(",s="));
    };
    auto const one = nonce();
    CHECK(one.size() == 2 + 1 + 64);
    CHECK(std::ranges::all_of(one, [](char c) { return c > ' ' && c < 0x7f && c != ','; }));
    CHECK(one != nonce());
}

TEST_CASE("EXTERNAL trusts only a valid certificate's user name") {
    auto const* kind = find_mechanism("EXTERNAL");
    REQUIRE(kind != nullptr);
    MechanismContext context;
    context.certificate_user = "alice";
    CHECK(refusal(kind->make(context)->receive("")) ==
          "the client showed no valid certificate with a user name");
    context.valid_certificate = true;
    auto const step = kind->make(context)->receive("bob");
    REQUIRE(std::holds_alternative<Trusted>(step));
    CHECK(std::get<Trusted>(step).user == "alice");
    CHECK(std::get<Trusted>(step).authorization == "bob");
    context.certificate_user.clear();
    CHECK(refusal(kind->make(context)->receive("alice")) ==
          "the client showed no valid certificate with a user name");
}

TEST_CASE("ANONYMOUS becomes the configured user whatever the client says") {
    auto const* kind = find_mechanism("ANONYMOUS");
    REQUIRE(kind != nullptr);
    auto const step = kind->make({})->receive("root");
    REQUIRE(std::holds_alternative<Trusted>(step));
    CHECK(std::get<Trusted>(step).user == "anonymous");
    CHECK(std::get<Trusted>(step).ground == Trusted::Ground::anonymous);
}

TEST_CASE("LOGIN takes no NUL: what stands before it is another name, another password") {
    std::string const name("bob\0x", 5), password("secret\0x", 8);
    auto const in_name = make("LOGIN", "");
    CHECK(challenge(in_name->start(std::nullopt)) == "Username:");
    CHECK(refusal(in_name->receive(name)) == "invalid input");
    CHECK(refusal(make("LOGIN", "")->start(name)) == "invalid input");
    auto const in_password = make("LOGIN", "");
    CHECK(challenge(in_password->start("bob")) == "Password:");
    CHECK(refusal(in_password->receive(password)) == "invalid input");
}
