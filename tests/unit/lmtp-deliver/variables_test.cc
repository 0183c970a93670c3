// %variables, with values that Dovecot 2.3.19 gave for the same texts.
#include "lmtp-deliver/variables.h"

#include "tests/unit/support/catch.h"

using namespace postern::lmtp_deliver;

namespace {

std::string expanded(std::string_view text) {
    VariableValues values;
    values.user = "alice@example.com";
    values.home = "/home/alice";
    values.uid = 8888;
    values.gid = 8889;
    values.hostname = "mx.example.com";
    auto const out = expand_variables(text, values);
    return out ? *out : "error: " + out.error().text;
}

} // namespace

TEST_CASE("variables expand as Dovecot expands them") {
    for (auto const& [text, wanted] : std::vector<std::pair<std::string, std::string>>{
             {"maildir:/v/%d/%n", "maildir:/v/example.com/alice"},
             {"%u|%h|%i|%s", "alice@example.com|/home/alice|8888|lmtp"},
             {"%{home} %{user} %{username} %{domain} %{uid}/%{gid} %{hostname}",
              "/home/alice alice@example.com alice example.com 8888/8889 mx.example.com"},
             {"%Hu", "2481bd"},
             {"%2.4Hu", "01"},
             {"%16.2Hu", "0000000000000001"},
             {"%1Hn", "0"},
             {"%Nu", "69a4f0bf"},
             {"%4.3Nu", "0001"},
             {"%2.256Nu", "bf"},
             {"%256Nu", "bf"},
             {"%Mu", "c160f8cc69a4f0bf2b0362752353d060"},
             {"%1Mu", "c"},
             {"%2.1Mu", "6"},
             {"%Xu", "0"},
             {"%Ru", "moc.elpmaxe@ecila"},
             {"%LUu", "ALICE@EXAMPLE.COM"},
             {"%1.1n", "l"},
             {"%2n", "al"},
             {"%-2n", "al"},
             {"%-3.2n", "ic"},
             {"%1.300u", "lice@example.com"},
             {"%5Lu", "alice"},
             {"%0.1u", "a"},
             {"%Dd", "example,dc=com"},
             {"%{md5:user}", "c160f8cc69a4f0bf2b0362752353d060"},
             {"%{sha256;truncate=8:user}", "ff"},
             {"100%%u", "100%u"},
             {"", ""},
         }) {
        INFO(text);
        CHECK(expanded(text) == wanted);
    }
}

TEST_CASE("what is unknown or missing is an error and never half a path") {
    CHECK(expanded("/v/%q") == "error: unknown variable %q");
    CHECK(expanded("/v/%{nope}") == "error: unknown variable %nope");
    CHECK(expanded("/v/%") == "error: unknown variable %");
    CHECK(expanded("/v/%{user") == "error: a variable has no closing brace");
    CHECK(expanded("%{nohash:user}") == "error: no hash is called nohash");
    CHECK(expanded("%{sha256;rounds=x:user}") == "error: unknown hash option rounds=x");
    CHECK(expand_variables("%h", {}).error().text == "the user has no home");
}
