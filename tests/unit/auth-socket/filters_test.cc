// Dovecot 2.4's expressions between braces: what each filter makes, and what is told of a mistake.
#include "auth-socket/users/filters.h"
#include "auth-socket/users/variables.h"
#include "tests/unit/support/catch.h"

#include <map>

using namespace postern;
using namespace postern::auth_socket;

namespace {

Result<std::string> made(std::string_view inside) {
    static std::map<std::string, std::string, std::less<>> const values{{"first", "hello"},
                                                                        {"second", "world"},
                                                                        {"third", "pointer"},
                                                                        {"pointer", "portal"},
                                                                        {"port", "143"},
                                                                        {"three", "3"},
                                                                        {"encoded", "68656c6c6f"},
                                                                        {"domain", "test.dovecot.org"},
                                                                        {"empty", ""},
                                                                        {"user", "user@test@d"},
                                                                        {"several", "one\ttwo\tthree"}};
    return evaluate(inside, [](std::string_view name) -> Result<std::optional<std::string>> {
        if (name == "row") return temporary("the row has no value for it");
        auto const at = values.find(name);
        return at == values.end() ? std::nullopt : std::optional(at->second);
    });
}

} // namespace

TEST_CASE("2.4's filters make what Dovecot 2.4 makes") {
    for (auto const& [inside, expected] : std::initializer_list<std::pair<char const*, char const*>>{
             {"", ""},
             {"first", "hello"},
             {"lookup('first')", "hello"},
             {"lookup(third)", "portal"},
             {"literal('hello')", "hello"},
             {"empty | default('x}|')", "x}|"},
             {"first | default(second)", "hello"},
             {"row | default", ""},
             {"row | lower | default(first)", "hello"},
             {"first | upper", "HELLO"},
             {"first | substr(0)", "hello"},
             {"first | substr(1, 2)", "el"},
             {"first | substr(-2, 2)", "lo"},
             {"first | substr(2, -2)", "l"},
             {"first | substr(-5, -1)", "hell"},
             {"first | substr(5, 0)", ""},
             {"first | reverse", "olleh"},
             {"first | concat(' ', second)", "hello world"},
             {"concat(first,' ',second)", "hello world"},
             {"first | sha1", "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"},
             {"first | sha1(rounds=1000)", "c0ddea212ee1af8d6401947d29c8bfab31f8ad93"},
             {"first | sha1(salt='world')", "5715790a892990382d98858c4aa38d0617151575"},
             {"first | sha1(rounds=1000,salt='world')", "a314ec3ef5103223a4c5bd285dbe4ea5534d4334"},
             {"first | hash('md5') | hexlify(8)", "5d41402a"},
             {"first | md5 | substr(4,4)", "bc4b2a76"},
             {"first | md5 % 256 | hex", "92"},
             {"first | md5 | substr(0,8) % 256 | hex", "76"},
             {"first | md5 % 30 | hex(4)", "0016"},
             {"first | md5 % 30 | hex(-4)", "1600"},
             {"literal('1724925643') | hex", "66d046cb"},
             {"literal('1727121943') | hex(2)", "17"},
             {"three | hex | unhex", "3"},
             {"encoded | unhexlify | text", "hello"},
             {"encoded | unhexlify", "68656c6c6f"},
             {"three | hexlify(4)", "0033"},
             {"first | base64 | unbase64 | text", "hello"},
             {"first | base64(pad=0)", "aGVsbG8"},
             {"literal('<<?\?\?>>') | base64(url=1)", "PDw_Pz8-Pg=="},
             {"first | truncate(three)", "hel"},
             {"first | truncate(bits=7)", "4"},
             {"domain | ldap_dn", "test,dc=dovecot,dc=org"},
             {"user | index('@',-1)", "d"},
             {"user | index('@',9) | default('none')", "none"},
             {"user | username", "user"},
             {"user | domain | domain", "d"},
             {"several | list", "one,two,three"},
             {"literal('1') | lfill(3, ' ')", "  1"},
             {"literal('1') | rfill(3)", "100"},
             {"literal('hello world') | regexp('(.*) (.*)', '\\\\2 $1')", "world hello"},
             {"first | regexp('^x', 'y')", "hello"},
             {"literal('1') + 1", "2"},
             {"port % 5", "3"},
             {"port / -1", "-143"},
             {"if(1, '==', 1, 'yes', 'no')", "yes"},
             {"three | if('<', 3, 'yes', 'no')", "no"},
             {"first | if('*', 'h?llo', second, nobody)", "world"},
             {"literal('\\x41\\102\\t\\'')", "AB\t'"},
         }) {
        INFO(inside);
        CHECK(made(inside).value() == expected);
    }
}

TEST_CASE("a mistake in an expression is told for good, a value that does not fit it is temporary") {
    for (auto const* inside : {"nobody",
                               "first | nothing",
                               "first | lower(1)",
                               "first | lower |",
                               "first | substr",
                               "lower",
                               "lookup",
                               "first | sha1(fail=1)",
                               "first | hash('sha0')",
                               "first | default('x'",
                               "first second",
                               "'x'",
                               "first | (",
                               "first | lfill(99999999)",
                               "first | if('==', 1)",
                               "first | if('?', 1, 2, 3)",
                               "literal('\\q')",
                               "literal('x)",
                               "first | regexp('(', 'x')",
                               "first | lfill(3, '')",
                               "first +"}) {
        INFO(inside);
        auto const value = made(inside);
        // An empty piece between bars is nothing to complain about, in Dovecot either.
        if (std::string_view(inside) == "first | lower |") {
            CHECK(value.value() == "hello");
            continue;
        }
        REQUIRE_FALSE(value);
        CHECK(value.error().kind == ErrorKind::permanent);
    }
    for (auto const* inside :
         {"row", "row | lower", "first | substr(6)", "first | substr(1, 5)", "first - 1", "port / 0",
          "port % 0", "first | if('==', 1, 'a', 'b')", "first | unhexlify", "first | unbase64",
          "literal('9223372036854775807') + 1", "user | index('@', 3)", "first | truncate(second)"}) {
        INFO(inside);
        auto const value = made(inside);
        REQUIRE_FALSE(value);
        CHECK(value.error().kind == ErrorKind::temporary);
    }
}

TEST_CASE("in 2.4's texts only %{ begins a variable") {
    CHECK(with_braces_only("LIKE '%x%' %% %{user} %%{ 10%") == "LIKE '%%x%%' %%%% %{user} %%{ 10%%");
    Request request;
    request.user = "a@b";
    CHECK(expand(with_braces_only("%u %{user} %%{user} 5%"), request).value() == "%u a@b %{user} 5%");
}

TEST_CASE("a text is checked without a user, and values that do not fit are nothing to complain about") {
    CHECK(check_template("%u %{user | substr(0, 2)} %{sql:quota * 1024} %{user | index('@', 1)}"));
    for (auto const* wrong : {"%{user | index('@')}", "%{nobody}", "%{user | default('}')"}) {
        INFO(wrong);
        CHECK_FALSE(check_template(wrong));
    }
}
