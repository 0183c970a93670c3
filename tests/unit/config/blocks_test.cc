// dovecot.conf: blocks, includes, values from files.
#include "common/config/blocks.h"

#include "tests/unit/support/catch.h"
#include "tests/unit/support/skip.h"
#include "tests/unit/support/temp_dir.h"

#include <filesystem>

using namespace postern;
using namespace postern::config;

TEST_CASE("settings and nested blocks are read with their places") {
    auto const [root, problems] = parse_blocks(R"(# Dovecot
protocols = imap lmtp   # two
service auth {
  unix_listener /var/spool/postfix/private/auth {
    mode = 0660
    user = postfix
  }
  user = root
}
)",
                                               "d.conf");
    CHECK(problems.empty());
    CHECK(root.value("protocols") == "imap lmtp");
    auto const* auth = root.find("service", "auth");
    REQUIRE(auth != nullptr);
    CHECK(auth->value("user") == "root");
    REQUIRE(auth->blocks.size() == 1);
    CHECK(auth->blocks[0].name == "/var/spool/postfix/private/auth");
    CHECK(auth->blocks[0].value("mode") == "0660");
    CHECK(auth->blocks[0].assignment("mode")->place.to_string() == "d.conf:5");
}

TEST_CASE("passdb blocks stay apart in order, service and plugin blocks of one name are joined") {
    auto const [root, problems] = parse_blocks("passdb {\n driver = sql\n}\npassdb {\n driver = pam\n}\n"
                                               "service auth {\n a = 1\n}\nservice auth {\n b = 2\n}\n"
                                               "plugin {\n q = 1\n}\nplugin {\n r = 2\n}\n",
                                               "d.conf");
    CHECK(problems.empty());
    REQUIRE(root.all("passdb").size() == 2);
    CHECK(root.all("passdb")[1]->value("driver") == "pam");
    REQUIRE(root.all("service").size() == 1);
    CHECK(root.find("service", "auth")->value("b") == "2");
    CHECK(root.find("plugin", "")->value("r") == "2");
}

TEST_CASE("a setting may use what it had so far, quotes and comment signs inside quotes are kept") {
    auto const [root, problems] =
        parse_blocks("mail_plugins = quota\nprotocol lmtp {\n mail_plugins = $mail_plugins sieve\n}\n"
                     "a = \"552 5.2.2 # full\"\nb = x#y\nc = p$ss\n",
                     "d.conf");
    CHECK(problems.empty());
    CHECK(root.find("protocol", "lmtp")->value("mail_plugins") == "quota sieve");
    CHECK(root.value("a") == "552 5.2.2 # full");
    CHECK(root.value("b") == "x#y");
    CHECK(root.value("c") == "p$ss");
}

TEST_CASE("a block on one line and a continued line are read") {
    auto const [root, problems] = parse_blocks(
        "service auth {\n unix_listener auth-client { mode = 0 }\n}\na = one \\\n  two\n", "d.conf");
    CHECK(problems.empty());
    CHECK(root.find("service", "auth")->find("unix_listener", "auth-client")->value("mode") == "0");
    CHECK(root.value("a") == "one two");
}

TEST_CASE("includes are globs relative to the file, and only a missing plain one is a problem") {
    test::TempDir const dir;
    dir.write("conf.d/10-a.conf", "a = 1\nb = 1\n");
    dir.write("conf.d/20-b.conf", "b = 2\n");
    dir.write("secret", "token");
    auto const file = dir.write("dovecot.conf",
                                "!include conf.d/*.conf\n!include_try local.conf\n!include_try none/*.conf\n"
                                "!include missing.conf\nkey = <secret\n");
    auto const [root, problems] = read_blocks(file);
    CHECK(root.value("a") == "1");
    CHECK(root.value("b") == "2");
    CHECK(root.value("key") == "token");
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].to_string() == file + ":4: " + dir.path("missing.conf") + ": no such file");
}

TEST_CASE("a file that includes itself is stopped") {
    test::TempDir const dir;
    auto const file = dir.write("a.conf", "!include a.conf\n");
    auto const [root, problems] = read_blocks(file);
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].text == "!include is nested more than 10 deep");
}

TEST_CASE("blocks left open, closed twice, too deep and lines of no form are each reported") {
    CHECK(parse_blocks("a {\nb = 1\n", "d.conf").problems.at(0).to_string() ==
          "d.conf:1: block \"a\" is not closed");
    CHECK(parse_blocks("}\n", "d.conf").problems.at(0).to_string() == "d.conf:1: \"}\" closes nothing");
    CHECK(parse_blocks("nonsense\n", "d.conf").problems.at(0).text ==
          "\"nonsense\" is not of the form \"name = value\"");
    std::string deep;
    for (int i = 0; i < 16; ++i) deep += "a {\n";
    std::string const closing = [] {
        std::string text;
        for (int i = 0; i < 16; ++i) text += "}\n";
        return text;
    }();
    CHECK(parse_blocks(deep + closing, "d.conf").problems.empty());
    CHECK_FALSE(parse_blocks(deep + "a {\n}\n" + closing, "d.conf").problems.empty());
}

TEST_CASE("every dovecot.conf of the corpus that has blocks is read without a crash") {
    auto const* const corpus = postern::test::corpus_or_skip();
    if (corpus == nullptr) return;
    std::size_t settings = 0;
    for (auto const& entry : std::filesystem::directory_iterator(std::string(corpus) + "/dovecot-sql")) {
        INFO(entry.path());
        auto const result = read_blocks(entry.path());
        for (auto const& problem : result.problems) CHECK(problem.place.line > 0);
        settings += result.root.settings.size();
    }
    CHECK(settings > 50);
}
