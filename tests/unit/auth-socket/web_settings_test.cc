// Where tokens are checked and the policy server, in 2.3's and 2.4's words.
#include "auth-socket/oauth2/settings.h"
#include "auth-socket/settings.h"
#include "common/config/assignments.h"
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
};

Read read(std::string_view text) {
    Read result;
    auto blocks = config::parse_blocks(text, "d.conf");
    result.problems = blocks.problems;
    result.settings = understand_dovecot(blocks.root, {}, result.problems);
    return result;
}

constexpr std::string_view users = "passdb {\n  driver = static\n  args = nopassword=y\n}\n";

} // namespace

TEST_CASE("2.4 writes where tokens are checked as a block, and asks that before any passdb") {
    auto const conf =
        read("dovecot_config_version = 2.4.1\nauth_mechanisms = plain xoauth2\n"
             "passdb sql2 {\n  driver = static\n  fields {\n    nopassword = yes\n  }\n}\n"
             "oauth2_client_id = mail\noauth2 {\n  introspection_mode = post\n"
             "  introspection_url = https://auth.example/x\n  username_attribute = username\n"
             "  http_client_request_absolute_timeout = 2s\n  ssl_client_require_valid_cert = no\n"
             "  http_client_max_idle_time = 1s\n  fields {\n    userdb_x = %{oauth2:x}\n  }\n}\n"
             "oauth2_local_validation {\n  dict fs {\n    fs posix {\n      prefix = /k/\n    }\n  }\n}\n");
    CHECK(conf.told() == "");
    REQUIRE(conf.settings.passdbs.size() == 2);
    auto const& first = conf.settings.passdbs[0];
    CHECK(first.driver == "oauth2");
    CHECK(first.mechanisms == std::vector<std::string>{"OAUTHBEARER", "XOAUTH2"});
    CHECK(first.success == Rule::continue_ok);
    CHECK(first.failure == Rule::return_fail);
    CHECK(first.others_may_object);
    REQUIRE(first.tokens);
    CHECK(first.tokens->introspection_mode == IntrospectionMode::post);
    CHECK(first.tokens->introspection_url == "https://auth.example/x");
    CHECK(first.tokens->client_id == "mail");
    CHECK(first.tokens->timeout == 2s);
    CHECK(!first.tokens->tls.verify);
    CHECK(first.tokens->username_format == "%{user}");
    CHECK(first.tokens->pass_attributes.value("userdb_x") == "%{oauth2:x}");
    CHECK(first.tokens->local_validation_key_dict == "fs:posix:prefix=/k/");
}

TEST_CASE("a dovecot-oauth2.conf.ext is read, and its mistakes are told") {
    auto const told = [](std::string_view text) {
        std::vector<config::Problem> problems;
        auto const parsed = config::parse_assignments(text, "o.ext", config::dovecot_sql_style);
        (void)checked_token_settings(parsed.assignments, {"o.ext", 0}, problems);
        std::string all;
        for (auto const& problem : problems) all += problem.to_string() + "\n";
        return all;
    };
    CHECK(
        told("tokeninfo_url = https://www.googleapis.com/oauth2/v3/tokeninfo?access_token=\n"
             "introspection_url = https://www.googleapis.com/oauth2/v2/userinfo\n#force_introspection = yes\n"
             "username_attribute = email\ntls_ca_cert_file = /etc/ssl/certs/ca-certificates.crt\n") == "");
    CHECK(
        told(
            "introspection_mode = local\nlocal_validation_key_dict = fs:posix:prefix=/etc/dovecot/keys/\n") ==
        "");
    CHECK(told("introspection_mode = local\n")
              .starts_with("o.ext:1: introspection_mode = local needs local_validation_key_dict"));
    CHECK(told("\nintrospection_url = https://id:pw@x/\n").starts_with("o.ext:2: introspection_url names"));
    CHECK(told("introspection_url = https://id:pw@x/\nintrospection_mode = post\n") == "");
    CHECK(told("") ==
          "o.ext: one of tokeninfo_url, introspection_url, grant_url and local_validation_key_dict "
          "is needed\n");
    CHECK(told("tokeninfo_url = http://x/\nuse_grant_password = yes\n") ==
          "o.ext:2: use_grant_password needs grant_url\n");
    CHECK(told("introspection_url = ldap://x\n").contains("not an http: or https: URL"));
    CHECK(told("introspection_url = http://x/\nintrospection_mode = put\n")
              .contains("must be auth, get, post or local"));
    CHECK(told("introspection_url = http://x/\nrawlog_dir = /tmp\n")
              .contains("warning: rawlog_dir has no effect"));
    CHECK(told("introspection_urll = http://x/\n").contains("did you mean \"introspection_url\"?"));
    CHECK(told("local_validation_key_dict = redis:host=x\n").contains("only fs:posix:prefix="));
}

TEST_CASE("the policy server's settings are taken, and a nonce is needed") {
    auto const conf = read(std::string(users) +
                           "auth_policy_server_url = http://127.0.0.1:4001/\nauth_policy_hash_nonce = n\n"
                           "auth_policy_hash_mech = md5\nauth_policy_hash_truncate = 0\n"
                           "auth_policy_server_timeout_msecs = 60000\nauth_policy_reject_on_fail = yes\n"
                           "auth_policy_request_attributes = login=%{requested_username} a/b=%s\n");
    CHECK(conf.told() == "");
    auto const& policy = conf.settings.policy;
    CHECK(policy.hash_digest == "MD5");
    CHECK(policy.timeout == 2s); // two of them, and Postfix waits 10 s
    CHECK(policy.reject_on_fail);
    CHECK(policy.attributes == std::vector<std::pair<std::string, std::string>>{
                                   {"login", "%{requested_username}"}, {"a/b", "%s"}});
    CHECK(read(std::string(users) + "auth_policy_server_url = http://127.0.0.1:4001/\n").told() ==
          "d.conf:5: auth_policy_server_url needs auth_policy_hash_nonce\n");
    CHECK(read(std::string(users) + "auth_mechanisms = plain xoauth2\n").told() ==
          "d.conf:5: warning: auth_mechanisms has OAUTHBEARER or XOAUTH2, but no passdb oauth2 checks "
          "tokens\n");
    CHECK(read(std::string(users) + "auth_policy_request_attributes = login\n")
              .told()
              .contains("is not name=value"));
}
