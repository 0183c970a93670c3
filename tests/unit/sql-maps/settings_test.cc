// sql-maps.conf: values, map lines, and what does not go together.
#include "sql-maps/settings.h"

#include "sql-maps/postfix_version.h"
#include "tests/unit/support/catch.h"

#include <cstdlib>

using namespace postern;
using namespace postern::sql_maps;

namespace {

std::string problems_of(std::string_view text) {
    std::string out;
    for (auto const& problem : parse_settings(text, "x.conf").problems) out += problem.to_string() + "\n";
    return out;
}

} // namespace

TEST_CASE("With proxymap_listen alone everything else has its default") {
    auto const [settings, problems] = parse_settings("proxymap_listen = unix:/p/sqlmaps\n", "x.conf");
    CHECK(problems.empty());
    CHECK(settings.proxymap_listen->address.path == "/p/sqlmaps");
    CHECK(settings.proxymap_listen->mode == 0666U);
    CHECK(settings.limits.directories == std::vector<std::string>{"/etc/postfix"});
    CHECK(settings.limits.pool_size == 8);
    CHECK(settings.stock_proxymap == "unix:/var/spool/postfix/private/proxymap");
    CHECK(settings.user == "postfix");
    CHECK(settings.proxymap_greeting == Greeting::automatic);
}

TEST_CASE("Every setting lands where it belongs") {
    auto const [settings, problems] = parse_settings(
        "proxymap_listen = unix:/p mode=0600 owner=postfix\nsocketmap_listen = inet:127.0.0.1:1\n"
        "tcp_table_listen = inet:127.0.0.1:2\ntcp_table_map = va\nstock_proxymap =\n"
        "proxymap_greeting = no\nmap_directories = /a, /b\npool_size = 3\nconnect_timeout = 500ms\n"
        "query_timeout = 1m\nserve_stale = 15m\ncache_ttl = 30\ncache_negative_ttl = 5s\ncache_size = 7\n"
        "cache_tables = pgsql:/a mysql:/b\nrecipient_delimiter = +-\nlocal_domains = a b\nmax_connections = "
        "5\n"
        "user =\nsyslog = no\nsyslog_facility = local1\nsyslog_name = n\ndebug = yes\npid_file = /pid\n"
        "metrics_listen = unix:/m\nmap_va = pgsql:/a/va.cf virtual\nmap_tr = mysql:/a/tr.cf transport\n"
        "map_plain = sqlite:/a/p.cf\n",
        "x.conf");
    CHECK(problems.empty());
    CHECK(settings.proxymap_listen->mode == 0600U);
    CHECK(settings.stock_proxymap.empty());
    CHECK(settings.limits.directories == std::vector<std::string>{"/a", "/b"});
    CHECK(settings.limits.connect_timeout == std::chrono::milliseconds(500));
    CHECK(settings.limits.query_timeout == std::chrono::minutes(1));
    CHECK(settings.rules.recipient_delimiter == "+-");
    CHECK(settings.limits.cache.stale == std::chrono::minutes(15));
    CHECK(settings.limits.cache.positive == std::chrono::seconds(30));
    CHECK(settings.limits.cache.negative == std::chrono::seconds(5));
    CHECK(settings.limits.cache.size == 7);
    CHECK(settings.limits.cache_tables.size() == 2);
    CHECK(settings.maps.at("va").map_class == MapClass::rewriting);
    CHECK(settings.maps.at("tr").table == "mysql:/a/tr.cf");
    CHECK(settings.maps.at("plain").map_class == MapClass::plain);
    CHECK(settings.user.empty());
    CHECK(settings.debug);
}

TEST_CASE("Every mistake is reported with its line") {
    CHECK(problems_of("proxymap_lissen = unix:/p\npool_size = 0\nquery_timeout = 2h\nmap_directories = etc\n"
                      "map_x = hash:/x\nmap_y = pgsql:/y nonsense\nsyslog_facility = nonsense\n"
                      "proxymap_greeting = perhaps\n") ==
          "x.conf:5: map_x: \"hash:/x\" is not pgsql:/PATH, mysql:/PATH or sqlite:/PATH\n"
          "x.conf:6: map_y: unknown class \"nonsense\"; known are " +
              std::string(map_class_names()) +
              "\n"
              "x.conf:1: unknown setting \"proxymap_lissen\"; did you mean \"proxymap_listen\"?\n"
              "x.conf:2: pool_size: \"0\" is not a number from 1 to 1000\n"
              "x.conf:3: query_timeout: \"2h\" is not a time from 1ms to 1h\n"
              "x.conf:4: map_directories: \"etc\" is not an absolute path\n"
              "x.conf:7: syslog_facility: \"nonsense\" is no facility\n"
              "x.conf:8: proxymap_greeting: \"perhaps\" is none of auto, yes, no\n");
}

TEST_CASE("What does not go together is an error") {
    CHECK(problems_of("") ==
          "x.conf: none of proxymap_listen, socketmap_listen and tcp_table_listen is set\n");
    CHECK(problems_of("socketmap_listen = unix:/s\n") ==
          "x.conf: socketmap_listen is set, but there is no map_NAME line\n");
    CHECK(problems_of("tcp_table_listen = unix:/s\nmap_a = pgsql:/a\nmap_b = pgsql:/b\n") ==
          "x.conf: tcp_table_listen is set, but tcp_table_map does not name one of the map_NAME lines\n");
    CHECK(problems_of("tcp_table_listen = unix:/s\nmap_a = pgsql:/a\n").empty());
    CHECK(problems_of("proxymap_listen = unix:/var/spool/postfix/private/proxymap\n")
              .starts_with("x.conf: proxymap_listen and stock_proxymap are the same socket"));
}

TEST_CASE("The printed defaults are a file without mistakes") {
    auto const text = settings_defaults();
    CHECK(text.contains("pool_size = 8"));
    CHECK(problems_of(text + "\nproxymap_listen = unix:/p\n").empty());
}

TEST_CASE("The sample file ends with the printed defaults") {
    auto const sample =
        config::read_file(std::string(std::getenv("POSTERN_SOURCE")) + "/sql-maps/sql-maps.conf.sample");
    REQUIRE(sample);
    CHECK(sample->ends_with(settings_defaults()));
}

TEST_CASE("Postfix waits for a greeting from 3.6 on") {
    for (auto const* old : {"2.11.3", "3.4.13", "3.5.18"}) CHECK(!waits_for_greeting(old));
    for (auto const* recent :
         {"3.6.0", "3.7.11", "3.10.2", "3.11.0", "3.6-20210101", "4.0.0", "", "nonsense"})
        CHECK(waits_for_greeting(recent));
}

TEST_CASE("A command's output is read, its failure told, and its silence ended") {
    auto const soon = Deadline::after(std::chrono::seconds(10));
    CHECK(*output_of({"echo", "3.7.11"}, soon) == "3.7.11\n");
    CHECK(!output_of({"false"}, soon));
    CHECK(!output_of({"/nonexistent/postconf"}, soon));
    CHECK(!output_of({"yes"}, soon));
    CHECK(!output_of({"sleep", "60"}, Deadline::after(std::chrono::milliseconds(20))));
}
