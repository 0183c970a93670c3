// User names, variables, rows and the order of databases.
#include "auth-socket/users/modifiers.h"
#include "auth-socket/users/passdb_fields.h"
#include "auth-socket/users/passwd_file.h"
#include "auth-socket/users/sql.h"
#include "auth-socket/users/variables.h"
#include "tests/unit/auth-socket/fixture.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/skip.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace postern;
using namespace postern::auth_socket;
using namespace postern::auth_socket::test;

namespace {

Request request_of(std::string const& user) {
    Request request;
    request.original_user = user;
    request.user = user;
    request.mechanism = "PLAIN";
    request.client.service = "smtp";
    request.client.remote_ip = "192.0.2.1";
    return request;
}

Outcome check(Authority const& authority, std::string const& user, std::string_view password,
              std::string_view authorization = "") {
    auto request = request_of(user);
    return authority.check_password(request, authorization, Secret(password));
}

struct Two {
    House house;
    std::shared_ptr<MemoryUsers> first = std::make_shared<MemoryUsers>(),
                                 second = std::make_shared<MemoryUsers>();
    ConfiguredPassdb one = passdb(first, "one"), two = passdb(second, "two");

    Two() {
        first->rows["a@x"] = {fields({{"password", "{PLAIN}first"}, {"userdb_home", "/one"}})};
        second->rows["a@x"] = {fields({{"password", "{PLAIN}second"}})};
        second->rows["b@x"] = {fields({{"password", "{PLAIN}second"}})};
    }
    Verdict verdict(std::string const& user, std::string_view password) {
        Authenticator const authority({}, {one, two}, {}, house.hashing, house.log);
        return check(authority, user, password).verdict;
    }
};

} // namespace

TEST_CASE("variables expand as Dovecot expands them") {
    auto request = request_of("Alice@Example.com");
    request.client.local_port = "25";
    request.client.secured = true;
    request.password = Secret(std::string_view("it's"));
    request.passdb.set("mail", "m");
    std::vector<std::pair<std::string, std::string>> const cases{
        {"%u %n %d %s", "Alice@Example.com Alice Example.com smtp"},
        {"%Lu %Un", "alice@example.com ALICE"},
        {"%1n/%1.1n/%2.2n/%-2n", "A/l/ic/Al"},
        {"%-2.2n", "ce"},
        {"%{user}%{username}%{domain}", "Alice@Example.comAliceExample.com"},
        {"%L{user}", "alice@example.com"},
        {"%r %l %a %c %m %%", "192.0.2.1  25 secured PLAIN %"},
        {"%w", "it's"},
        {"%{passdb:mail}%{userdb:none}", "m"},
        {"%Rn", "ecilA"},
        {"%Dd", "Example,dc=com"},
        {"%Mn", "64489c85dc2fe0787b85cd87214b3810"},
        {"%{md5:username}", "64489c85dc2fe0787b85cd87214b3810"},
        {"%{user | lower}", "alice@example.com"},
        {"%{user|domain|upper}", "EXAMPLE.COM"},
        {"%{client_id | default('none')}", "none"},
        {"%{user | substr(0, 2)}", "Al"},
        {"%{if;%u;*;*.com;yes;no}", "yes"},
        {"%{if;3;>;2;%n;no}", "Alice"},
        {"%{if;%u;~;^A.*m$;a;b}%{if;%u;!~;x;a;b}", "ab"},
        {"%{if;a;eq;a;\\;x\\:y;b}%{if;a;ne;a;x}", ";x:y"},
        {"%{passdb:none:other}%{passdb:mail:other}", "otherm"},
        {"%{sha256;truncate=12:username}", "03bc"},
        {"%{md5;format=base64:username}", "ZEichdwv4Hh7hc2HIUs4EA=="},
        {"%{auth_user}%{login_user}", "Alice@Example.com"},
        {"plain", "plain"},
    };
    for (auto const& [text, expected] : cases) {
        INFO(text);
        CHECK(expand(text, request).value() == expected);
    }
}

TEST_CASE("an unknown or unfinished variable is told when the configuration is read") {
    for (auto const* text :
         {"%y", "%", "%{nobody}", "%{user", "%{user | rot13}", "%{if;1;?;2;a;b}", "%{if;a}"}) {
        INFO(text);
        CHECK_FALSE(expand(text, request_of("a@b")));
    }
}

TEST_CASE("user names get realm, translation, characters and format in this order") {
    UsernameRules rules;
    auto const name = [&](std::string_view given) { return normalised_user(given, rules, Request{}); };
    CHECK(name("ALICE@Example.COM").value() == "alice@example.com");
    for (auto const* bad : {"", "ali'ce@x", "a+b@x", "a b", "a\tb", "\xc3\xbc@x"}) CHECK_FALSE(name(bad));
    rules.default_realm = "Example.org";
    CHECK(name("bob").value() == "bob@example.org");
    CHECK_FALSE(name(""));
    rules.translation = "#@";
    CHECK(name("bob#x").value() == "bob@x@example.org");
    rules.default_realm.clear();
    CHECK(name("bob#x").value() == "bob@x");
    rules.chars.clear();
    CHECK(name("a+b'@x").value() == "a+b'@x");
    rules.format = "%n";
    CHECK(name("Bob@x").value() == "Bob");
    rules.format = "";
    CHECK(name("Bob@x").value() == "Bob@x");
}

TEST_CASE("a row renames the user, fills prefetch and keeps what steers from the client") {
    auto request = request_of("a@x");
    Outcome outcome;
    auto const row = apply_passdb_row(fields({{"username", "b"},
                                              {"domain", "y"},
                                              {"password", "{PLAIN}p"},
                                              {"userdb_home", "/h"},
                                              {"allow_nets", "192.0.2.0/24"},
                                              {"nodelay", "y"},
                                              {"nologin", "1"},
                                              {"host", "proxy.example"}}),
                                      request, outcome);
    CHECK(request.user == "b@y");
    CHECK(outcome.user == "b@y");
    CHECK(row.password == "{PLAIN}p");
    CHECK(row.allow_nets == "192.0.2.0/24");
    CHECK(outcome.without_delay);
    CHECK(outcome.userdb == fields({{"home", "/h"}}));
    CHECK(outcome.userdb_prefetched);
    CHECK(outcome.reply == fields({{"nologin", std::nullopt}, {"host", "proxy.example"}}));
}

TEST_CASE("2.4's fields are made of the row, of what it renamed, and count before it") {
    House house;
    house.users->rows["a@x"] = {
        fields({{"password", "{PLAIN}p"}, {"username", "Real"}, {"nets", "192.0.2.0/24"}, {"quota", "5"}})};
    house.users->users["a@x"] = fields({{"kb", "7"}, {"none", std::nullopt}});
    auto passes = passdb(house.users);
    auto serves = userdb(house.users);
    auto const login = [&](Fields const& templates, bool imports) {
        passes.block.override_fields = templates;
        passes.block.imports_all = imports;
        return check(Authenticator({}, {passes}, {}, house.hashing, house.log), "a@x", "p");
    };
    auto outcome = login(fields({{"user", "%{sql:username | lower}@y"},
                                 {"userdb_quota", "%{sql:quota * 1024}"},
                                 {"was", "%{user}"},
                                 {"dflt", "%{sql:nothing | default('none')}"}}),
                         true);
    CHECK(outcome.verdict == Verdict::ok);
    CHECK(outcome.user == "real@y");
    CHECK(outcome.userdb.value("quota") == "5120");
    CHECK(outcome.reply.value("was") == "Real@x");
    CHECK(outcome.reply.value("dflt") == "none");
    CHECK(outcome.reply.value("quota") == "5");
    // Only what fields { } say:
    outcome = login(fields({{"password", "%{sql:password}"}, {"x", "%{sql:quota}"}}), false);
    CHECK(outcome.verdict == Verdict::ok);
    CHECK(outcome.user == "a@x");
    CHECK(outcome.reply == fields({{"x", "5"}}));
    // They can keep a user out, as a column can.
    outcome = login(fields({{"allow_nets", "%{sql:nets | default('10.0.0.0/8')}"}}), true);
    CHECK(outcome.verdict == Verdict::ok);
    outcome = login(fields({{"allow_nets", "10.0.0.0/8"}}), true);
    CHECK(outcome.verdict == Verdict::wrong_network);
    // A column that is not there is no answer about the password.
    outcome = login(fields({{"x", "%{sql:nothing}"}}), true);
    CHECK(outcome.verdict == Verdict::temporary);
    CHECK(house.log.expect("%{sql:nothing}: the row has no value for it"));

    auto const found = [&](Fields const& templates, bool imports) {
        serves.block.override_fields = templates;
        serves.block.imports_all = imports;
        auto request = request_of("a@x");
        return Authenticator({}, {passes}, {serves}, house.hashing, house.log).find_user(request, nullptr);
    };
    CHECK(found(fields({{"quota_storage_size", "%{sql:kb}k"}, {"seen", "%{userdb:kb}"}}), true).fields ==
          fields({{"kb", "7"}, {"none", std::nullopt}, {"quota_storage_size", "7k"}, {"seen", "7"}}));
    CHECK(found(fields({{"home", "/m/%{user | username}"}}), false).fields == fields({{"home", "/m/a"}}));
    CHECK(found(fields({{"home", "%{sql:none}"}}), true).verdict == UserVerdict::temporary);
    CHECK(house.log.expect("%{sql:none}"));
}

TEST_CASE("networks match by prefix, in both families, and local means no address") {
    CHECK(is_in_networks("192.0.2.77", "10.0.0.0/8, 192.0.2.0/24"));
    CHECK_FALSE(is_in_networks("192.0.3.1", "192.0.2.0/24"));
    CHECK(is_in_networks("192.0.2.1", "192.0.2.1"));
    CHECK(is_in_networks("::ffff:192.0.2.1", "192.0.2.0/24"));
    CHECK(is_in_networks("2001:db8::1", "2001:db8::/32"));
    CHECK_FALSE(is_in_networks("2001:db9::1", "2001:db8::/32"));
    CHECK(is_in_networks("203.0.113.9", "0.0.0.0/0"));
    CHECK_FALSE(is_in_networks("2001:db8::1", "0.0.0.0/0"));
    CHECK(is_in_networks("", "local"));
    CHECK_FALSE(is_in_networks("192.0.2.1", "local"));
    CHECK_FALSE(is_in_networks("192.0.2.1", "192.0.2.0/33, junk/8, /"));
}

TEST_CASE("databases are asked in order until one says yes") {
    Two two;
    CHECK(two.verdict("a@x", "first") == Verdict::ok);
    CHECK(two.second->asked == 0);
    CHECK(two.verdict("a@x", "second") == Verdict::ok);
    CHECK(two.verdict("b@x", "second") == Verdict::ok);
    CHECK(two.verdict("a@x", "third") == Verdict::password_mismatch);
    CHECK(two.verdict("c@x", "second") == Verdict::unknown_user);
}

TEST_CASE("a database that is away leaves the others their say, and nobody a wrong password") {
    Two two;
    two.first->fails = true;
    CHECK(two.verdict("b@x", "second") == Verdict::ok);
    CHECK(two.verdict("b@x", "wrong") == Verdict::temporary);
    CHECK(two.verdict("c@x", "wrong") == Verdict::temporary);
    CHECK(two.house.log.expect("the database is away"));
}

TEST_CASE("result rules and skip do what Dovecot documents") {
    Two two;
    two.one.block.failure = Rule::return_fail;
    CHECK(two.verdict("b@x", "second") == Verdict::unknown_user);
    two.one.block.failure = Rule::continue_on;
    two.one.block.success = Rule::continue_ok;
    CHECK(two.verdict("a@x", "first") == Verdict::ok);
    two.one.block.success = Rule::continue_fail;
    two.two.block.skip = Skip::when_unknown;
    CHECK(two.verdict("a@x", "first") != Verdict::ok);
    two.two.block.skip = Skip::never;
    CHECK(two.verdict("a@x", "first") == Verdict::password_mismatch); // the second has another
    two.one.block.success = Rule::return_ok;
    two.one.block.mechanisms = {"LOGIN"};
    CHECK(two.verdict("a@x", "first") == Verdict::password_mismatch);
    two.one.block.mechanisms.clear();
    two.one.block.username_filter = "!a@* *@x";
    CHECK(two.verdict("a@x", "first") == Verdict::password_mismatch);
}

TEST_CASE("where those behind may object, one that is away lets nobody in") {
    Two two;
    two.one.block.success = Rule::continue_ok;
    two.one.block.others_may_object = true;
    CHECK(two.verdict("a@x", "first") == Verdict::ok);
    two.second->fails = true;
    CHECK(two.verdict("a@x", "first") == Verdict::temporary);
    CHECK(two.house.log.expect("the database is away"));
}

TEST_CASE("where no passdb serves the mechanism nobody knows who exists") {
    Two two;
    two.one.block.mechanisms = {"LOGIN"};
    two.two.block.mechanisms = {"XOAUTH2"};
    CHECK(two.verdict("a@x", "first") == Verdict::temporary);
    CHECK(two.house.log.expect("every passdb is for other mechanisms"));
    two.one.block.mechanisms = {"PLAIN"};
    CHECK(two.verdict("c@x", "first") == Verdict::unknown_user);
    two.one.block.username_filter = two.two.block.username_filter =
        "*@y"; // what it does not hold it does not know
    two.two.block.mechanisms.clear();
    CHECK(two.verdict("a@z", "first") == Verdict::unknown_user);
    // A lookup has no mechanism.
    two.one.block.username_filter.clear();
    Authenticator const authority({}, {two.one}, {userdb(StaticUsers::make("home=/m/%n").value(), "static")},
                                  two.house.hashing, two.house.log);
    Request request;
    request.original_user = "a@x";
    CHECK(authority.find_user(request, nullptr).verdict == UserVerdict::temporary);
    CHECK(two.house.log.expect("every passdb is for other mechanisms"));
}

TEST_CASE("after continue-fail the next passdb looks at the password itself") {
    Two two;
    two.one.block.success = Rule::continue_fail;
    CHECK(two.verdict("a@x", "first") == Verdict::password_mismatch);
    CHECK(two.verdict("a@x", "second") == Verdict::ok);
    two.one.block.success = Rule::continue_on;
    CHECK(two.verdict("a@x", "first") == Verdict::ok);
}

TEST_CASE("a lookup of a row without a password shows nothing of it") {
    House house;
    house.users->rows["a@x"] = {fields({{"PASSWORD", "{PLAIN}p"}})};
    auto request = request_of("a@x");
    CHECK(house.authority()->find_login(request, "").verdict == Verdict::temporary);
    CHECK(house.log.expect("gives no column named \"password\", and nopassword is not set"));
}

TEST_CASE("who is in a deny passdb does not get in, and a deny list that is away lets nobody in") {
    Two two;
    two.one.block.deny = true;
    two.one.block.internal_failure = Rule::return_fail;
    CHECK(two.verdict("a@x", "first") == Verdict::refused);
    CHECK(two.verdict("b@x", "second") == Verdict::ok);
    two.first->fails = true;
    CHECK(two.verdict("b@x", "second") == Verdict::temporary);
    CHECK(two.house.log.expect("the database is away"));
}

TEST_CASE("a deny passdb keeps out whoever it names, whatever password stands there") {
    Two two;
    two.one.block.deny = true;
    two.first->rows["bare@x"] = {fields({{"password", std::nullopt}})};
    two.second->rows["bare@x"] = {fields({{"password", "{PLAIN}second"}})};
    CHECK(two.verdict("bare@x", "second") == Verdict::refused);
    CHECK(two.house.log.contains("(bare@x,192.0.2.1): User found from deny passdb"));
    CHECK_FALSE(two.house.log.contains("mismatch"));
    CHECK(two.verdict("a@x", "second") == Verdict::refused); // the list holds another password
    two.one.block.internal_failure = Rule::continue_on;
    two.first->fails = true;
    CHECK(two.verdict("b@x", "second") == Verdict::temporary);
    CHECK(two.house.log.expect("the database is away"));
}

TEST_CASE("a master passdb with pass lets a proven master be a user who exists, and nobody else") {
    House house;
    auto const masters = std::make_shared<MemoryUsers>();
    masters->rows["boss@x"] = {fields({{"password", "{PLAIN}bosspw"}})};
    house.users->rows["victim@x"] = {fields({{"password", "{PLAIN}own"}})};
    auto master = passdb(masters, "master");
    master.block.master = true;
    master.block.success = Rule::continue_on; // pass = yes
    Authenticator const authority({}, {master, passdb(house.users)}, {}, house.hashing, house.log);
    auto const verdict = [&](std::string_view target, std::string_view password) {
        Request request;
        request.mechanism = "PLAIN";
        request.original_user = "boss@x";
        return authority.check_password(request, target, Secret(password)).verdict;
    };
    CHECK(verdict("victim@x", "bosspw") == Verdict::ok);
    CHECK(verdict("victim@x", "wrong") == Verdict::password_mismatch);
    CHECK(verdict("victim@x", "own") == Verdict::password_mismatch);
    CHECK(verdict("nobody@x", "bosspw") == Verdict::not_authorized);

    Request request;
    request.mechanism = "CRAM-MD5";
    request.original_user = "boss@x";
    std::vector<std::string> const wanted{"CRAM-MD5"};
    auto const secret = authority.find_secret(request, "victim@x", wanted);
    REQUIRE(secret.verdict == Verdict::ok);
    REQUIRE(secret.credential);
    CHECK(secret.credential->value.reveal() == "bosspw"); // the proof is held against the master's password
}

TEST_CASE("several rows for one user are app passwords: any of them lets in") {
    House house;
    house.users->rows["a@x"] = {fields({{"password", "{PLAIN}one"}, {"app", "1"}}),
                                fields({{"password", "{PLAIN}two"}, {"app", "2"}})};
    auto const authority = house.authority();
    CHECK(check(*authority, "a@x", "one").verdict == Verdict::ok);
    auto const second = check(*authority, "a@x", "two");
    CHECK(second.verdict == Verdict::ok);
    CHECK(second.reply == fields({{"app", "2"}}));
    CHECK(check(*authority, "a@x", "three").verdict == Verdict::password_mismatch);
}

TEST_CASE(
    "disabled, expired, foreign network and fail refuse the right password, and say nothing to a wrong one") {
    House house;
    auto const authority = house.authority();
    auto const verdict = [&](Field const& field, std::string_view password) {
        house.users->rows["a@x"] = {fields({{"password", "{PLAIN}p"}, field})};
        return check(*authority, "a@x", password).verdict;
    };
    CHECK(verdict({"user_disabled", "Y"}, "p") == Verdict::user_disabled);
    CHECK(verdict({"user_disabled", "0"}, "p") == Verdict::ok);
    CHECK(verdict({"pass_expired", "1"}, "p") == Verdict::password_expired);
    CHECK(verdict({"allow_nets", "10.0.0.0/8"}, "p") == Verdict::wrong_network);
    CHECK(verdict({"allow_nets", "192.0.2.0/24"}, "p") == Verdict::ok);
    CHECK(verdict({"allow_nets", ""}, "p") == Verdict::wrong_network); // no network at all
    CHECK(verdict({"allow_real_nets", ""}, "p") == Verdict::wrong_network);
    CHECK(verdict({"fail", "moved"}, "p") == Verdict::refused);
    for (auto const* name : {"user_disabled", "pass_expired", "fail"})
        CHECK(verdict({name, "Y"}, "wrong") == Verdict::password_mismatch);
}

TEST_CASE("only a login that failed is logged as one, with one line for all passdbs") {
    House house;
    auto const first = std::make_shared<MemoryUsers>();
    auto const logged = [&](std::string_view password, std::string_view authorization = "") {
        postern::test::TestLog log;
        Authenticator const authority({}, {passdb(first, "first"), passdb(house.users)}, {}, house.hashing,
                                      log);
        auto request = request_of("a@x");
        (void)authority.check_password(request, authorization, Secret(password));
        log.expect("the database is away");
        std::string lines;
        for (auto const& line : log.lines())
            if (line.level == LogLevel::info) lines += line.text + "\n";
        return lines;
    };
    house.users->rows["a@x"] = {fields({{"password", "{PLAIN}p"}})};
    CHECK(logged("p") == "");
    CHECK(logged("wrong") == "auth: sql(a@x,192.0.2.1): Password mismatch\n");
    CHECK(logged("p", "b@x") ==
          "auth: plain(a@x,192.0.2.1): unknown user (Master user login attempted without "
          "master passdbs)\n");
    first->rows["a@x"] = {fields({{"password", "{PLAIN}q"}})}; // as a passdb for passwords of applications
    CHECK(logged("p") == "");
    CHECK(logged("q") == "");
    CHECK(logged("wrong") == "auth: sql(a@x,192.0.2.1): Password mismatch\n");
    house.users->fails = true; // nobody's fault is a failure of the client's
    first->rows.clear();
    CHECK(logged("p") == "");
    house.users->fails = false;
    house.users->rows.clear();
    CHECK(logged("p") == "auth: sql(a@x,192.0.2.1): unknown user\n");
}

TEST_CASE("a master user needs somebody to log in as") {
    House house;
    AuthenticatorSettings settings;
    settings.username.master_separator = "*";
    house.users->rows["boss"] = {fields({{"password", "{PLAIN}p"}})};
    auto master = passdb(house.users, "masters");
    master.block.master = true;
    Authenticator const authority(settings, {master, passdb(house.users)}, {}, house.hashing, house.log);
    auto const verdict = [&](std::string const& name) {
        auto request = request_of(name);
        return authority.check_password(request, "", Secret(std::string_view("p"))).verdict;
    };
    CHECK(verdict("alice*boss") == Verdict::ok);
    CHECK(house.log.contains("auth: masters(alice,192.0.2.1,master=boss): Master user logging in as alice"));
    CHECK(verdict("*boss") == Verdict::refused);
    CHECK(house.log.contains(
        "auth: plain(?,192.0.2.1): Master user login attempted to use empty login username"));
}

TEST_CASE("noauthenticate gives fields and leaves the password to the passdb behind it") {
    House house;
    auto const first = std::make_shared<MemoryUsers>();
    first->rows["a@x"] = {fields({{"password", "{PLAIN}p"}, {"noauthenticate", "y"}, {"host", "h"}})};
    auto const verdict = [&](std::vector<ConfiguredPassdb> passdbs, std::string_view password) {
        Authenticator const authority({}, std::move(passdbs), {}, house.hashing, house.log);
        auto request = request_of("a@x");
        return authority.check_password(request, "", Secret(password));
    };
    house.users->rows["a@x"] = {fields({{"password", "{PLAIN}q"}})};
    auto const both = std::vector{passdb(first, "first"), passdb(house.users)};
    CHECK(verdict(both, "p").verdict == Verdict::password_mismatch);
    auto const right = verdict(both, "q");
    CHECK(right.verdict == Verdict::ok);
    CHECK(right.reply.value("host") == "h");
    house.users->rows.clear();
    CHECK(verdict(both, "p").verdict == Verdict::unknown_user);
    CHECK(verdict({passdb(first, "first")}, "p").verdict == Verdict::temporary);
    CHECK(house.log.expect("noauthenticate leaves the password to a passdb behind it, and there is none"));
}

TEST_CASE("login_user makes the login another user's, and passdb_import is many fields in one") {
    House house;
    house.users->rows["a@x"] = {fields({{"password", "{PLAIN}p"},
                                        {"login_user", "b@y"},
                                        {"passdb_import", "host=h\tuserdb_mail=a\001tb\tnologin"},
                                        {"empty", ""}})};
    auto const authority = house.authority();
    auto request = request_of("a@x");
    auto const outcome = authority->check_password(request, "", Secret(std::string_view("p")));
    CHECK(outcome.verdict == Verdict::ok);
    CHECK(outcome.user == "b@y");
    CHECK(request.user == "b@y");
    CHECK(request.authenticated_user == "a@x");
    CHECK(outcome.reply == fields({{"host", "h"}, {"nologin", std::nullopt}, {"empty", std::nullopt}}));
    CHECK(outcome.userdb.value("mail") == "a\tb");
}

TEST_CASE("delay_until keeps the right password waiting, up to five minutes") {
    CHECK(delay_left("100", 200).value().count() == 0);
    CHECK(delay_left("230", 200).value().count() == 30);
    CHECK(delay_left("230+1", 200).value().count() == 30);
    auto const spread = delay_left("230+1000", 200).value().count();
    CHECK((spread >= 30 && spread <= 300));
    CHECK(delay_left("501", 200).error().kind == ErrorKind::permanent);
    for (auto const* text : {"", "y", "230+", "230+x", "soon+1"})
        CHECK(delay_left(text, 200).error().kind == ErrorKind::temporary);
}

TEST_CASE("a '!' or '*' before a hash or in its place is an account that was locked, not a fault") {
    House house;
    auto const authority = house.authority();
    auto const verdict = [&](std::string const& stored) {
        house.users->rows["a@x"] = {fields({{"password", stored}})};
        return check(*authority, "a@x", "p").verdict;
    };
    for (auto const* stored : {"{CRYPT}!", "{CRYPT}*", "{SHA512-CRYPT}!$6$x$y", "{SSHA}!", "{DES-CRYPT}*LK*",
                               "{ARGON2ID}!$argon2id$v=19$", "{MD5}!!"}) {
        INFO(stored);
        CHECK(verdict(stored) == Verdict::password_mismatch);
    }
    CHECK(verdict("{PLAIN}!") == Verdict::password_mismatch);
    CHECK(check(*authority, "a@x", "!").verdict == Verdict::ok);
    CHECK(verdict("{CRYPT}x") == Verdict::temporary); // what this means nobody knows
    CHECK(house.log.expect("not one that crypt(3) knows"));
}

TEST_CASE("no password, an empty one and NULL let nobody in unless nopassword says so") {
    House house;
    auto const authority = house.authority();
    auto const verdict = [&](std::vector<Field> const& row, std::string_view password) {
        house.users->rows["a@x"] = {fields(row)};
        return check(*authority, "a@x", password).verdict;
    };
    CHECK(verdict({{"password", std::nullopt}}, "") == Verdict::password_mismatch);
    CHECK(verdict({{"password", ""}}, "") == Verdict::password_mismatch);
    CHECK(verdict({{"password", std::nullopt}, {"nopassword", "Y"}}, "anything") == Verdict::ok);
    CHECK(verdict({{"password", "{PLAIN}x"}, {"nopassword", "Y"}}, "x") == Verdict::temporary);
    CHECK(verdict({{"home", "/"}}, "x") == Verdict::temporary);
    CHECK(verdict({{"password", "{NTLM}00"}}, "x") == Verdict::temporary);
    CHECK(house.log.expect("nopassword is set but the password is not empty"));
    CHECK(house.log.expect("gives no column named \"password\", and nopassword"));
    CHECK(house.log.expect("unknown password scheme NTLM"));
}

TEST_CASE("a userdb answers, prefetch answers only after a login, and temporary failures stay temporary") {
    House house;
    auto const prefetch = std::make_shared<PrefetchUsers const>();
    Authenticator const authority({}, {passdb(house.users)},
                                  {userdb(prefetch, "prefetch"), userdb(house.users)}, house.hashing,
                                  house.log);
    auto request = request_of("ALICE@example.com");
    auto const found = authority.find_user(request, nullptr);
    CHECK(found.verdict == UserVerdict::found);
    CHECK(found.user == "alice@example.com");
    CHECK(found.fields == house.users->users["alice@example.com"]);

    Outcome login;
    login.userdb_prefetched = true;
    login.userdb = fields({{"home", "/prefetched"}});
    auto after = request_of("alice@example.com");
    CHECK(authority.find_user(after, &login).fields == login.userdb);

    auto nobody = request_of("nobody@example.com");
    CHECK(authority.find_user(nobody, nullptr).verdict == UserVerdict::not_found);
    house.users->users["t@x"] = fields({{"tempfail", "y"}});
    auto tempfail = request_of("t@x");
    CHECK(authority.find_user(tempfail, nullptr).verdict == UserVerdict::temporary);
    house.users->users["n@x"] = fields({{"uid", "root"}, {"gid", "no such group"}});
    auto bad_group = request_of("n@x");
    CHECK(authority.find_user(bad_group, nullptr).verdict == UserVerdict::temporary);
    CHECK(house.log.expect("unknown gid \"no such group\""));
    house.users->fails = true;
    auto away = request_of("alice@example.com");
    CHECK(authority.find_user(away, nullptr).verdict == UserVerdict::temporary);
    CHECK(house.log.expect("the database is away"));
}

TEST_CASE("a list keeps to its mask and is an error when a database is away") {
    House house;
    house.users->users["bob@example.com"] = {};
    auto const authority = house.authority();
    std::vector<std::string> names;
    auto const collect = [&](std::string_view name) { names.emplace_back(name); };
    CHECK(authority->list_users(Request{}, "A*", collect));
    CHECK(names == std::vector<std::string>{"alice@example.com"});
    house.users->fails = true;
    CHECK_FALSE(authority->list_users(Request{}, "*", collect));
    CHECK(house.log.expect("listing the users"));
}

TEST_CASE("passwd-file gives passwords, fields and prefetched fields, and is read again when it changes") {
    auto const path = std::filesystem::temp_directory_path() / ("postern-passwd-" + std::to_string(getpid()));
    std::ofstream(path)
        << "# comment\na@x:{PLAIN}one:1000:1001:gecos:/home/a:/bin/sh:userdb_mail=maildir:~/M "
           "allow_nets=10.0.0.0/8 userdb_quota=%n\n"
           "b@x:{PLAIN}two::::::\n";
    auto const file =
        PasswdFile::make(passwd_file_settings("scheme=CRYPT username_format=%Lu " + path.string())).value();
    auto const rows = file->lookup(request_of("A@x")).value();
    REQUIRE(rows.size() == 1);
    CHECK(rows[0] == fields({{"password", "{PLAIN}one"},
                             {"userdb_mail", "maildir:~/M"},
                             {"allow_nets", "10.0.0.0/8"},
                             {"userdb_quota", "A"}}));
    CHECK(*file->lookup_after(nullptr, request_of("a@x")).value() == fields({{"uid", "1000"},
                                                                             {"gid", "1001"},
                                                                             {"home", "/home/a"},
                                                                             {"mail", "maildir:~/M"},
                                                                             {"quota", "a"}}));
    CHECK(file->lookup(request_of("c@x")).value().empty());
    CHECK(file->at_hand(request_of("b@x")).rows->size() == 1);
    std::ofstream(path, std::ios::app) << "c@x:{PLAIN}three:1:1::/\n";
    CHECK(!file->at_hand(request_of("b@x")).rows); // no connection waits for a file
    CHECK(file->lookup(request_of("c@x")).value().size() == 1);
    std::filesystem::remove(path);
    CHECK(file->lookup(request_of("a@x")).error().kind == ErrorKind::temporary);
}

// Each as Dovecot 2.3.19 reads it.
TEST_CASE("the lines of a passwd-file mean what they mean to Dovecot") {
    postern::test::TestLog log;
    auto const path = std::filesystem::temp_directory_path() / ("postern-lines-" + std::to_string(getpid()));
    std::ofstream(path)
        << "dup:{PLAIN}one:1:1::/\ndup:{PLAIN}two:1:1::/\n"
           "trail:{PLAIN}pw \r\n"
           "des:49syt81Auj7bg[13]:1:1::/\nmd5:62fbe93b93a877b4747161390f4ab20b[34]:1:1::/\n"
           "dig:6103afa66c27e7b57f7fd9d0ef24e0cf[56]:1:1::/\nodd:49syt81Auj7bg[99]:1:1::/\n"
           "br:{PLAIN}x[13]:1:1::/\nonly:[13]:1:1::/\n"
           "old:{PLAIN}s:1:1::/:::/var/mail/old:x\nempty:{PLAIN}s:1:1::/::::x\n"
           "quo:{PLAIN}s:1:1::/::userdb_x=\"a b\" userdb_y=\t1\nname\n"
           "tenth:{PLAIN}s:1:1::/::userdb_a=+10% userdb_b=95%% userdb_c=%\n"
           "root:{PLAIN}s:0:0::/\nnone:{PLAIN}s:4294967295:1::/\nbad:{PLAIN}s:nosuchuser:1::/\n"
           "short:{PLAIN}s:1\nwide:{PLAIN}s::\ngroup:{PLAIN}s:1:0::/\n";
    auto const read = [&](bool has_userdb) {
        return PasswdFile::make({.path = path.string(), .has_userdb = has_userdb, .log = &log}).value();
    };
    auto const file = read(true);
    auto const password = [&](PasswdFile const& from, std::string const& user) -> std::string {
        auto const rows = from.lookup(request_of(user)).value();
        return rows.empty() ? "unknown" : rows[0].value("password");
    };
    CHECK(password(*file, "dup") == "{PLAIN}one");
    CHECK(password(*file, "trail") == "{PLAIN}pw ");
    CHECK(password(*file, "des") == "{CRYPT}49syt81Auj7bg");
    CHECK(password(*file, "md5") == "{PLAIN-MD5}62fbe93b93a877b4747161390f4ab20b");
    CHECK(password(*file, "dig") == "{DIGEST-MD5}6103afa66c27e7b57f7fd9d0ef24e0cf");
    CHECK(password(*file, "odd") == "{CRYPT}49syt81Auj7bg");
    CHECK(password(*file, "br") == "{PLAIN}x[13]");
    CHECK(password(*file, "only") == "[13]");
    auto const user = [&](std::string const& name) {
        return file->lookup_after(nullptr, request_of(name)).value();
    };
    Fields const ids = fields({{"uid", "1"}, {"gid", "1"}, {"home", "/"}});
    CHECK(user("dup") == ids);
    CHECK(user("empty") == ids);
    CHECK(user("old")->value("mail") == "/var/mail/old:x");
    CHECK(user("quo")->value("x") == "\"a");
    CHECK(user("quo")->value("y") == "\t1");
    CHECK(user("tenth")->value("a") == "+10");
    CHECK(user("tenth")->value("b") == "95%");
    CHECK(user("tenth")->value("c") == "");
    CHECK(user("wide") == Fields());
    for (auto const* name : {"trail", "name", "short"}) {
        CHECK(password(*file, name) != "unknown");
        CHECK_FALSE(user(name));
    }
    CHECK(password(*file, "bad") == "{PLAIN}s");
    House house;
    Authenticator const authority({}, {}, {userdb(file, "passwd-file")}, house.hashing, house.log);
    auto bad = request_of("bad");
    bad.original_user = "bad";
    CHECK(authority.find_user(bad, nullptr).verdict == UserVerdict::temporary);
    CHECK(house.log.expect("unknown uid \"nosuchuser\""));
    for (auto const* name : {"root", "none", "group"}) { // a shadow file's columns are no ids
        CHECK(password(*file, name) == "unknown");
        CHECK_FALSE(user(name));
        CHECK(password(*read(false), name) == "{PLAIN}s");
    }
    CHECK(log.expect("user dup is there more than once; the first line counts"));
    for (auto const* text :
         {"root is passed over: 0 is no uid", "none is passed over: 4294967295 is no uid",
          "bad has a uid or gid that is unknown, nosuchuser", "group is passed over: 0 is no uid"})
        CHECK(log.expect(text));
    for (auto const* name : {"trail", "name", "short"})
        CHECK(log.expect(std::string(name) + " has too few columns for a userdb"));
    std::filesystem::remove(path);
}

TEST_CASE("a domain without a passwd-file of its own has no users, and a name leads nowhere else") {
    auto const directory =
        std::filesystem::temp_directory_path() / ("postern-domains-" + std::to_string(getpid()));
    std::filesystem::create_directories(directory / "x.example");
    std::ofstream(directory / "x.example" / "users") << "a:{PLAIN}s:1:1::/\n";
    auto const file =
        PasswdFile::make(passwd_file_settings("username_format=%n " + directory.string() + "/%d/users"))
            .value();
    CHECK(file->lookup(request_of("a@x.example")).value().size() == 1);
    for (auto const* name : {"a@y.example", "a", "a@../x.example", "a@x.example/users"}) {
        INFO(name);
        CHECK(file->lookup(request_of(name)).value().empty());
        CHECK_FALSE(file->lookup_after(nullptr, request_of(name)).value());
    }
    std::filesystem::remove_all(directory);
}

TEST_CASE("static users are the same for everybody, with variables") {
    auto const users =
        StaticUsers::make("uid=vmail gid=5000 home=/var/mail/%d/%n mail=\"maildir:~/x y\"").value();
    CHECK(*users->lookup_after(nullptr, request_of("a@x")).value() ==
          fields({{"uid", "vmail"}, {"gid", "5000"}, {"home", "/var/mail/x/a"}, {"mail", "maildir:~/x y"}}));
    CHECK_FALSE(StaticUsers::make("home=%y"));
}

TEST_CASE("userdb static has who the passdbs have, or anybody where it says so") {
    House house;
    house.users->rows["gone@x"] = {fields({{"password", "{PLAIN}p"}, {"user_disabled", "y"}})};
    house.users->rows["net@x"] = {
        fields({{"password", "{PLAIN}p"}, {"allow_nets", "10.0.0.0/8"}, {"user", "real@x"}})};
    auto const found = [&](std::string const& arguments, std::string const& user,
                           std::vector<ConfiguredPassdb> passdbs) {
        Authenticator const authority(
            {}, std::move(passdbs), {userdb(StaticUsers::make("home=/m/%n " + arguments).value(), "static")},
            house.hashing, house.log);
        Request request;
        request.original_user = user;
        auto const outcome = authority.find_user(request, nullptr);
        return outcome.verdict == UserVerdict::found       ? outcome.fields.value("home")
               : outcome.verdict == UserVerdict::not_found ? "nobody"
                                                           : "fault";
    };
    auto const sql = std::vector{passdb(house.users)};
    CHECK(found("", "alice@example.com", sql) == "/m/alice");
    CHECK(found("", "nobody@x", sql) == "nobody");
    house.users->rows["fail@x"] = {fields({{"password", "{PLAIN}p"}, {"fail", "moved"}})};
    CHECK(found("", "gone@x", sql) == "nobody");
    CHECK(found("", "fail@x", sql) == "nobody");
    CHECK(found("", "net@x", sql) == "/m/real"); // mail comes from anywhere
    CHECK(found("allow_all_users=yes", "nobody@x", sql) == "/m/nobody");
    CHECK(found("allow_all_users=no", "nobody@x", sql) == "nobody");
    CHECK_FALSE(house.log.contains("unknown user"));
    house.users->fails = true;
    CHECK(found("", "alice@example.com", sql) == "fault");
    CHECK(house.log.expect("the database is away"));
    house.users->fails = false;
    class Asked final : public Passdb { // as PAM
        Result<std::vector<Fields>> lookup(Request const&) const override { return std::vector<Fields>{}; }
        bool knows_users() const override { return false; }
    };
    auto const both = std::vector{passdb(std::make_shared<Asked>(), "pam"), passdb(house.users)};
    CHECK(found("", "alice@example.com", both) == "/m/alice");
    CHECK(found("", "nobody@x", both) == "fault");
    CHECK(house.log.expect("passdb pam cannot tell whether a user exists"));
    CHECK(found("allow_all_users=yes", "nobody@x", both) == "/m/nobody");
    Authenticator const authority({}, both, {}, house.hashing, house.log);
    auto const passed = [&](std::string const& user) {
        auto request = request_of(user);
        return authority.find_login(request, "").verdict;
    };
    CHECK(passed("alice@example.com") == Verdict::ok);
    CHECK(passed("nobody@x") == Verdict::temporary);
    CHECK(house.log.expect("auth: pam(nobody@x,192.0.2.1): this passdb can be asked with a password only"));
}

TEST_CASE("connect strings give one server for each host, quoted values and options") {
    sql::PoolSettings pool;
    REQUIRE(read_connect(
        "host=db1 host=db2 port=5433 user=mail password='it''s' dbname=m sslmode=require maxconns=7",
        sql::Driver::postgresql, pool));
    REQUIRE(pool.servers.size() == 2);
    CHECK(pool.servers[1].host == "db2");
    CHECK(pool.servers[0].port == 5433);
    CHECK(pool.size == 7);
    CHECK(pool.servers[0].option("sslmode") == "require");
    sql::PoolSettings quoted;
    REQUIRE(read_connect(R"(host=/run/x user=u password='a b\'c' dbname=d)", sql::Driver::mariadb, quoted));
    CHECK(quoted.servers[0].password == "a b'c");
    CHECK(quoted.servers[0].host == "/run/x");
    CHECK_FALSE(read_connect("host=x port=banana", sql::Driver::mariadb, quoted));
    CHECK_FALSE(read_connect(" ", sql::Driver::sqlite, quoted));
}

TEST_CASE("of several rows of a user query the first counts, as in Dovecot") {
    House house;
    auto const path = std::filesystem::temp_directory_path() / ("postern-rows-" + std::to_string(getpid()));
    std::ofstream(path).close(); // an empty file is an empty database
    std::vector<config::Problem> problems;
    auto settings = parse_sql_settings("driver = sqlite\nconnect = " + path.string() +
                                           "\nuser_query = SELECT '/one' AS home UNION ALL SELECT '/two'\n",
                                       "f", problems);
    REQUIRE(settings);
    auto const users = SqlUsers::make(std::move(*settings), house.log, house.metrics, problems).value();
    CHECK(users->lookup_after(nullptr, request_of("a@x")).value() == fields({{"home", "/one"}}));
    std::filesystem::remove(path);
}

TEST_CASE("every mistake of a dovecot-sql.conf.ext is told with its line") {
    std::vector<config::Problem> problems;
    CHECK_FALSE(
        parse_sql_settings("driver = oracle\nconect = x\n# comment\nconnect = port=x\n", "f", problems));
    REQUIRE(problems.size() == 2);
    CHECK(problems[0].to_string() == "f:1: driver = oracle: must be pgsql, mysql or sqlite");
    CHECK(problems[1].to_string() == "f:2: unknown setting \"conect\"; did you mean \"connect\"?");
    problems.clear();
    CHECK_FALSE(parse_sql_settings("driver = sqlite\n", "f", problems));
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].to_string() == "f: connect is not set");
    problems.clear();
    CHECK(parse_sql_settings("driver = sqlite\nconnect = x\ndefault_pass_scheme = SHA512.b46\n", "f",
                             problems));
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].to_string() == "f:3: warning: default_pass_scheme: unknown password encoding b46");
}

TEST_CASE("the dovecot-sql files of real administrators are read") {
    auto const* const corpus = postern::test::corpus_or_skip();
    if (corpus == nullptr) return;
    postern::test::TestLog log;
    Metrics metrics;
    std::size_t read = 0;
    for (auto const& each : std::filesystem::directory_iterator(std::string(corpus) + "/dovecot-sql")) {
        auto const name = each.path().filename().string();
        if (name.contains("dict")) continue; // dictionaries' maps, not users
        INFO(name);
        std::vector<config::Problem> problems;
        auto settings = read_sql_settings(each.path().string(), problems);
        for (auto const& problem : problems) UNSCOPED_INFO(problem.to_string());
        if (name.contains("pavelkova") || problems.empty() == false) continue;
        REQUIRE(settings);
        CHECK(SqlUsers::make(std::move(*settings), log, metrics, problems).has_value());
        ++read;
    }
    CHECK(read >= 15);
}
