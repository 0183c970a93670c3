// The names of lmtp-deliver's settings, their defaults and meanings.
#include "lmtp-deliver/settings.h"

#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/daemon/privileges.h"

#include <fmt/format.h>

namespace postern::lmtp_deliver {

namespace {

Result<> set_text(std::string& to, std::string_view value) {
    to = value;
    return {};
}
Result<> set_bool(bool& to, std::string_view value) {
    auto const read = config::parse_boolean(value);
    if (!read) return std::unexpected(read.error());
    to = *read;
    return {};
}
template <class T>
Result<> set_number(T& to, std::string_view value) {
    auto const read = parse_number<T>(value);
    if (!read) return permanent(fmt::format("\"{}\" is no number", printable(value)));
    to = *read;
    return {};
}
Result<> set_duration(std::chrono::milliseconds& to, std::string_view value) {
    auto const read = parse_duration(value);
    if (!read || read->count() <= 0)
        return permanent(fmt::format("\"{}\" is no time span", printable(value)));
    to = *read;
    return {};
}
Result<> set_addresses(std::vector<net::ListenAddress>& to, std::string_view value) {
    for (auto const text : split(value, ',')) {
        if (trim(text).empty()) continue;
        auto address = net::parse_listen_address(trim(text));
        if (!address) return std::unexpected(address.error());
        to.push_back(std::move(*address));
    }
    return {};
}

Result<> set_mail_uid(Settings& s, std::string_view value) {
    s.mail_user = value;
    if (value.empty()) return {};
    auto const identity = daemon::find_identity(value);
    if (!identity) return std::unexpected(identity.error());
    s.mail.uid = identity->uid;
    return {};
}
Result<> set_mail_gid(Settings& s, std::string_view value) {
    s.mail_group = value;
    if (value.empty()) return {};
    auto const gid = daemon::find_group(value);
    if (!gid) return std::unexpected(gid.error());
    s.mail.gid = *gid;
    return {};
}
Result<> set_fsync(Settings& s, std::string_view value) {
    if (value == "optimized")
        s.mail.fsync = Fsync::optimized;
    else if (value == "always")
        s.mail.fsync = Fsync::always;
    else if (value == "never")
        s.mail.fsync = Fsync::never;
    else
        return permanent("must be optimized, always or never");
    return {};
}
Result<> set_delivered_to(Settings& s, std::string_view value) {
    if (value == "final")
        s.session.delivered_to = DeliveredTo::final_address;
    else if (value == "original")
        s.session.delivered_to = DeliveredTo::original;
    else if (value == "none")
        s.session.delivered_to = DeliveredTo::none;
    else
        return permanent("must be final, original or none");
    return {};
}

std::vector<config::Setting<Settings>> dovecot_rows() {
    return {
        {"base_dir", "/run/dovecot",
         "Directory of Dovecot's sockets; listeners with a relative path are below it.",
         [](Settings& s, std::string_view v) { return set_text(s.base_dir, v); }},
        {"auth_socket_path", "auth-userdb", "The user database's socket, absolute or below base_dir.",
         [](Settings& s, std::string_view v) { return set_text(s.auth_socket_path, v); }},
        {"default_internal_user", "dovecot",
         "User of the process that faces the network when mail is delivered for several uids.",
         [](Settings& s, std::string_view v) { return set_text(s.internal_user, v); }},
        {"hostname", "", "Name in replies and in Received; the machine's own when empty.",
         [](Settings& s, std::string_view v) { return set_text(s.session.hostname, v); }},
        {"login_greeting", "Postern ready.", "Text of the first reply, after the host name.",
         [](Settings& s, std::string_view v) { return set_text(s.session.greeting, v); }},
        {"syslog_facility", "mail", "Where syslog files the log.",
         [](Settings& s, std::string_view v) { return set_text(s.syslog_facility, v); }},
        {"mail_location", "", "Where the mailboxes are: maildir:PATH with %variables.",
         [](Settings& s, std::string_view v) { return set_text(s.mail.location, v); }},
        {"mail_home", "", "Home directory of users for whom the database names none.",
         [](Settings& s, std::string_view v) { return set_text(s.mail.home, v); }},
        {"mail_uid", "", "User of the mailboxes where the database names none; the daemon runs as it.",
         set_mail_uid},
        {"mail_gid", "", "Group of the mailboxes where the database names none.", set_mail_gid},
        {"first_valid_uid", "500", "Lowest user id that mail is delivered for.",
         [](Settings& s, std::string_view v) { return set_number(s.mail.first_valid_uid, v); }},
        {"last_valid_uid", "0", "Highest user id that mail is delivered for; 0 for no limit.",
         [](Settings& s, std::string_view v) { return set_number(s.mail.last_valid_uid, v); }},
        {"first_valid_gid", "1", "Lowest group id that mail is delivered for.",
         [](Settings& s, std::string_view v) { return set_number(s.mail.first_valid_gid, v); }},
        {"last_valid_gid", "0", "Highest group id that mail is delivered for; 0 for no limit.",
         [](Settings& s, std::string_view v) { return set_number(s.mail.last_valid_gid, v); }},
        {"mail_fsync", "optimized", "When files are forced to the disk: optimized, always or never.",
         set_fsync},
        {"mail_temp_dir", "/tmp", "Directory for messages too large to be held in memory.",
         [](Settings& s, std::string_view v) { return set_text(s.session.spool.directory, v); }},
        {"mail_plugins", "", "Quota is kept when quota is among them.",
         [](Settings& s, std::string_view v) { return set_text(s.mail_plugins, v); }},
        {"recipient_delimiter", "+", "Characters that separate the user from the detail in an address.",
         [](Settings& s, std::string_view v) { return set_text(s.session.recipient_delimiter, v); }},
        {"lmtp_save_to_detail_mailbox", "no", "Store mail for user+detail in the folder detail.",
         [](Settings& s, std::string_view v) { return set_bool(s.session.save_to_detail_mailbox, v); }},
        {"lmtp_hdr_delivery_address", "final", "Address in Delivered-To: final, original or none.",
         set_delivered_to},
        {"lmtp_add_received_header", "yes", "Put a Received field in front.",
         [](Settings& s, std::string_view v) { return set_bool(s.session.add_received, v); }},
        {"lmtp_rcpt_check_quota", "no", "Refuse full mailboxes at RCPT already.",
         [](Settings& s, std::string_view v) { return set_bool(s.mail.check_quota_at_rcpt, v); }},
        {"lmtp_user_concurrency_limit", "0", "Copies for one user at the same time; 0 for no limit.",
         [](Settings& s, std::string_view v) { return set_number(s.session.user_concurrency, v); }},
        {"lda_mailbox_autocreate", "no", "Make the detail's folder when it is missing.",
         [](Settings& s, std::string_view v) { return set_bool(s.mail.autocreate, v); }},
        {"lda_mailbox_autosubscribe", "no", "Subscribe to folders that were made so.",
         [](Settings& s, std::string_view v) { return set_bool(s.mail.autosubscribe, v); }},
        {"quota_full_tempfail", "no", "Answer 452 in place of 552 when a mailbox is full.",
         [](Settings& s, std::string_view v) { return set_bool(s.mail.quota_full_tempfail, v); }},
        {"lmtp_proxy", "no", "", nullptr, "mail is always delivered here"},
        {"mail_save_crlf", "no", "", nullptr, "messages are stored with LF line ends"},
    };
}

std::vector<config::Setting<OwnSettings>> own_rows() {
    return {
        {"metrics_listen", "", "Socket for Prometheus, for example inet:127.0.0.1:9127.",
         [](OwnSettings& s, std::string_view v) -> Result<> {
             if (v.empty()) return {};
             auto address = net::parse_listen_address(v);
             if (!address) return std::unexpected(address.error());
             s.metrics_listen = std::move(*address);
             return {};
         }},
        {"listen", "",
         "More sockets for LMTP, separated by commas, for example "
         "unix:/var/spool/postfix/private/dovecot-lmtp mode=0600 owner=postfix group=postfix.",
         [](OwnSettings& s, std::string_view v) { return set_addresses(s.listen, v); }},
        {"auth_userdb", "", "Address of the user database; auth_socket_path of dovecot.conf when empty.",
         [](OwnSettings& s, std::string_view v) -> Result<> {
             if (!v.empty())
                 if (auto const address = net::parse_address(v); !address)
                     return std::unexpected(address.error());
             return set_text(s.auth_userdb, v);
         }},
        {"user", "",
         "user[:group] to run as; mail_uid and mail_gid of dovecot.conf when empty. root: deliver in a "
         "process of its own for each user.",
         [](OwnSettings& s, std::string_view v) -> Result<> {
             if (!v.empty())
                 if (auto const identity = daemon::find_identity(v); !identity)
                     return std::unexpected(identity.error());
             return set_text(s.user, v);
         }},
        {"max_message_size", "0", "Largest message in octets (552 5.3.4 beyond it); 0 for no limit.",
         [](OwnSettings& s, std::string_view v) { return set_number(s.max_message_size, v); }},
        {"max_connections", "200", "Connections of each listener at the same time; more wait.",
         [](OwnSettings& s, std::string_view v) -> Result<> {
             auto const read = config::parse_integer(v, 1, 100000);
             if (!read) return std::unexpected(read.error());
             s.max_connections = static_cast<std::size_t>(*read);
             return {};
         }},
        {"idle_timeout", "5m", "A client that is silent for so long is sent away with 421.",
         [](OwnSettings& s, std::string_view v) { return set_duration(s.idle_timeout, v); }},
        {"userdb_timeout", "30s", "Longest wait for the user database; then the recipient gets 451.",
         [](OwnSettings& s, std::string_view v) { return set_duration(s.userdb_timeout, v); }},
        {"spool_memory", "131072", "Octets of a message held in memory; a larger one goes to mail_temp_dir.",
         [](OwnSettings& s, std::string_view v) { return set_number(s.spool_memory, v); }},
        {"syslog", "yes", "Log to syslog; standard error when no.",
         [](OwnSettings& s, std::string_view v) { return set_bool(s.syslog, v); }},
        {"syslog_name", "dovecot", "Name in syslog, where log readers look for it.",
         [](OwnSettings& s, std::string_view v) { return set_text(s.syslog_name, v); }},
    };
}

} // namespace

config::Table<Settings> const& dovecot_table() {
    static config::Table<Settings> const table(dovecot_rows(), config::NameCase::exact);
    return table;
}

config::Table<OwnSettings> const& own_table() {
    static config::Table<OwnSettings> const table(own_rows(), config::NameCase::exact);
    return table;
}

std::string settings_defaults() {
    using config::FileStyle;
    return "# lmtp-deliver.conf\n" +
           config::defaults_text(config::default_rows(own_table()), FileStyle::assignments) +
           "\n# dovecot.conf\n" +
           config::defaults_text(config::default_rows(dovecot_table()), FileStyle::assignments);
}

} // namespace postern::lmtp_deliver
