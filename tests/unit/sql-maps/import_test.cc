// Which parameters name SQL tables, and the commands that switch them.
#include "sql-maps/import.h"

#include "tests/unit/support/catch.h"

using namespace postern::sql_maps;

namespace {

constexpr auto configuration =
    "alias_maps = hash:/etc/aliases\n"
    "virtual_alias_maps = proxy:pgsql:/etc/postfix/va.cf, hash:/x, pgsql:/etc/postfix/catchall.cf\n"
    "smtpd_recipient_restrictions = permit_mynetworks, check_recipient_access { mysql:/a.cf, search_order = "
    "key }\n"
    "transport_maps = proxy:sqlite:/t.cf\n"
    "query = SELECT 'pgsql:x'\n"
    "smtp/inet/smtpd_sender_login_maps = mysql:/login's.cf\n"
    "nonsense\n";

} // namespace

TEST_CASE("Every parameter that names an SQL table is found, and no other") {
    auto const uses = find_tables(configuration);
    REQUIRE(uses.size() == 4);
    CHECK(uses[0].name == "virtual_alias_maps");
    CHECK(uses[0].tables ==
          std::vector<std::string>{"pgsql:/etc/postfix/va.cf", "pgsql:/etc/postfix/catchall.cf"});
    CHECK(uses[0].proxied == "proxy:pgsql:/etc/postfix/va.cf, hash:/x, proxy:pgsql:/etc/postfix/catchall.cf");
    CHECK(uses[1].proxied ==
          "permit_mynetworks, check_recipient_access { proxy:mysql:/a.cf, search_order = key }");
    CHECK(uses[2].proxied == uses[2].value);
    CHECK(uses[3].name == "smtp/inet/smtpd_sender_login_maps");
}

TEST_CASE("The commands switch over and back what has to change, quoted for a shell") {
    auto const uses =
        find_tables("transport_maps = proxy:sqlite:/t.cf\nsmtp/inet/command = smtpd -o "
                    "smtpd_sender_login_maps=mysql:/login's.cf -v\nvirtual_alias_maps = pgsql:/va.cf\n");
    CHECK(switch_over(uses, "/etc/postfix", "sqlmaps") ==
          "postconf -c '/etc/postfix' -e 'proxymap_service_name = sqlmaps'\n"
          "postconf -c '/etc/postfix' -F 'smtp/inet/command = smtpd -o "
          "smtpd_sender_login_maps=proxy:mysql:/login'\\''s.cf -v'\n"
          "postconf -c '/etc/postfix' -e 'virtual_alias_maps = proxy:pgsql:/va.cf'\n"
          "postfix -c '/etc/postfix' reload\n");
    CHECK(switch_back(uses, "/etc/postfix", "") ==
          "postconf -c '/etc/postfix' -X proxymap_service_name\n"
          "postconf -c '/etc/postfix' -F 'smtp/inet/command = smtpd -o "
          "smtpd_sender_login_maps=mysql:/login'\\''s.cf -v'\n"
          "postconf -c '/etc/postfix' -e 'virtual_alias_maps = pgsql:/va.cf'\n"
          "postfix -c '/etc/postfix' reload\n");
    CHECK(switch_back({}, "/d", "other") ==
          "postconf -c '/d' -e 'proxymap_service_name = other'\npostfix -c '/d' reload\n");
}

TEST_CASE("A parameter that another names behind proxy: stays as it is") {
    auto const uses = find_tables("own = pgsql:/a.cf\nowner = pgsql:/b.cf\nother = pgsql:/c.cf\n"
                                  "virtual_mailbox_maps = proxy:$own\nrelay_domains = proxy:${other}\n");
    REQUIRE(uses.size() == 3);
    CHECK(uses[0].proxied == "pgsql:/a.cf");
    CHECK(uses[1].proxied == "proxy:pgsql:/b.cf");
    CHECK(uses[2].proxied == "pgsql:/c.cf");
}
