// The settings file and the command line together, and the messages of -t.
#include "milter-dmarc/configuration.h"
#include "milter-dmarc/test_mode.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/fake_resolver.h"
#include "tests/unit/support/temp_dir.h"
#include "tests/unit/support/test_log.h"

using namespace postern;
using namespace postern::milter_dmarc;

namespace {

constexpr daemon::OptionSpec options[] = {
    {'p', "", "SOCKET", ""}, {'P', "", "FILE", ""}, {'u', "", "USER", ""}, {'t', "", "FILES", ""},
    {'f', "", "", ""},       {'l', "", "", ""},     {'A', "", "", ""}};

daemon::CommandLine line_of(std::vector<char const*> const& words) {
    auto line = daemon::CommandLine::parse(words, options);
    REQUIRE(line);
    return *std::move(line);
}

std::string problems_of(Loaded const& loaded) {
    std::string text;
    for (auto const& each : loaded.problems) text += each.to_string() + "\n";
    return text;
}

} // namespace

TEST_CASE("the command line wins over the file") {
    test::TempDir const directory;
    auto const path = directory.write("c", "Socket local:/file\nPidFile /file.pid\nUserID root\n");
    auto const loaded = load_configuration(
        path, line_of({"-p", "inet:8893@localhost", "-P", "/line.pid", "-u", "nobody", "-flA"}));
    CHECK(problems_of(loaded).empty());
    auto const& settings = loaded.configuration->settings;
    CHECK(settings.socket->address.port == 8893);
    auto const process = process_of(settings);
    CHECK(process.pid_file == "/line.pid");
    CHECK(process.user == "nobody");
    CHECK_FALSE(process.background);
    CHECK(process.auto_restart);
    CHECK(settings.syslog);
    CHECK(problems_of(load_configuration(path, line_of({"-p", "nowhere"}))) ==
          "option -p: Socket: \"nowhere\" is not an address (unix:/path, inet:port@host)\n");
}

TEST_CASE("files that the settings name are read with them") {
    test::TempDir const directory;
    auto const hosts = directory.write("hosts", "192.0.2.0/24\n");
    auto const loaded =
        load_configuration(directory.write("c", "Socket /x\nIgnoreHosts " + hosts + "\n"), line_of({}));
    CHECK(problems_of(loaded).empty());
    CHECK(loaded.configuration->ignored_hosts.contains("", "192.0.2.7"));
    CHECK_FALSE(loaded.configuration->ignored_hosts.contains("", "127.0.0.1"));
    auto const broken = load_configuration(
        directory.write("c", "IgnoreHosts /no/such/hosts\nPublicSuffixList /no/such/list\n"), line_of({}));
    CHECK(problems_of(broken) ==
          directory.path("c") + ": Socket is required, here or as -p\n" + directory.path("c") +
              ": IgnoreHosts: /no/such/hosts: No such file or directory\n" + directory.path("c") +
              ": PublicSuffixList: /no/such/list: no readable public suffix list\n");
}

TEST_CASE("without a file the defaults hold and -p names the socket") {
    CHECK(problems_of(load_configuration("", line_of({"-p", "/x"}))).empty());
    CHECK(problems_of(load_configuration("", line_of({}))) ==
          "no configuration file: Socket is required, here or as -p\n");
    CHECK(problems_of(load_configuration("", line_of({"-t", "message"}))).empty());
}

TEST_CASE("a message from a file is judged and told") {
    test::TestLog log;
    Metrics metrics;
    Outcomes outcomes(metrics);
    auto const configuration = load_configuration("", line_of({"-p", "/x"})).configuration;
    configuration->settings.authserv_id = "mx.example";
    configuration->settings.reject_failures = true;
    auto const resolver = std::make_shared<test::FakeResolver>();
    resolver->zone.txt("_dmarc.a.example", "v=DMARC1; p=reject");
    configuration->resolver = resolver;
    auto const run = [&](std::string_view message) {
        return judged("m", message, configuration, log, outcomes);
    };
    CHECK(
        run("Return-Path: <b@a.example>\nReceived-SPF: pass (x) identity=mailfrom; "
            "envelope-from=b@a.example\n"
            "From: a@a.example\n\nbody\n") ==
        "m: insert Authentication-Results: mx.example; dmarc=pass (p=reject dis=none) header.from=a.example\n"
        "m: accept\n");
    CHECK(run("From: a@a.example\n\nbody\n") == "m: 550 5.7.1 rejected by DMARC policy for a.example\n");
    CHECK(run("no header\n") == "m: header line without a field name: no header\\x0a\n");
}
