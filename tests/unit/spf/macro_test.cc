// Macro strings: the examples of RFC 7208 7.4, the grammar, and what libspf2 gets wrong.
#include "tests/unit/support/catch.h"

#include "common/spf/macro.h"

using namespace postern;
using spf::MacroString;

namespace {

std::string value(char letter) {
    switch (letter) {
    case 's': return "strong-bad@email.example.com";
    case 'l': return "strong-bad";
    case 'o':
    case 'd': return "email.example.com";
    case 'i':
    case 'c': return "192.0.2.3";
    case 'v': return "in-addr";
    case 'h': return "mx.example.org";
    case 'p': return "mx.example.org";
    case 'r': return "example.net";
    case 't': return "1700000000";
    default: return "?";
    }
}

std::string expanded(std::string_view text) {
    auto const parsed = MacroString::parse(text, MacroString::Place::domain);
    return parsed ? parsed->expand_domain(value) : "error: " + parsed.error().text;
}

std::string explained(std::string_view text) {
    auto const parsed = MacroString::parse(text, MacroString::Place::explanation);
    return parsed ? parsed->expand(value) : "error: " + parsed.error().text;
}

bool is_domain_spec(std::string_view text) { return MacroString::parse_domain_spec(text).has_value(); }

} // namespace

TEST_CASE("the expansion examples of RFC 7208 7.4") {
    CHECK(expanded("%{s}") == "strong-bad@email.example.com");
    CHECK(expanded("%{o}") == "email.example.com");
    CHECK(expanded("%{d4}") == "email.example.com");
    CHECK(expanded("%{d3}") == "email.example.com");
    CHECK(expanded("%{d2}") == "example.com");
    CHECK(expanded("%{d1}") == "com");
    CHECK(expanded("%{dr}") == "com.example.email");
    CHECK(expanded("%{d2r}") == "example.email");
    CHECK(expanded("%{l}") == "strong-bad");
    CHECK(expanded("%{l-}") == "strong.bad");
    CHECK(expanded("%{lr}") == "strong-bad");
    CHECK(expanded("%{lr-}") == "bad.strong");
    CHECK(expanded("%{l1r-}") == "strong");
    CHECK(expanded("%{ir}.%{v}._spf.%{d2}") == "3.2.0.192.in-addr._spf.example.com");
    CHECK(expanded("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}") == "bad.strong.lp.3.2.0.192.in-addr._spf.example.com");
    CHECK(expanded("%{d2}.trusted-domains.example.net") == "example.com.trusted-domains.example.net");
}

TEST_CASE("a digit at or above the number of labels keeps every octet") {
    CHECK(MacroString::parse("%{h3}", MacroString::Place::domain)->expand(value) == "mx.example.org");
    CHECK(MacroString::parse("%{h1}", MacroString::Place::domain)->expand([](char) { return "mail"; }) ==
          "mail");
    CHECK(expanded("%{d128}") == "email.example.com");
    CHECK(expanded("%{d99999999999999999999}") == "email.example.com");
}

TEST_CASE("escapes, several delimiters and upper case letters") {
    CHECK(expanded("macro%%percent%_%_space%-url.example.com") == "macro%percent  space%20url.example.com");
    CHECK(MacroString::parse("%{l2r+-}", MacroString::Place::domain)->expand([](char) {
        return "foo-bar+zip+quux";
    }) == "bar.foo");
    CHECK(MacroString::parse("l=%{L}", MacroString::Place::explanation)->expand([](char) {
        return "~jack&jill=up-a_b3.c";
    }) == "l=~jack%26jill%3Dup-a_b3.c");
    CHECK(expanded("%{DR}.example") == "com.example.email.example");
}

TEST_CASE("spaces in an explanation stay spaces and macros after them are expanded") {
    CHECK(explained("Connections from %{c} not authorized.") == "Connections from 192.0.2.3 not authorized.");
    CHECK(explained("%{c} is queried as %{ir}.%{v}.arpa") ==
          "192.0.2.3 is queried as 3.2.0.192.in-addr.arpa");
    CHECK(explained("by %{r} at %{t}.") == "by example.net at 1700000000.");
}

TEST_CASE("what is no macro is an error that says where") {
    CHECK(expanded("%(ir).sbl.example.com") == "error: invalid-macro-char : %(ir)");
    CHECK(expanded("foo%.sbl.example.com") == "error: invalid-macro-char : foo%");
    CHECK(expanded("100%") == "error: invalid-macro-char : 100%");
    CHECK(expanded("%{d") == "error: invalid-macro-char : %{d");
    CHECK(expanded("%{}") == "error: invalid-macro-char : %{}");
    CHECK(expanded("%{d0}") == "error: invalid-macro-char : %{d0}");
    CHECK(expanded("%{d2r2}") == "error: invalid-macro-char : %{d2r2}");
    CHECK(expanded("%{d*}") == "error: invalid-macro-char : %{d*}");
    CHECK(expanded("a b") == "error: invalid-macro-char : a b");
    CHECK(expanded("a\tb") == "error: invalid-macro-char : a\tb");
    CHECK(explained("\xc3\xbc") == "error: invalid-macro-char : \xc3\xbc");
    CHECK(expanded("%{a}.example") == "error: Unknown Macro Encountered: %{a}");
    CHECK(expanded("%{r}.example") == "error: c,r,t macros allowed in exp= text only: %{r}");
}

TEST_CASE("a domain-spec ends in a macro or a top label") {
    for (auto const* good : {"example.com", "example.com.", "%{d}", "a.%{h}", "%{d}.com", "x.a-b", "x.1a",
                             "x%%", "x%_", "x%-", "a.b.museum"})
        CHECK(is_domain_spec(good));
    for (auto const* bad : {"", "foo", "foo-bar", "example.com:8080", "1.2.3.4", "a.123", "a.-b", "a.b-",
                            "a.", "a..", "%{d}com", "example.com/24", "a.b/c"})
        CHECK_FALSE(is_domain_spec(bad));
}

TEST_CASE("a name over 253 octets loses whole labels on the left") {
    auto const name = [](char) { return std::string("somewhat.long.exp.example.com"); };
    auto const text = MacroString::parse("foobar.%{o}.%{o}.%{o}.%{o}.%{o}.%{o}.%{o}.%{o}.example.com",
                                         MacroString::Place::domain);
    auto const expansion = text->expand_domain(name);
    CHECK(expansion.size() <= 253);
    CHECK(expansion.starts_with("somewhat.long.exp."));
    auto const one = MacroString::parse("%{l}", MacroString::Place::domain)->expand_domain([](char) {
        return std::string(300, 'x');
    });
    CHECK(one.size() == 300); // one label: no name that could be asked for
}

TEST_CASE("an expansion stops at its limit") {
    std::string many;
    for (int i = 0; i < 127; ++i) many += "%{l}";
    auto const text = MacroString::parse(many, MacroString::Place::explanation);
    auto const long_value = [](char) { return std::string(1000, 'x'); };
    CHECK(text->expand(long_value).size() == MacroString::max_expansion);
    CHECK(MacroString::parse("%{l}", MacroString::Place::domain)
              ->expand([](char) { return std::string(MacroString::max_expansion, 'x'); })
              .size() == MacroString::max_expansion);
}
