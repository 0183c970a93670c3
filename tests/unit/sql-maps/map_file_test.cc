// .cf files: every parameter, both forms, hosts, and real administrators' files.
#include "sql-maps/map_file.h"

#include "common/config/settings.h"
#include "common/sql/template.h"
#include "sql-maps/expansion.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/skip.h"

#include <cstdlib>
#include <filesystem>

using namespace postern;
using sql::Driver;
using sql_maps::parse_map_file;

namespace {

std::string problems_of(std::string_view text, Driver driver) {
    std::string out;
    for (auto const& problem : parse_map_file(text, driver, "x.cf").problems)
        out += problem.to_string() + "\n";
    return out;
}

std::string hosts_of(std::string_view hosts, Driver driver) {
    auto const made = parse_map_file("dbname = d\nquery = q\nhosts = " + std::string(hosts), driver, "x.cf");
    std::string out;
    for (auto const& problem : made.problems) out += problem.to_string();
    for (auto const& server : made.file.servers)
        out += (out.empty() ? "" : " ") + server.host + "|" + std::to_string(server.port);
    return out;
}

} // namespace

TEST_CASE("The query form is taken as it stands, continued lines joined") {
    auto const made = parse_map_file("# comment\nhosts = db1 db2\nuser = u\npassword = p#w\ndbname = mail\n"
                                     "query = SELECT a\n  FROM t\n  # inside\n  WHERE k='%s'\n"
                                     "result_format = %u\ndomain = a, b\nexpansion_limit = 3\n",
                                     Driver::postgresql, "/etc/postfix/x.cf");
    CHECK(made.problems.empty());
    CHECK(made.file.query == "SELECT a FROM t WHERE k='%s'");
    CHECK(made.file.result_format == "%u");
    CHECK(made.file.domain == "a, b");
    CHECK(made.file.expansion_limit == 3);
    CHECK(made.file.table() == "pgsql:/etc/postfix/x.cf");
    REQUIRE(made.file.servers.size() == 2);
    CHECK(made.file.servers[0].user == "u");
    CHECK(made.file.servers[0].password == "p#w");
    CHECK(made.file.servers[1].host == "db2");
    CHECK(made.file.servers[1].database == "mail");
    CHECK(made.file.servers[1].option("client_encoding") == "UTF8");
}

TEST_CASE("The legacy form becomes a query") {
    CHECK(parse_map_file("dbname=d\ntable = alias\nselect_field = goto\nwhere_field = address\n"
                         "additional_conditions = and active = '1'\n",
                         Driver::mariadb, "x")
              .file.query == "SELECT goto FROM alias WHERE address='%s' and active = '1'");
    CHECK(parse_map_file("dbname=d\nselect_function = my_lookup\n", Driver::postgresql, "x").file.query ==
          "SELECT my_lookup('%s')");
    CHECK(problems_of("dbname=d\n", Driver::mariadb) == "x.cf: neither \"query\" nor \"table\" is set\n");
    CHECK(problems_of("dbname=d\ntable = t\n", Driver::mariadb) ==
          "x.cf: \"table\" is set, but \"select_field\" is not\n");
    CHECK(problems_of("dbname=d\ntable = t\nselect_field = f\n", Driver::mariadb) ==
          "x.cf: \"table\" is set, but \"where_field\" is not\n");
}

TEST_CASE("Hosts are read as each driver's manual says") {
    CHECK(hosts_of("", Driver::postgresql) == "localhost|0");
    CHECK(hosts_of("unix:/run/pg, inet:db:5433 db2 127.0.0.1:5434", Driver::postgresql) ==
          "/run/pg|0 db|5433 db2|0 127.0.0.1|5434");
    CHECK(hosts_of("/run/pg:5433", Driver::postgresql) == "/run/pg|5433");
    CHECK(hosts_of("postgresql://u@h:1/d?sslmode=require", Driver::postgresql) ==
          "postgresql://u@h:1/d?sslmode=require|0");
    CHECK(hosts_of("unix:/run/mysqld.sock inet:db:3307", Driver::mariadb) == "/run/mysqld.sock|0 db|3307");
    CHECK(hosts_of("[2001:db8::1]:5432 [::1] 2001:db8::2", Driver::postgresql) ==
          "2001:db8::1|5432 ::1|0 2001:db8::2|0");
    CHECK(hosts_of("db:x", Driver::mariadb) ==
          "x.cf: hosts: \"db:x\": the port is not a number from 1 to 65535");
    CHECK(hosts_of("db:65536", Driver::mariadb).ends_with("65535"));
    CHECK(hosts_of("db:65535", Driver::mariadb) == "db|65535");
}

TEST_CASE("Every parameter up to Postfix 3.11 is accepted, and only those") {
    CHECK(problems_of("hosts=h\nuser=u\npassword=p\ndbname=d\nquery=q\nresult_format=%s\ndomain=x\n"
                      "expansion_limit=0\nidle_interval=30\nretry_interval=10\noption_file=/x\n"
                      "option_group=g\ntls_cert_file=/c\ntls_key_file=/k\ntls_CAfile=/a\ntls_CApath=/p\n"
                      "tls_ciphers=ALL\ntls_verify_cert=no\nrequire_result_set=no\ncharset=latin1\n",
                      Driver::mariadb)
              .empty());
    CHECK(problems_of("dbname=d\nquery=q\nencoding=LATIN1\nidle_interval=30\nretry_interval=1\n",
                      Driver::postgresql)
              .empty());
    CHECK(problems_of("dbpath=/x\nquery=q\nresult_format=%s\nexpansion_limit=1\ndomain=d\n", Driver::sqlite)
              .empty());
    CHECK(problems_of("dbpath=/x\nqurey=q\nquery=q\n", Driver::sqlite) ==
          "x.cf:2: warning: unknown setting \"qurey\"; did you mean \"query\"?\n");
}

TEST_CASE("Wrong values name the line") {
    CHECK(problems_of("dbname=d\nquery=q\nexpansion_limit=-1\nidle_interval=0\nrequire_result_set=perhaps\n"
                      "result_format=\nnonsense\n",
                      Driver::mariadb) ==
          "x.cf:7: \"nonsense\" is not of the form \"name = value\"\n"
          "x.cf:3: expansion_limit: \"-1\" is not a number from 0 to 2147483647\n"
          "x.cf:4: idle_interval: \"0\" is not a number from 1 to 2147483647\n"
          "x.cf:5: require_result_set: \"perhaps\" is neither yes nor no\n"
          "x.cf:6: result_format: must not be empty\n");
    CHECK(problems_of("query=q\n", Driver::mariadb) == "x.cf: \"dbname\" is not set\n");
    CHECK(problems_of("query=q\n", Driver::sqlite) == "x.cf: \"dbpath\" is not set\n");
}

TEST_CASE("Table names of other kinds are told apart") {
    CHECK(sql_maps::parse_table_name("pgsql:/etc/x.cf")->path == "/etc/x.cf");
    CHECK(sql_maps::parse_table_name("mysql:/x")->driver == Driver::mariadb);
    CHECK(!sql_maps::parse_table_name("unix:passwd.byname"));
    CHECK(!sql_maps::parse_table_name("pgsql"));
    CHECK(!sql_maps::parse_table_name(""));
}

TEST_CASE("Real administrators' files are read, and their quoted variables are all bound") {
    auto const* const corpus = postern::test::corpus_or_skip();
    if (corpus == nullptr) return;
    int files = 0;
    for (auto const& entry : std::filesystem::directory_iterator(std::string(corpus) + "/pgsql-mysql-maps")) {
        auto const path = entry.path().string();
        if (path.ends_with(".j2")) continue; // a template of a configuration, not one
        INFO(path);
        auto const text = config::read_file(path);
        REQUIRE(text);
        auto const driver =
            path.contains("pgsql") || text->contains("||") ? Driver::postgresql : Driver::mariadb;
        // Placeholders of installers stand where hosts and ports belong.
        auto const made = parse_map_file("dbname = x\n" + *text + "\nhosts = localhost\n", driver, path);
        std::string errors;
        for (auto const& problem : made.problems)
            if (problem.severity == config::Problem::Severity::error) errors += problem.to_string() + "\n";
        CHECK(errors.empty());
        auto const query = sql::Template::parse(made.file.query, driver, sql_maps::scan_variable);
        REQUIRE(query);
        CHECK(query->bare_variables().empty());
        CHECK(!query->variables().empty());
        ++files;
    }
    CHECK(files > 80);
}
