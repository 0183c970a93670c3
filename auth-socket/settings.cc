// The tables of settings.
#include "auth-socket/settings.h"

#include "auth-socket/users/variables.h"
#include "common/base/text.h"
#include "common/config/assignments.h"
#include "common/http/http.h"
#include "common/redis/redis.h"

#include <algorithm>
#include <array>

namespace postern::auth_socket {

namespace {

using std::string_view;

template <class T>
Result<> take(Result<T> read, T& target) {
    if (!read) return std::unexpected(std::move(read.error()));
    target = std::move(*read);
    return {};
}

Result<> take_duration(string_view value, std::chrono::milliseconds& target) {
    auto const span = parse_duration(value);
    if (!span)
        return permanent("not a span of time: \"" + std::string(value) + "\" (write \"2 secs\", \"1 hour\")");
    target = *span;
    return {};
}

// "10M", "512 k": octets.
Result<> take_size(string_view value, std::size_t& target) {
    auto const text = trim(value);
    auto const digits = text.substr(0, text.find_first_not_of("0123456789"));
    auto const number = parse_number<std::size_t>(digits);
    auto const unit = to_upper(trim(text.substr(digits.size())));
    if (!number) return permanent("not a size: \"" + std::string(value) + "\"");
    auto const shift = unit.empty() || unit == "B" ? 0
                       : unit[0] == 'K'            ? 10
                       : unit[0] == 'M'            ? 20
                       : unit[0] == 'G'            ? 30
                                                   : -1;
    if (shift < 0) return permanent("unknown unit in \"" + std::string(value) + "\"");
    target = *number << shift;
    return {};
}

// Dovecot's, which are not served here: the others of the line are.
constexpr std::array<string_view, 10> unserved_mechanisms{"APOP",
                                                          "GSS-SPNEGO",
                                                          "GSSAPI",
                                                          "NTLM",
                                                          "OTP",
                                                          "RPA",
                                                          "SKEY",
                                                          "SCRAM-SHA-1-PLUS",
                                                          "SCRAM-SHA-256-PLUS",
                                                          "DOVECOT-TOKEN"};

Result<> take_mechanisms(Settings& settings, string_view value) {
    auto& served = settings.client.mechanisms;
    served.clear();
    settings.unserved_mechanisms.clear();
    for (auto const word : split_words(value)) {
        auto const name = to_upper(word);
        auto const is_known = find_mechanism(name) != nullptr;
        if (!is_known && std::ranges::find(unserved_mechanisms, name) == unserved_mechanisms.end())
            return permanent("unknown mechanism \"" + std::string(word) + "\"");
        auto& list = is_known ? served : settings.unserved_mechanisms;
        if (std::ranges::find(list, name) == list.end()) list.push_back(name);
    }
    if (served.empty()) return permanent("at least one mechanism that is served here is needed");
    return {};
}

// no, plain, sha1, with ":N" behind it for the first N characters.
Result<> take_shown_password(Settings& settings, string_view value) {
    auto const [kind, size] = halve(trim(value), ':');
    auto& authenticator = settings.authenticator;
    if (kind == "no")
        authenticator.shown_password = ShownPassword::never;
    else if (kind == "plain" || kind == "yes")
        authenticator.shown_password = ShownPassword::plain;
    else if (kind == "sha1")
        authenticator.shown_password = ShownPassword::sha1;
    else
        return permanent("must be no, plain or sha1, with :N behind it to show the first N characters");
    authenticator.shown_length = parse_number<std::size_t>(size.value_or("0")).value_or(0);
    return {};
}

Result<> take_policy_hash(Settings& settings, string_view value) {
    for (auto const* known : {"md4", "md5", "sha1", "sha256", "sha512"})
        if (value == known) {
            settings.policy.hash_digest = to_upper(value);
            return {};
        }
    return permanent("must be md4, md5, sha1, sha256 or sha512");
}

// "login=%{requested_username} attrs/cos=%{userdb:cos}"
Result<> take_policy_attributes(Settings& settings, string_view value) {
    settings.policy.attributes.clear();
    for (auto const word : split_words(value)) {
        auto const [path, text] = halve(word, '=');
        if (path.empty() || !text) return permanent("\"" + printable(word, 60) + "\" is not name=value");
        if (auto const tried = check_template(*text); !tried) return std::unexpected(tried.error());
        settings.policy.attributes.emplace_back(path, *text);
    }
    return {};
}

constexpr string_view elsewhere = "it is Dovecot's login processes that act on it";
constexpr string_view no_gssapi = "GSSAPI and Kerberos are not served";
constexpr string_view no_winbind = "NTLM and winbind are not served";

} // namespace

config::Table<OwnSettings> const& own_table() {
    using Own = OwnSettings;
    static config::Table<Own> const table(
        {
            {"metrics_listen", "",
             "Where Prometheus reads the metrics: inet:9101@127.0.0.1, unix:/run/x.sock.",
             [](Own& s, string_view v) -> Result<> {
                 s.metrics_listen.reset();
                 if (trim(v).empty()) return {};
                 auto address = net::parse_listen_address(v);
                 if (!address) return std::unexpected(std::move(address.error()));
                 s.metrics_listen = std::move(*address);
                 return {};
             }},
            {"user", "",
             "Run as this user[:group] instead of the one of \"service auth\" (default_internal_user).",
             [](Own& s, string_view v) -> Result<> {
                 s.user = v;
                 return {};
             }},
            {"syslog", "yes", "Log to syslog; no: to standard error.",
             [](Own& s, string_view v) { return take(config::parse_boolean(v), s.syslog); }},
            {"syslog_name", "dovecot", "The name in the log; fail2ban's dovecot filter looks for this one.",
             [](Own& s, string_view v) -> Result<> {
                 s.syslog_name = v;
                 return {};
             }},
            {"temp_fail_close", "auto",
             "Sockets on which a temporary failure closes the connection, because Postfix and Exim take "
             "every "
             "FAIL for a wrong password: auto (those in a directory named \"private\", and clients that "
             "announce version 1.0), all, none, or paths.",
             [](Own& s, string_view v) -> Result<> {
                 s.temp_fail_close = v;
                 return {};
             }},
            {"stock_listeners", "auto",
             "Also bind the sockets that Dovecot's auth has without being told (auth-userdb, auth-client): "
             "auto: when no "
             "listener of the file has mode = 0; yes; no.",
             [](Own& s, string_view v) -> Result<> {
                 using enum Own::StockListeners;
                 if (v != "auto" && v != "yes" && v != "no") return permanent("must be auto, yes or no");
                 s.stock_listeners = v == "auto" ? automatic : v == "yes" ? yes : no;
                 return {};
             }},
            {"hash_workers", "0", "How many passwords are hashed at a time; 0: one for each core.",
             [](Own& s, string_view v) -> Result<> {
                 auto const count = config::parse_integer(v, 0, 1024);
                 if (!count) return std::unexpected(count.error());
                 s.hash_workers = static_cast<unsigned>(*count);
                 return {};
             }},
            {"max_connections", "1000", "Connections at a time on each socket; more wait.",
             [](Own& s, string_view v) -> Result<> {
                 auto const count = config::parse_integer(v, 1, 100000);
                 if (!count) return std::unexpected(count.error());
                 s.max_connections = static_cast<std::size_t>(*count);
                 return {};
             }},
            {"penalty", "yes",
             "Make the next login of an address, or for a user, wait after wrong passwords.",
             [](Own& s, string_view v) { return take(config::parse_boolean(v), s.penalty); }},
            {"penalty_redis", "",
             "A Redis server through which machines share these: inet:6379@192.0.2.1, unix:/run/redis.sock.",
             [](Own& s, string_view v) -> Result<> {
                 s.penalty_redis.reset();
                 if (trim(v).empty()) return {};
                 if (!redis::is_available()) return permanent("this auth-socket was built without hiredis");
                 auto address = net::parse_address(v);
                 if (!address) return std::unexpected(std::move(address.error()));
                 s.penalty_redis = std::move(*address);
                 return {};
             }},
            {"penalty_redis_user", "", "Who auth-socket is there (ACL); empty: the default user.",
             [](Own& s, string_view v) -> Result<> {
                 s.penalty_redis_user = v;
                 return {};
             }},
            {"penalty_redis_password", "", "Its password there; empty: none.",
             [](Own& s, string_view v) -> Result<> {
                 s.penalty_redis_password = v;
                 return {};
             }},
            {"penalty_redis_key", "postern:penalties", "The stream's name; the same on all machines.",
             [](Own& s, string_view v) -> Result<> {
                 if (v.empty()) return permanent("must not be empty");
                 s.penalty_redis_key = v;
                 return {};
             }},
        },
        config::NameCase::exact);
    return table;
}

std::vector<config::Problem> read_own_settings(std::string const& path, OwnSettings& own) {
    auto const read = config::read_assignments(path, config::AssignmentStyle{});
    auto problems = read.problems;
    auto const found = own_table().apply(own, read.assignments);
    problems.insert(problems.end(), found.begin(), found.end());
    return problems;
}

config::Table<Settings> const& dovecot_table() {
    using S = Settings;
    static config::Table<S> const table(
        {
            {"base_dir", "/run/dovecot", "Where listeners without a leading slash are.",
             [](S& s, string_view v) -> Result<> {
                 s.base_dir = v.ends_with("/") ? v.substr(0, v.size() - 1) : v;
                 return {};
             }},
            {"default_internal_user", "dovecot", "Who the process runs as.",
             [](S& s, string_view v) -> Result<> {
                 s.internal_user = v;
                 return {};
             }},
            {"syslog_facility", "mail", "Where the log goes.",
             [](S& s, string_view v) -> Result<> {
                 s.syslog_facility = v;
                 return {};
             }},
            {"auth_mechanisms", "plain", "SASL mechanisms, in the order of the announcement.",
             take_mechanisms},
            {"auth_failure_delay", "2 secs", "How long a wrong password waits for its answer.",
             [](S& s, string_view v) { return take_duration(v, s.client.failure_delay); }},
            {"auth_internal_failure_delay", "2 secs", "", nullptr, "a temporary failure is told at once"},
            {"auth_realms", "", "Realms of DIGEST-MD5.",
             [](S& s, string_view v) -> Result<> {
                 s.client.mechanism.realms.clear();
                 for (auto const word : split_words(v)) s.client.mechanism.realms.emplace_back(word);
                 return {};
             }},
            {"auth_default_realm", "", "Appended to user names without one.",
             [](S& s, string_view v) -> Result<> {
                 s.authenticator.username.default_realm = v;
                 return {};
             }},
            {"auth_default_domain", "", "What 2.4 calls auth_default_realm.",
             [](S& s, string_view v) -> Result<> {
                 if (!v.empty()) s.authenticator.username.default_realm = v;
                 return {};
             }},
            {"auth_username_chars", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01234567890.-_@",
             "Octets that a user name may have; empty: all.",
             [](S& s, string_view v) -> Result<> {
                 s.authenticator.username.chars = v;
                 return {};
             }},
            {"auth_username_translation", "", "Pairs of characters: \"#@/@\" makes # and / an @.",
             [](S& s, string_view v) -> Result<> {
                 s.authenticator.username.translation = v;
                 return {};
             }},
            {"auth_username_format", "%Lu", "What a user name is made into.",
             [](S& s, string_view v) -> Result<> {
                 s.authenticator.username.format = v;
                 return check_template(v);
             }},
            {"auth_master_user_separator", "", "user*master logs the master user in as user.",
             [](S& s, string_view v) -> Result<> {
                 s.authenticator.username.master_separator = v;
                 return {};
             }},
            {"auth_anonymous_username", "anonymous", "Who ANONYMOUS is.",
             [](S& s, string_view v) -> Result<> {
                 s.client.mechanism.anonymous_user = v;
                 return {};
             }},
            {"auth_verbose", "no", "Log successes as well; failures are always logged.",
             [](S& s, string_view v) { return take(config::parse_boolean(v), s.authenticator.verbose); }},
            {"auth_verbose_passwords", "no",
             "Show the password of a failed login: no, plain, sha1, with :N cut.", take_shown_password},
            {"auth_debug", "no", "Log more.",
             [](S& s, string_view v) { return take(config::parse_boolean(v), s.authenticator.debug); }},
            {"auth_debug_passwords", "no", "Show the passwords of failed logins.",
             [](S& s, string_view v) -> Result<> {
                 auto const yes = config::parse_boolean(v);
                 if (!yes) return std::unexpected(yes.error());
                 if (*yes) s.authenticator.shown_password = ShownPassword::plain;
                 return {};
             }},
            {"auth_cache_size", "0", "Octets of answers that are kept; 0: none.",
             [](S& s, string_view v) { return take_size(v, s.cache.size); }},
            {"auth_cache_ttl", "1 hour", "How long a known user is kept.",
             [](S& s, string_view v) { return take_duration(v, s.cache.ttl); }},
            {"auth_cache_negative_ttl", "1 hour", "How long an unknown user is kept.",
             [](S& s, string_view v) { return take_duration(v, s.cache.negative_ttl); }},
            {"auth_cache_verify_password_with_worker", "no", "", [](S&, string_view) { return Result<>(); }},
            {"auth_worker_max_count", "30", "How many lookups run at a time.",
             [](S& s, string_view v) -> Result<> {
                 auto const count = config::parse_integer(v, 1, 1000);
                 if (!count) return std::unexpected(count.error());
                 s.workers = static_cast<std::size_t>(*count);
                 return {};
             }},
            {"auth_gssapi_hostname", "", "", nullptr, no_gssapi},
            {"auth_krb5_keytab", "", "", nullptr, no_gssapi},
            {"auth_use_winbind", "no", "", nullptr, no_winbind},
            {"auth_winbind_helper_path", "", "", nullptr, no_winbind},
            {"auth_policy_server_url", "", "The policy server (weakforced); empty: none.",
             [](S& s, string_view v) -> Result<> {
                 if (!v.empty() && !http::is_usable_url(v)) return permanent("not an http: or https: URL");
                 s.policy.server_url = v;
                 return {};
             }},
            {"auth_policy_server_api_header", "", "\"Name: value\" that it is shown.",
             [](S& s, string_view v) -> Result<> {
                 s.policy.api_header = v;
                 return {};
             }},
            {"auth_policy_server_timeout_msecs", "2000", "How long it is waited for; at most 2000.",
             [](S& s, string_view v) -> Result<> {
                 auto const count = config::parse_integer(v, 1, 3'600'000);
                 if (!count) return std::unexpected(count.error());
                 s.policy.timeout = std::min(longest_policy_answer, std::chrono::milliseconds(*count));
                 return {};
             }},
            {"auth_policy_hash_mech", "sha256", "Of passwords: md4, md5, sha1, sha256, sha512.",
             take_policy_hash},
            {"auth_policy_hash_nonce", "", "Goes into that hash; the same on all machines, and secret.",
             [](S& s, string_view v) -> Result<> {
                 s.policy.hash_nonce = v;
                 return {};
             }},
            {"auth_policy_hash_truncate", "12", "Bits of the hash that are sent; 0: all.",
             [](S& s, string_view v) -> Result<> {
                 auto const bits = config::parse_integer(v, 0, 512);
                 if (!bits) return std::unexpected(bits.error());
                 s.policy.hash_truncate = static_cast<unsigned>(*bits);
                 return {};
             }},
            {"auth_policy_log_only", "no", "Log what it says, and act on nothing.",
             [](S& s, string_view v) { return take(config::parse_boolean(v), s.policy.log_only); }},
            {"auth_policy_reject_on_fail", "no", "Logins fail for now while it cannot be asked.",
             [](S& s, string_view v) { return take(config::parse_boolean(v), s.policy.reject_on_fail); }},
            {"auth_policy_request_attributes",
             "login=%{requested_username} pwhash=%{hashed_password} remote=%{rip} device_id=%{client_id} "
             "protocol=%s "
             "session_id=%{session}",
             "What it is told.", take_policy_attributes},
            {"auth_policy_check_before_auth", "yes", "Ask it before the password is looked at.",
             [](S& s, string_view v) { return take(config::parse_boolean(v), s.policy.check_before); }},
            {"auth_policy_check_after_auth", "yes", "Ask it after the password was found right.",
             [](S& s, string_view v) { return take(config::parse_boolean(v), s.policy.check_after); }},
            {"auth_policy_report_after_auth", "yes", "Tell it how each login ended.",
             [](S& s, string_view v) { return take(config::parse_boolean(v), s.policy.report_after); }},
            {"auth_allow_weak_schemes", "no", "", [](S&, string_view) { return Result<>(); }},
            {"auth_proxy_self", "", "", nullptr, elsewhere},
            {"auth_ssl_require_client_cert", "no", "Refuse clients without a valid certificate.",
             [](S& s, string_view v) {
                 return take(config::parse_boolean(v), s.client.requires_certificate);
             }},
            {"auth_ssl_username_from_cert", "no", "EXTERNAL takes the user's name from the certificate.",
             [](S& s, string_view v) {
                 return take(config::parse_boolean(v), s.client.user_from_certificate);
             }},
        },
        config::NameCase::exact);
    return table;
}

} // namespace postern::auth_socket
