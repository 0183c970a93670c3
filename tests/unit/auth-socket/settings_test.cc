// dovecot.conf and auth-socket.conf: what is taken, what is passed over, what is told.
#include "auth-socket/settings.h"
#include "auth-socket/users/sql.h"
#include "common/config/assignments.h"
#include "tests/unit/auth-socket/fixture.h"
#include "tests/unit/support/catch.h"

using namespace postern;
using namespace postern::auth_socket;
using namespace std::chrono_literals;

namespace {

struct Read {
    Settings settings;
    std::vector<config::Problem> problems;
    std::string told() const {
        std::string all;
        for (auto const& problem : problems) all += problem.to_string() + "\n";
        return all;
    }
    ListenerSettings const& at(std::string_view path) const {
        for (auto const& each : settings.listeners)
            if (each.address.address.path == path) return each;
        FAIL("no listener " << path);
        return settings.listeners.at(0);
    }
};

Read read(std::string_view text, OwnSettings const& own = {}) {
    Read result;
    auto blocks = config::parse_blocks(text, "d.conf");
    result.problems = blocks.problems;
    result.settings = understand_dovecot(blocks.root, own, result.problems);
    return result;
}

constexpr std::string_view users = "passdb {\n  driver = static\n  args = nopassword=y\n}\n";

} // namespace

TEST_CASE("the auth settings of a dovecot.conf are taken and everything else is passed over") {
    auto const conf =
        read(std::string(users) +
             "mail_location = maildir:~/x\nsome_plugin = 1\nauth_mechanisms = PLAIN login cram-md5\n"
             "auth_failure_delay = 500 ms\nauth_realms = a b\nauth_username_format = %n\n"
             "auth_cache_size = 10M\nauth_worker_max_count = 7\nauth_socket_path = x\nbase_dir = /run/d/\n"
             "protocol imap {\n  auth_thing = 1\n}\nplugin {\n  sieve = x\n}\n");
    CHECK(conf.told() == "");
    CHECK(conf.settings.client.mechanisms == std::vector<std::string>{"PLAIN", "LOGIN", "CRAM-MD5"});
    CHECK(conf.settings.client.failure_delay == 500ms);
    CHECK(conf.settings.client.mechanism.realms == std::vector<std::string>{"a", "b"});
    CHECK(conf.settings.authenticator.username.format == "%n");
    CHECK(conf.settings.cache.size == 10U << 20);
    CHECK(conf.settings.workers == 7);
    CHECK(conf.settings.base_dir == "/run/d");
}

TEST_CASE("every mistake is told with its line") {
    auto const conf =
        read("auth_mechanism = plain\nauth_mechanisms = plain rot13\nauth_failure_delay = soon\n"
             "passdb {\n  driver = sql\n  deny = perhaps\n  result_success = yes\n}\n"
             "service auth {\n  unix_listener x {\n    mode = rw\n  }\n  inet_listener y {\n  }\n}\n");
    CHECK(conf.told() ==
          "d.conf:1: unknown setting \"auth_mechanism\"; did you mean \"auth_mechanisms\"?\n"
          "d.conf:2: auth_mechanisms: unknown mechanism \"rot13\"\n"
          "d.conf:3: auth_failure_delay: not a span of time: \"soon\" (write \"2 secs\", \"1 hour\")\n"
          "d.conf:6: deny: \"perhaps\" is neither yes nor no\n"
          "d.conf:7: result_success: unknown value \"yes\"\n"
          "d.conf:11: mode: \"rw\" is not an octal mode such as 0660\n"
          "d.conf:13: warning: inet_listener: without a port it listens nowhere\n");
    CHECK(read("").told().contains("no passdb { } block"));
}

TEST_CASE("an inet_listener without a port, or with port 0, listens nowhere and stops nobody") {
    for (std::string const port : {"", "    port = 0\n"}) {
        auto const conf =
            read(std::string(users) + "service auth {\n  inet_listener y {\n" + port + "  }\n}\n");
        CHECK_FALSE(config::has_errors(conf.problems));
        for (auto const& listener : conf.settings.listeners) CHECK(listener.address.address.port == 0);
    }
}

TEST_CASE("what Dovecot had and Postern does not act on is a warning that says why") {
    auto const conf = read(std::string(users) + "auth_krb5_keytab = /etc/x\n");
    CHECK(conf.told() ==
          "d.conf:5: warning: auth_krb5_keytab has no effect: GSSAPI and Kerberos are not served\n");
}

TEST_CASE("a listener has its role from its name and its mode and owner from its block") {
    auto const conf =
        read(std::string(users) +
             "base_dir = /b\nservice auth {\n"
             "  unix_listener /var/spool/postfix/private/auth {\n    mode = 0660\n    user = postfix\n"
             "    group = postfix\n  }\n"
             "  unix_listener auth-master {\n    user = vmail\n  }\n"
             "  unix_listener /run/saslauthd/mux {\n    mode = 0777\n  }\n"
             "  inet_listener {\n    port = 12345\n    address = 127.0.0.1, ::1\n  }\n"
             "  inet_listener off {\n    port = 0\n  }\n}\n");
    CHECK(conf.told() == "");
    auto const& postfix = conf.at("/var/spool/postfix/private/auth");
    CHECK(postfix.role == Role::client);
    CHECK(postfix.temporary_failure == TemporaryFailure::closes);
    CHECK(postfix.address.mode == 0660U);
    CHECK(postfix.address.owner == "postfix");
    CHECK(conf.at("/b/auth-master").role == Role::master);
    CHECK(conf.at("/b/auth-master").address.mode == 0600U);
    CHECK(conf.at("/run/saslauthd/mux").role == Role::mux);
    CHECK(conf.at("/b/auth-userdb").address.mode ==
          0666U); // stock: no listener says that Dovecot runs beside
    CHECK(conf.at("/b/auth-userdb").address.owner == "dovecot");
    CHECK(conf.at("/b/auth-client").temporary_failure == TemporaryFailure::closes_for_minor_0);
    CHECK(conf.at("/b/auth-master").temporary_failure == TemporaryFailure::is_told);
    std::size_t inet = 0;
    for (auto const& each : conf.settings.listeners) inet += each.address.address.port == 12345 ? 1 : 0;
    CHECK(inet == 2);
}

TEST_CASE("mode = 0 leaves a path to us with the stock mode and owner, and then no stock listener is added") {
    auto const text = std::string(users) +
                      "base_dir = /b\ndefault_internal_user = dove\nservice auth {\n"
                      "  unix_listener login/login {\n    mode = 0\n  }\n"
                      "  unix_listener auth-userdb {\n    mode = 0\n  }\n"
                      "  unix_listener token-login/tokenlogin {\n    mode = 0\n  }\n"
                      "  unix_listener /x/private/auth {\n    mode = 0\n    user = postfix\n  }\n}\n";
    auto const conf = read(text);
    CHECK(conf.told() == "");
    CHECK(conf.settings.listeners.size() == 4);
    CHECK(conf.at("/b/login/login").role == Role::login);
    CHECK(conf.at("/b/login/login").address.mode == 0666U);
    CHECK(conf.at("/b/auth-userdb").address.owner == "dove");
    CHECK(conf.at("/x/private/auth").address.mode == 0660U);
    OwnSettings own;
    own.stock_listeners = OwnSettings::StockListeners::yes;
    CHECK(read(text, own).at("/b/auth-client").address.mode == 0600U);
}

TEST_CASE("temp_fail_close names the sockets whose clients take every FAIL for good") {
    OwnSettings own;
    auto const closes = [&](std::string const& choice, std::string_view path) {
        own.temp_fail_close = choice;
        auto const text =
            std::string(users) +
            "service auth {\n  unix_listener /a/private/auth {\n  }\n  unix_listener /b/auth {\n  }\n}\n";
        return read(text, own).at(path).temporary_failure;
    };
    CHECK(closes("auto", "/a/private/auth") == TemporaryFailure::closes);
    CHECK(closes("auto", "/b/auth") == TemporaryFailure::closes_for_minor_0);
    CHECK(closes("all", "/b/auth") == TemporaryFailure::closes);
    CHECK(closes("none", "/a/private/auth") == TemporaryFailure::is_told);
    CHECK(closes("/b/auth /c", "/b/auth") == TemporaryFailure::closes);
    CHECK(closes("/b/auth /c", "/a/private/auth") == TemporaryFailure::is_told);
}

TEST_CASE("roles are told by the name behind the last dash") {
    CHECK(role_of("/run/dovecot/auth-master") == Role::master);
    CHECK(role_of("/run/dovecot/auth-userdb") == Role::userdb);
    CHECK(role_of("login/login") == Role::login);
    CHECK(role_of("auth-login") == Role::login);
    CHECK(role_of("token-login/tokenlogin") == Role::token_login);
    CHECK(role_of("auth-client") == Role::client);
    CHECK(role_of("private/auth") == Role::client);
    CHECK(role_of("/run/saslauthd/mux") == Role::mux);
}

TEST_CASE("a default in the tables is what the settings begin with") {
    for (auto const& row : own_table().rows()) {
        INFO(row.name);
        OwnSettings settings;
        if (row.apply != nullptr) CHECK(row.apply(settings, row.default_text).has_value());
    }
    Settings settings;
    for (auto const& row : dovecot_table().rows()) {
        INFO(row.name);
        if (row.apply != nullptr) CHECK(row.apply(settings, row.default_text).has_value());
    }
    Settings const untouched;
    CHECK(settings.client.mechanisms == untouched.client.mechanisms);
    CHECK(settings.client.failure_delay == untouched.client.failure_delay);
    CHECK(settings.authenticator.username.chars == untouched.authenticator.username.chars);
    CHECK(settings.workers == untouched.workers);
}

TEST_CASE("what a listener does not know, and what only some clients would have, is told with its line") {
    CHECK(read("passdb {\n  driver = static\n  args = nopassword=y\n}\n"
               "service auth {\n  unix_listener x {\n    usr = postfix\n    mode = 0660\n  }\n"
               "  inet_listener y {\n    port = 1\n    adress = ::1\n  }\n}\n")
              .told() == "d.conf:7: unknown setting \"usr\"; did you mean \"user\"?\n"
                         "d.conf:12: unknown setting \"adress\"; did you mean \"address\"?\n");
    CHECK(
        read("passdb {\n  driver = static\n  args = nopassword=y\n}\n"
             "protocol imap {\n  mail_plugins = quota\n  auth_username_format = %n\n"
             "  passdb {\n    driver = passwd-file\n    deny = yes\n    args = /etc/deny\n  }\n}\n"
             "remote 10.0.0.0/8 {\n  protocol pop3 {\n    userdb {\n      driver = prefetch\n    }\n  }\n}\n")
            .told() ==
        "d.conf:8: passdb within protocol imap { }: auth-socket has the same for all clients\n"
        "d.conf:7: warning: auth_username_format has no effect within protocol imap { }: auth-socket has the "
        "same for "
        "all clients\n"
        "d.conf:16: userdb within protocol pop3 { }: auth-socket has the same for all clients\n");
}

TEST_CASE("mechanisms of Dovecot that are not served are left out with a warning") {
    auto const with = [](std::string const& words) {
        return read("passdb {\n  driver = static\n  args = nopassword=y\n}\nauth_mechanisms = " + words +
                    "\n");
    };
    auto const conf = with("plain gssapi LOGIN ntlm plain");
    CHECK(conf.told() == "d.conf:5: warning: auth_mechanisms: GSSAPI is not served\n"
                         "d.conf:5: warning: auth_mechanisms: NTLM is not served\n");
    CHECK(conf.settings.client.mechanisms == std::vector<std::string>{"PLAIN", "LOGIN"});
    CHECK(with("gssapi").told().starts_with("d.conf:5: auth_mechanisms: at least one mechanism that is"));
    CHECK(with("plain plan").told() == "d.conf:5: auth_mechanisms: unknown mechanism \"plan\"\n");
}

TEST_CASE("a passdb's name is logged where fail2ban's filter knows it for one, else its driver's") {
    auto const logged = [](std::string const& name) {
        return read("passdb {\n  driver = static\n  args = nopassword=y\n  name = " + name + "\n}\n")
            .settings.passdbs.at(0)
            .name;
    };
    CHECK(logged("staff-list") == "staff-list");
    for (auto const* name : {"sql2", "My users", "STAFF", "ab", "abcdefghijklmnop", "x_y"})
        CHECK(logged(name) == "static");
}

TEST_CASE("Dovecot 2.4's way of writing the same is read") {
    auto const conf =
        read("dovecot_config_version = 2.4.4\nauth_allow_cleartext = yes\nauth_socket_path = x\n"
             "auth_mechanisms {\n  plain = yes\n  login = yes\n  cram-md5 = no\n}\n"
             "auth_username_format = %{user | lower}\nsql_driver = pgsql\n"
             "pgsql db.example {\n  connection_limit = 20\n  parameters {\n    dbname = mail\n"
             "    user = u\n    password = it's\n  }\n}\n"
             "passdb sql {\n  query = SELECT password FROM m WHERE u = '%{user | lower}'\n}\n"
             "passdb passwd-file {\n  master = yes\n  passwd_file_path = /etc/masters\n"
             "  result_success = continue\n  default_password_scheme = sha512-crypt\n}\n"
             "userdb sql {\n  userdb_sql_query = SELECT home FROM m WHERE u = '%{user}'\n"
             "  iterate_query = SELECT u AS user FROM m\n  fields {\n    uid = vmail\n  }\n}\n"
             "userdb static {\n  fields {\n    home = /var/mail/%{user | domain}/x\n  }\n}\n"
             "service auth {\n  unix_listener auth-legacy {\n    type = auth-legacy\n    mode = 0666\n  }\n"
             "  unix_listener odd {\n    type = userdb\n  }\n}\n");
    CHECK(conf.told() == "");
    auto const& settings = conf.settings;
    CHECK(settings.client.mechanisms == std::vector<std::string>{"PLAIN", "LOGIN"});
    CHECK(settings.client.protocol_minor == 4); // as 2.4 announces it; 2.3 says 2
    CHECK(Settings().client.protocol_minor == 2);
    REQUIRE(settings.passdbs.size() == 2);
    REQUIRE(settings.passdbs[0].sql);
    auto const& sql = *settings.passdbs[0].sql;
    CHECK(sql.password_query == "SELECT password FROM m WHERE u = '%{user | lower}'");
    CHECK(sql.default_scheme == "CRYPT");
    CHECK(sql.pool.size == 20);
    REQUIRE(sql.pool.servers.size() == 1);
    CHECK(sql.pool.servers[0].host == "db.example");
    CHECK(sql.pool.servers[0].password == "it's");
    CHECK(settings.passdbs[1].path == "/etc/masters");
    CHECK(settings.passdbs[1].default_scheme == "SHA512-CRYPT");
    CHECK(settings.passdbs[1].success == Rule::continue_on);
    REQUIRE(settings.userdbs.size() == 2);
    CHECK(settings.userdbs[0].sql->user_query == "SELECT home FROM m WHERE u = '%{user}'");
    CHECK(settings.userdbs[0].override_fields.value("uid") == "vmail");
    CHECK(settings.userdbs[1].override_fields.value("home") == "/var/mail/%{user | domain}/x");
    CHECK(conf.at("/run/dovecot/auth-legacy").role == Role::client);
    CHECK(conf.at("/run/dovecot/odd").role == Role::userdb);
}

TEST_CASE("2.4's settings of a database are read with or without prefixes, for one block or all") {
    auto const conf = read(
        "dovecot_config_version = 2.4.1\npassdb_default_password_scheme = ssha\n"
        "sql_driver = mysql\nmysql db1 {\n  mysql_user = u\n  connection_limit = 3\n  connect_timeout = 4s\n"
        "  ssl_client_ca_file = /ca\n}\n"
        "passdb main {\n  passdb_driver = sql\n"
        "  passdb_sql_query = SELECT password, name FROM u WHERE name LIKE '%{user}%'\n"
        "  passdb_result_success = continue-ok\n  skip = authenticated\n  fields_import_all = no\n"
        "  use_cache = no\n  mechanisms_filter {\n    plain = yes\n    login = no\n  }\n"
        "  fields {\n    user = %{sql:name | lower}\n    password = %{sql:password}\n  }\n}\n"
        "passdb passwd-file {\n  path = /etc/%{user | domain}/u\n"
        "  auth_username_format = %{user | username}\n  fields {\n    x = %{passwd_file:y | default}\n  "
        "}\n}\n"
        "passdb pam {\n  service_name = %{protocol | lower}\n  session = yes\n}\n"
        "userdb sql {\n  sql_driver = sqlite\n  sqlite_path = /u.db\n  query = SELECT 1\n}\n"
        "service auth {\n  unix_listener token-login {\n    type = token-login\n"
        "    user = $SET:default_internal_user\n  }\n}\n");
    CHECK(conf.told() == "d.conf:35: warning: session has no effect: no PAM session is opened\n");
    auto const& passdbs = conf.settings.passdbs;
    REQUIRE(passdbs.size() == 3);
    CHECK(passdbs[0].driver == "sql");
    CHECK(passdbs[0].default_scheme == "SSHA");
    CHECK(passdbs[0].success == Rule::continue_ok);
    CHECK(passdbs[0].skip == Skip::when_known);
    CHECK(passdbs[0].mechanisms == std::vector<std::string>{"PLAIN"});
    CHECK_FALSE(passdbs[0].imports_all);
    CHECK_FALSE(passdbs[0].use_cache);
    CHECK(passdbs[0].override_fields.value("user") == "%{sql:name | lower}");
    REQUIRE(passdbs[0].sql);
    CHECK(passdbs[0].sql->password_query == "SELECT password, name FROM u WHERE name LIKE '%{user}%%'");
    auto const& pool = passdbs[0].sql->pool;
    CHECK(pool.servers.at(0).user == "u");
    CHECK(pool.servers.at(0).option("tls_CAfile") == "/ca");
    CHECK(pool.size == 3);
    CHECK(passdbs[1].path == "/etc/%{user | domain}/u");
    CHECK(passdbs[1].username_format == "%{user | username}");
    CHECK(passdbs[2].service == "%{protocol | lower}");
    REQUIRE(conf.settings.userdbs.at(0).sql);
    CHECK(conf.settings.userdbs[0].sql->pool.servers.at(0).database == "/u.db");
    CHECK(conf.at("/run/dovecot/token-login").role == Role::token_login);
    CHECK(conf.at("/run/dovecot/token-login").address.owner == "dovecot");
}

TEST_CASE("what 2.4 would not know in a database's block is told with its line") {
    auto const conf =
        read("dovecot_config_version = 2.4.1\npassdb static {\n  args = nopassword=y\n  pasword = x\n"
             "  deny = perhaps\n  fields {\n    user = %{sql:name}\n    x = %{user | rot13}\n  }\n}\n"
             "sql_driver = sqlite\nsqlite_path = /x\nuserdb sql {\n  iterate_query = SELECT 1\n}\n"
             "auth_username_format = %{usr}\nauth_falure_delay = 1s\nauth_internal_failure_delay = 0\n");
    CHECK(
        conf.told() ==
        "d.conf:17: warning: unknown setting \"auth_falure_delay\"; did you mean \"auth_failure_delay\"?\n"
        "d.conf:16: auth_username_format: %{usr}: usr: unknown variable; write %% for a percent sign\n"
        "d.conf:18: warning: auth_internal_failure_delay has no effect: a temporary failure is told at once\n"
        "d.conf:3: args is Dovecot 2.3's: 2.4 has settings of their own and fields { }\n"
        "d.conf:4: unknown setting \"pasword\" in passdb static\n"
        "d.conf:7: %{sql:...} is not known in passdb static\n"
        "d.conf:8: %{user | rot13}: rot13: unknown filter; write %% for a percent sign\n"
        "d.conf:5: deny: \"perhaps\" is neither yes nor no\n"
        "d.conf:13: userdb sql: query is not set\n");
}

TEST_CASE("unknown settings and variables in a database's block are told with their line") {
    auto const conf = read("passdb {\n  driver = pam\n  args = session=yes dovecot\n  argz = x\n}\n"
                           "userdb {\n  driver = static\n  override_fields = home=/x/%{nobody}\n}\n");
    CHECK(conf.told() ==
          "d.conf:4: unknown setting \"argz\"; did you mean \"args\"?\n"
          "d.conf:3: warning: session=yes has no effect: only the password is checked\n"
          "d.conf:8: override_fields: home: %{nobody}: nobody: unknown variable; write %% for a percent "
          "sign\n");
}

TEST_CASE("token mechanisms without a passdb for tokens are warned about") {
    CHECK(read(std::string(users) + "auth_mechanisms = plain oauthbearer\n")
              .told()
              .contains(
                  "warning: auth_mechanisms has OAUTHBEARER or XOAUTH2, but no passdb oauth2 checks tokens"));
}

TEST_CASE("the mechanisms of a passdb are all read, however long their list") {
    auto const conf =
        read("passdb {\n  driver = static\n  mechanisms = plain login, cram-md5 scram-sha-256\n}\n");
    CHECK(conf.settings.passdbs.at(0).mechanisms ==
          std::vector<std::string>{"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"});
    auto const tokens = read("passdb {\n  driver = oauth2\n}\n").settings.passdbs.at(0);
    CHECK(tokens.mechanisms == std::vector<std::string>{"PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2"});
    CHECK(tokens.name == "oauth"); // fail2ban's filter takes letters only
}
