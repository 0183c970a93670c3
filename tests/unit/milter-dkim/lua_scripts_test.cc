// Policy scripts over whole messages, as opendkim-lua(3) tells of them.
#include "milter-dkim/lua/scripts.h"
#include "milter-dkim/tables/data_set_sql.h"
#include "tests/unit/milter-dkim/session_world.h"
#include "tests/unit/sql/scratch.h"

using namespace postern;
using namespace postern::milter_dkim;
using namespace postern::test;

namespace {

// Sessions with the given scripts; what they log is told.
struct Scripted {
    TempDir files;
    std::unique_ptr<SessionWorld> world;

    Scripted(std::string_view hook, std::string_view script, std::string_view settings = {},
             DataSetOpener const& opener = DataSetOpener()) {
        files.write("script", script);
        world = std::make_unique<SessionWorld>(std::string(hook) + "PolicyScript " + files.path("script") +
                                                   "\n" + std::string(settings),
                                               opener);
    }
    SessionWorld* operator->() { return world.get(); }
    void be_local() { world->client = {"localhost", "127.0.0.1"}; }
};

HeaderList const message{{"From", " a@example.com"},
                         {"Subject", " x"},
                         {"Received", " one"},
                         {"Received", " two"},
                         {"Date", " Sat, 21 Nov 2026 09:00:00 +0000"}};

} // namespace

TEST_CASE("a setup script sees the message") {
    Scripted setup("Setup", R"lua(
        odkim.log(ctx, odkim.get_clienthost(ctx) .. " " .. odkim.get_clientip(ctx))
        odkim.log(ctx, odkim.get_envfrom(ctx) .. " " .. odkim.get_fromdomain(ctx))
        odkim.log(ctx, odkim.get_header(ctx, "received", 0) .. odkim.get_header(ctx, "Received", -1) ..
                       tostring(odkim.get_header(ctx, "Received", 2)))
        odkim.log(ctx, odkim.get_mtasymbol(ctx, "j") .. " " .. tostring(odkim.get_mtasymbol(ctx, "none")))
        odkim.log(ctx, odkim.rcpt_count(ctx) .. odkim.get_rcpt(ctx, 0) .. tostring(odkim.get_rcpt(ctx, 1)) ..
                       #odkim.get_rcptarray(ctx))
        odkim.log(ctx, tostring(odkim.check_popauth(ctx)) .. odkim.internal_ip(ctx))
        local user, domain = odkim.parse_field("A <u@d.example> (c)")
        odkim.log(ctx, user .. " at " .. domain .. tostring(odkim.parse_field("nobody")))
        local domains = odkim.get_dbhandle(ctx, DB_DOMAINS)
        odkim.log(ctx, odkim.db_check(domains, "EXAMPLE.com") .. odkim.db_check(domains, "x") ..
                       tostring(odkim.get_dbhandle(ctx, DB_MTAS)))
        local own = odkim.db_open("csl:a,b")
        odkim.log(ctx, odkim.db_check(own, "b") .. odkim.db_close(own))
    )lua");
    setup->send(message);
    for (auto const* line :
         {"mail.example.org 192.0.2.7", "a@example.com example.com", " one twonil", "mx.example.com nil",
          "1b@example.netnil1", "nil0", "u at d.examplenil", "10nil", "11"}) {
        INFO(line << " in " << setup->log.all());
        CHECK(setup->log.contains(line));
    }
}

// Databases that a script opens, over SQLite files.
struct Databases {
    Scratch scratch;
    TestLog log;
    Metrics metrics;
    DataSetOpener opener{database_opener(log, metrics)};

    std::string dsn(std::string_view statements) { return dsn_of(scratch.database(statements)); }
    static std::string dsn_of(std::string const& file) {
        return "dsn:sqlite://" + file + "/table=lists?keycol=name?datacol=name";
    }
};

TEST_CASE("a script asks a database, which stays open for the next message") {
    Databases databases;
    auto const dsn = databases.dsn("CREATE TABLE lists (name TEXT); INSERT INTO lists VALUES ('b')");
    Scripted script(
        "Setup",
        "local lists = odkim.db_open('" + dsn +
            "', true) "
            "odkim.log(ctx, 'listed ' .. odkim.db_check(lists, 'b') .. odkim.db_check(lists, 'a')) "
            "local again = odkim.db_open('" +
            dsn +
            "') odkim.db_close(again) odkim.log(ctx, 'still ' .. odkim.db_check(lists, 'b') .. "
            "odkim.db_check(lists, \"' OR ''='\"))",
        "", databases.opener);
    for (int i = 0; i < 2; ++i) script->send(message);
    CHECK(script->log.contains("listed 10"));
    CHECK(script->log.contains("still 10"));
    CHECK(databases.metrics.text().contains("postern_sql_connections{pool=\"opendkim.conf:lists\"} 1\n"));
    Scripted closed("Setup",
                    "local l = odkim.db_open('" + dsn + "') odkim.db_close(l) odkim.db_check(l, 'b')", "",
                    databases.opener);
    CHECK(closed->send(message).verdict.starts_with("tempfail"));
    CHECK(closed->log.expect("odkim.db_check(): incorrect argument type"));
}

TEST_CASE("a database that does not answer is nil to a script, and asked once a message") {
    Databases databases;
    Scripted script("Setup", "local l = odkim.db_open('" + Databases::dsn_of("/nonexistent/x") + R"lua(')
        for i = 1, 3 do odkim.log(ctx, 'listed ' .. tostring(odkim.db_check(l, 'b'))) end
        odkim.set_result(ctx, SMFIS_TEMPFAIL))lua",
                    "", databases.opener);
    CHECK(script->send(message).verdict == "tempfail");
    auto const lines = script->log.lines();
    auto const count = [&](std::string_view text) {
        return std::ranges::count_if(lines, [&](auto const& line) { return line.text.contains(text); });
    };
    CHECK(count("listed nil") == 3);
    CHECK(count("odkim.db_check(): data set: ") == 1);
    CHECK(script->log.expect("odkim.db_check(): data set: "));
    databases.log.expect("nonexistent");
}

TEST_CASE("scripts open so many databases and ask them so much and no more") {
    Databases databases;
    auto const dsn = databases.dsn("CREATE TABLE lists (name TEXT)");
    auto const seen = [&](std::string const& text) {
        Scripted script("Setup",
                        "local ok, why = pcall(function() " + text +
                            " end) odkim.log(ctx, 'ends ' .. tostring(why))",
                        "", databases.opener);
        script->send(message);
        return script->log.all();
    };
    auto const opens = [&](std::size_t count) {
        return seen("for i = 1, " + std::to_string(count) + " do odkim.db_close(odkim.db_open('" + dsn +
                    "?filter=' .. i)) end");
    };
    CHECK(opens(ScriptSets::max_databases).contains("ends nil"));
    CHECK(opens(ScriptSets::max_databases + 1).contains("odkim.db_open(): too many different databases"));
    auto const asks = [&](int count) {
        return seen("local l = odkim.db_open('" + dsn + "') for i = 1, " + std::to_string(count) +
                    " do odkim.db_check(l, i) end");
    };
    CHECK(asks(lua::max_set_questions).contains("ends nil"));
    CHECK(asks(lua::max_set_questions + 1).contains("odkim.db_check(): too many questions"));
    CHECK(seen("odkim.db_open('dsn:oracle://u:secret@h/d/table=t')").contains("\"oracle\" is not known"));
}

TEST_CASE("a setup script signs, with the keys and identities that it wants") {
    TempDir keys;
    chmod(keys.write("r", rsa_key()).c_str(), 0600);
    auto const table = "KeyTable csl:k=sign.example:r:" + keys.path("r") + ",gone=x.example:s:/nonexistent\n";
    // From a stranger, whom nothing else would sign for.
    Scripted script("Setup",
                    "odkim.sign(ctx, 'k', 'me@sign.example') odkim.use_ltag(ctx) "
                    "odkim.log(ctx, 'tag ' .. odkim.xtag(ctx, 'x_y', 'z') .. odkim.xtag(ctx, 'd', 'e'))",
                    table);
    auto const edits = script->send(message).edits;
    CHECK(edits.starts_with("insert 0 DKIM-Signature: v=1;"));
    for (auto const* part : {"d=sign.example;", "s=r;", "i=me@sign.example;", "l=7;", "x_y=z;"})
        CHECK(edits.contains(part));
    CHECK(script->log.contains("tag 1-1"));
    Scripted length("Setup", "odkim.sign(ctx, 'k', 3)", table);
    CHECK(length->send(message).edits.contains("l=3;"));
    Scripted gone("Setup", "odkim.log(ctx, 'signed ' .. odkim.sign(ctx, 'gone'))", table);
    CHECK_FALSE(gone->send(message).edits.contains("DKIM-Signature"));
    CHECK(gone->log.contains("signed 0"));
    CHECK(gone->log.expect("key 'gone'"));
    gone->log.expect("/nonexistent");
    Scripted fallback("Setup", "odkim.sign(ctx)");
    CHECK(fallback->send(message).edits.contains("d=example.com; s=s;"));
}

TEST_CASE("a setup script signs as for another sender") {
    TempDir keys;
    chmod(keys.write("r", rsa_key()).c_str(), 0600);
    Scripted script("Setup", "odkim.log(ctx, 'made ' .. odkim.signfor(ctx, 'u@b.example', true))",
                    "KeyTable csl:k=sign.example:r:" + keys.path("r") + "\nSigningTable csl:b.example=k");
    CHECK(script->send(message).edits.contains("d=sign.example; s=r;"));
    CHECK(script->log.contains("made 1"));
}

TEST_CASE("a setup script verifies mail of our own, and both when it wants both") {
    Scripted verify("Setup", "odkim.verify(ctx)", "AlwaysAddARHeader yes");
    verify.be_local();
    auto const both = verify->send(message).edits;
    CHECK(both.contains("insert 0 Authentication-Results: us; dkim=none"));
    CHECK(both.contains("insert 0 DKIM-Signature: v=1;")); // the domain and the client are ours
    Scripted stranger("Setup", "odkim.verify(ctx) odkim.sign(ctx)", "AlwaysAddARHeader yes");
    CHECK(stranger->send(message).edits.contains("insert 0 DKIM-Signature: v=1;"));
}

TEST_CASE("a replaced header is signed and not delivered") {
    Scripted script("Setup", "odkim.replace_header(ctx, 'From', 0, 'b@example.com')");
    script.be_local();
    auto edits = script->send(message).edits;
    edits.pop_back();
    auto headers = message;
    headers[0].second = " b@example.com";
    headers.insert(headers.begin(), {"DKIM-Signature", " " + edits.substr(edits.find("v=1;"))});
    CHECK(SessionWorld().send(headers).edits.contains("dkim=pass"));
    CHECK_FALSE(edits.contains("change"));
}

TEST_CASE("a setup script ends a message") {
    auto const verdict = [](std::string const& result) {
        return Scripted("Setup", "odkim.set_result(ctx, " + result + ")")->send(message).verdict;
    };
    CHECK(verdict("SMFIS_ACCEPT") == "accept");
    CHECK(verdict("SMFIS_REJECT") == "reject");
    CHECK(verdict("SMFIS_TEMPFAIL") == "tempfail");
    CHECK(verdict("SMFIS_DISCARD") == "discard");
    Scripted accepted("Setup", "odkim.set_result(ctx, SMFIS_ACCEPT)");
    CHECK(accepted->send({{"Authentication-Results", " us; dkim=pass"}, {"From", " a@x.example"}}).edits ==
          "change Authentication-Results 1: \n");
}

TEST_CASE("a screen script ignores signatures") {
    SessionWorld signer;
    auto const headers = signer.signed_message();
    Scripted script("Screen", R"lua(
        odkim.log(ctx, odkim.get_sigcount(ctx) .. #odkim.get_sigarray(ctx))
        local sig = odkim.get_sighandle(ctx, 0)
        odkim.log(ctx, odkim.sig_getdomain(sig) .. odkim.sig_getidentity(sig))
        odkim.sig_ignore(sig)
    )lua");
    CHECK(script->send(headers).edits.contains("dkim=neutral"));
    CHECK(script->log.contains("11"));
    CHECK(script->log.contains("example.com@example.com"));
    CHECK(script->log.contains("bad signature data"));
}

TEST_CASE("a final script sees the results, and decides") {
    SessionWorld signer;
    auto headers = signer.signed_message();
    auto const text = R"lua(
        local sig = odkim.get_sighandle(ctx, 0)
        odkim.log(ctx, "results " .. odkim.sig_result(sig) .. " " .. odkim.sig_bhresult(sig) .. " " ..
                  odkim.sig_bodylength(ctx, sig) .. " " .. odkim.sig_canonlength(sig))
        if odkim.sig_bhresult(sig) == DKIM_SIGBH_MISMATCH then
            odkim.set_reply(ctx, "554", "5.7.1", "body changed")
            odkim.set_result(ctx, SMFIS_REJECT)
        end
    )lua";
    Scripted good("Final", text);
    CHECK(good->send(headers).verdict == "accept");
    CHECK(good->log.contains("results 0 0 7 7"));
    Scripted bad("Final", text);
    CHECK(bad->send(headers, "other\r\n").verdict == "reject 554 5.7.1 body changed");
}

TEST_CASE("a final script changes header and recipients") {
    Scripted script("Final", R"lua(
        odkim.add_header(ctx, "X-A", "b")
        odkim.del_header(ctx, "Received", 1)
        odkim.add_rcpt(ctx, "c@example.net")
        odkim.del_rcpt(ctx, "B@example.net")
        odkim.quarantine(ctx, "because")
        odkim.log(ctx, tostring(odkim.del_rcpt(ctx, "nobody@example.net")))
        odkim.log(ctx, "bad " .. tostring(odkim.add_header(ctx, "X: y", "b")) ..
                       tostring(odkim.add_header(ctx, "X", "a\nBcc: b")) ..
                       tostring(odkim.add_rcpt(ctx, "a>,<b")) ..
                       tostring(odkim.set_reply(ctx, "250", "", "x")) ..
                       tostring(odkim.set_reply(ctx, "550", "4.0.0", "x")) ..
                       tostring(odkim.set_reply(ctx, "550", "", "a\r\nb")))
    )lua");
    CHECK(script->send(message).edits ==
          "insert 0 X-A: b\nchange Received 2: \nrcpt+ <c@example.net>\nrcpt- <b@example.net>\n"
          "add Original-Recipient: rfc822;b@example.net\nquarantine because\n");
    CHECK(script->log.contains("bad nilnilnilnilnilnil"));
    CHECK(negotiation(*script->generation->configuration).actions == 0x13d);
}

TEST_CASE("a final script asks blocklists") {
    Scripted script("Final", R"lua(
        local a, b, c, d = odkim.rbl_check(ctx, "2.0.0.127", "bl.example")
        odkim.log(ctx, "listed " .. a .. b .. c .. d)
        odkim.log(ctx, "not " .. select("#", odkim.rbl_check(ctx, "3.0.0.127", "bl.example")))
        odkim.log(ctx, "fails " .. tostring((odkim.rbl_check(ctx, "4.0.0.127", "bl.example", 2))))
    )lua");
    script->resolver->zone.a("2.0.0.127.bl.example", "127.0.0.4").fail("4.0.0.127.bl.example");
    script->send(message);
    for (auto const* line : {"listed 127004", "not 0", "fails nil"}) CHECK(script->log.contains(line));
    Scripted flood("Final", "for i = 1, 51 do odkim.rbl_check(ctx, i, 'bl.example') end");
    CHECK(flood->send(message).verdict == "tempfail 451 4.7.0 internal DKIM error");
    CHECK(flood->log.expect("too many questions"));
}

TEST_CASE("what a script exports, later ones have") {
    TempDir files;
    files.write("a", "local_only = 1 odkim.export(ctx, 'n', 3, 't', 'x', 'b', true, 'z', nil)");
    files.write("b", "odkim.log(ctx, 'seen ' .. tostring(n) .. t .. tostring(b) .. tostring(local_only))");
    SessionWorld world("SetupPolicyScript " + files.path("a") + "\nFinalPolicyScript " + files.path("b"));
    world.send(message);
    CHECK(world.log.contains("seen 3xtruenil"));
}

TEST_CASE("a script that fails gives On-InternalError's action, in every hook") {
    for (auto const* hook : {"Setup", "Screen", "Final"}) {
        INFO(hook);
        Scripted broken(hook, "nonsense.here()");
        CHECK(broken->send(message).verdict == "tempfail 451 4.7.0 internal DKIM error");
        CHECK(broken->log.expect("hook() failed: "));
        Scripted accepted(hook, "error('x')", "On-InternalError accept");
        CHECK(accepted->send(message).verdict == "accept");
        CHECK(accepted->log.expect("hook() failed: "));
        Scripted endless(hook, "while true do end");
        CHECK(endless->send(message).verdict == "tempfail 451 4.7.0 internal DKIM error");
        CHECK(endless->log.expect("too many instructions"));
    }
    // Mail of our own never leaves unsigned for it.
    Scripted own("Setup", "error('x')");
    own.be_local();
    CHECK(own->send(message).verdict == "tempfail 451 4.7.0 internal DKIM error");
    CHECK(own->log.expect("dkimf_lua_setup_hook() failed: "));
}

TEST_CASE("indices and lengths that are none are met as nothing") {
    Scripted script("Setup", R"lua(
        for _, index in ipairs({1e300, -1e300, 1/0, -1/0, 0/0, 2^31, -2^31, 2^63, "1e99"}) do
            assert(odkim.get_header(ctx, "From", index) == nil)
            assert(odkim.get_rcpt(ctx, index) == nil)
            assert(odkim.get_dbhandle(ctx, index) == nil)
            assert(odkim.replace_header(ctx, "From", index, "b@example.com") == nil)
            assert(odkim.set_result(ctx, index) == nil)
        end
        for _, length in ipairs({1e300, 1/0, -1e300, 0/0}) do odkim.sign(ctx, "k", length) end
        odkim.get_header(ctx, "a\0b", 0)
        odkim.log(ctx, "alive"))lua",
                    "KeyTable csl:k=sign.example:r:/nonexistent");
    script->send(message);
    CHECK(script->log.contains("alive"));
    script->log.expect("/nonexistent");
}

TEST_CASE("a final script sees no signatures of a verification that was given up") {
    TempDir files;
    SessionWorld signer;
    auto const headers = signer.signed_message();
    files.write("setup", "odkim.verify(ctx)");
    files.write("screen", "error('x')");
    files.write("final", "odkim.log(ctx, 'sees ' .. odkim.get_sigcount(ctx))");
    SessionWorld world("SetupPolicyScript " + files.path("setup") + "\nScreenPolicyScript " +
                       files.path("screen") + "\nFinalPolicyScript " + files.path("final") +
                       "\nOn-InternalError accept");
    world.client = {"localhost", "127.0.0.1"};
    CHECK(world.send(headers).edits.contains("insert 0 DKIM-Signature"));
    CHECK(world.log.expect("dkimf_lua_screen_hook() failed"));
    CHECK(world.log.contains("sees 0"));
}

TEST_CASE("handles that are none are refused") {
    for (auto const* script :
         {"odkim.log(nil, 'x')", "odkim.log(odkim.get_dbhandle(ctx, DB_DOMAINS), 'x')", "odkim.get_envfrom()",
          "odkim.db_check(ctx, 'x')",
          "local d = odkim.db_open('csl:a') odkim.db_close(d) odkim.db_check(d, 'a')",
          "odkim.db_open('ldap://x')", "odkim.export(ctx, 'a')", "odkim.export(ctx, 'a', ctx)",
          "odkim.get_header(ctx, 'a')", "odkim.sign(ctx, 'key')", "odkim.sign(ctx, {}, 1, 2, 3)"}) {
        INFO(script);
        Scripted wrong("Setup", script);
        CHECK(wrong->send(message).verdict.starts_with("tempfail"));
        CHECK(wrong->log.expect("dkimf_lua_setup_hook() failed: odkim."));
    }
}

TEST_CASE("a script that is none stops the configuration") {
    TempDir files;
    TestLog log;
    CHECK(configure("SetupPolicyScript " + files.write("s", "x = = 1") + "\n", log)
              .problems.contains("unexpected symbol near '='"));
    CHECK(configure("FinalPolicyScript /nonexistent/s\n", log).problems.contains("/nonexistent/s"));
    CHECK(
        configure("ScreenPolicyScript " + files.write("l", std::string(lua::max_script + 1, ' ')) + "\n", log)
            .problems.contains("ScreenPolicyScript"));
}

TEST_CASE("scripts may ask for so much and no more") {
    auto const ends = [](std::string const& script, std::string_view settings = {}) {
        Scripted made("Setup",
                      "local ok, why = pcall(function() " + script + " end) odkim.log(ctx, tostring(why))",
                      settings);
        made->send(message);
        return made->log.all();
    };
    auto const times = [](std::size_t count, std::string const& what) {
        return "for i = 1, " + std::to_string(count) + " do " + what + " end";
    };
    CHECK(ends(times(lua::max_requests, "odkim.sign(ctx)")).contains("info: nil"));
    CHECK(ends(times(lua::max_requests + 1, "odkim.sign(ctx)")).contains("too many signatures"));
    CHECK(ends(times(lua::max_opened, "odkim.db_open('csl:a')")).contains("info: nil"));
    CHECK(ends(times(lua::max_opened + 1, "odkim.db_open('csl:a')")).contains("too many data sets"));
    CHECK(ends(times(lua::max_exported, "odkim.export(ctx, 'a' .. i, 1)")).contains("info: nil"));
    CHECK(ends(times(lua::max_exported + 1, "odkim.export(ctx, 'a' .. i, 1)")).contains("too many values"));
    auto const octets = [](std::size_t count) { return "('y'):rep(" + std::to_string(count) + ")"; };
    CHECK(ends("odkim.export(ctx, 'a', " + octets(lua::max_exported_octets - 1) + ")").contains("info: nil"));
    CHECK(
        ends("odkim.export(ctx, 'a', " + octets(lua::max_exported_octets) + ")").contains("too many values"));
    auto const replaces = [&](std::size_t count, std::size_t size) {
        return ends(times(count, "odkim.replace_header(ctx, 'Subject', 0, " + octets(size) + ")"));
    };
    CHECK(replaces(16, 65536).contains("info: nil"));
    CHECK(replaces(17, 65536).contains("too much is replaced"));
    CHECK(replaces(1, 65537).contains("not the value of a header field"));
    CHECK(ends("odkim.replace_header(ctx, 'Subject', 0, 'a\\nBcc: b')")
              .contains("not the value of a header field"));
    CHECK(ends(times(lua::max_tags, "assert(odkim.xtag(ctx, 'x' .. i, 'y') >= 0)")).contains("info: nil"));
    CHECK(ends(times(lua::max_tags + 1, "assert(odkim.xtag(ctx, 'x' .. i, 'y') >= 0)"))
              .contains("assertion failed"));
    auto const tag = [&](std::size_t size) {
        return ends("odkim.log(ctx, 'tag ' .. odkim.xtag(ctx, 'xx', ('y'):rep(" + std::to_string(size) +
                    ")))");
    };
    CHECK(tag(lua::max_tag_value).contains("tag 0"));
    CHECK(tag(lua::max_tag_value + 1).contains("tag -1"));
}
