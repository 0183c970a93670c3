// What stands before a connection: the host's name and its address.
#include "common/sql/database.h"

#include "tests/unit/support/catch.h"
#include "tests/unit/support/slow_dns.h"

using namespace postern;
using namespace std::chrono_literals;
using Names = std::vector<std::string>;

namespace {

sql::ServerSettings server(sql::Driver driver, std::string host) {
    sql::ServerSettings settings;
    settings.driver = driver;
    settings.host = std::move(host);
    settings.database = "mail";
    return settings;
}

Names names_of(std::string host) { return server(sql::Driver::postgresql, std::move(host)).host_names(); }

} // namespace

TEST_CASE(
    "the names of hosts are told from addresses' forms, sockets and what the libraries mean by themselves") {
    CHECK(names_of("db.example") == Names{"db.example"});
    CHECK(names_of("192.0.2.1") == Names{"192.0.2.1"});
    CHECK(names_of("/run/postgresql").empty());
    CHECK(names_of("localhost").empty());
    CHECK(names_of("").empty());
    CHECK(names_of("postgresql://db.example/mail") == Names{"db.example"});
    CHECK(names_of("postgresql://u:p@h@a.example:5433,b.example/mail?host=x") ==
          Names{"a.example", "b.example"});
    CHECK(names_of("postgres://u@[2001:db8::1]:5432/mail").empty());
    CHECK(names_of("postgresql://%2Frun%2Fpostgresql/mail").empty());
    CHECK(names_of("postgresql:///mail").empty());
    CHECK(server(sql::Driver::sqlite, "db.example").host_names().empty());
    auto with_address = server(sql::Driver::postgresql, "db.example");
    with_address.options = {{"hostaddr", "192.0.2.1"}};
    CHECK(with_address.host_names().empty());
}

TEST_CASE("a host without an address is an error alone and none among several") {
    auto const resolved = [](std::string host) {
        return sql::is_resolved(server(sql::Driver::postgresql, std::move(host)), Deadline::after(10s));
    };
    CHECK_FALSE(resolved("no..name"));
    CHECK(resolved("postgresql://no..name,127.0.0.1/mail"));
    CHECK(resolved("127.0.0.1"));
}

TEST_CASE("a database's name that DNS does not answer for is waited for until the deadline only") {
    for (auto const driver : {sql::Driver::postgresql, sql::Driver::mariadb}) {
        auto const connection =
            sql::connect(server(driver, std::string(test::slow_name)), Deadline::after(50ms));
        REQUIRE_FALSE(connection);
        CHECK(connection.error().kind == ErrorKind::temporary);
        CHECK(connection.error().text == "slow.dns.example: no address in time");
    }
    test::let_slow_dns_go();
}
