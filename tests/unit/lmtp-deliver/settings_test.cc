// The mail part of dovecot.conf, and lmtp-deliver.conf.
#include "lmtp-deliver/settings.h"

#include "common/base/text.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/temp_dir.h"

#include <fmt/format.h>

using namespace postern;
using namespace postern::lmtp_deliver;

namespace {

struct Files {
    Configuration read(std::string_view dovecot, std::string_view own = "") const {
        dir.write("dovecot.conf", dovecot);
        dir.write("own.conf", own);
        return read_configuration(dir.path("dovecot.conf"), dir.path("own.conf"));
    }
    test::TempDir dir;
};

std::string problems(Configuration const& configuration) {
    std::string out;
    for (auto problem : configuration.problems) {
        problem.place.file.erase(0, problem.place.file.rfind('/') + 1);
        out += problem.to_string() + "\n";
    }
    return out;
}

std::string listeners(Configuration const& configuration) {
    std::string out;
    for (auto const& each : configuration.settings.listeners)
        out += fmt::format("{} {:o} {}:{}\n", each.address.to_string(), each.mode.value_or(0), each.owner,
                           each.group);
    return out;
}

constexpr std::string_view guide = R"(
protocols = imap lmtp
ssl = required
base_dir = /run/d
hostname = mx.example.com
mail_location = maildir:/var/vmail/%d/%n
mail_plugins = quota
recipient_delimiter = +-
first_valid_uid = 100
passdb {
  driver = sql
  args = /etc/dovecot/dovecot-sql.conf.ext
}
namespace inbox {
  inbox = yes
  prefix = INBOX.
  separator = .
  mailbox Junk {
    auto = subscribe
  }
  mailbox "Sent Messages" {
    auto = no
  }
}
namespace shared {
  prefix = Shared/
  separator = /
}
plugin {
  quota = maildir:User quota
  quota_rule = *:storage=1G
  sieve = ~/.dovecot.sieve
}
service lmtp {
  unix_listener /var/spool/postfix/private/dovecot-lmtp {
    mode = 0600
    user = postfix
    group = postfix
  }
  inet_listener lmtp {
    address = 127.0.0.1 ::1
    port = 24
  }
}
protocol lmtp {
  mail_plugins = $mail_plugins notify
  lmtp_save_to_detail_mailbox = yes
}
protocol lda {
  lmtp_save_to_detail_mailbox = no
}
)";

} // namespace

TEST_CASE("a dovecot.conf as the guides write it is taken whole") {
    Files const files;
    auto const configuration = files.read(guide);
    CHECK(problems(configuration).empty());
    auto const& s = configuration.settings;
    CHECK(s.session.hostname == "mx.example.com");
    CHECK(s.session.recipient_delimiter == "+-");
    CHECK(s.session.save_to_detail_mailbox);
    CHECK(s.mail.location == "maildir:/var/vmail/%d/%n");
    CHECK(s.mail.first_valid_uid == 100);
    CHECK(s.mail.quota);
    CHECK(s.mail.plugin.at("quota_rule") == "*:storage=1G");
    CHECK(s.mail.inbox.prefix == "INBOX.");
    CHECK(s.mail.inbox.separator == '.');
    CHECK(s.mail.inbox.mailboxes.at("Junk") == InboxNamespace::Auto::subscribe);
    CHECK(s.mail.inbox.mailboxes.at("Sent Messages") == InboxNamespace::Auto::no);
    CHECK(listeners(configuration) == "unix:/var/spool/postfix/private/dovecot-lmtp 600 postfix:postfix\n"
                                      "inet:127.0.0.1:24 0 :\ninet6:[::1]:24 0 :\n");
    CHECK(configuration.userdb_address().to_string() == "unix:/run/d/auth-userdb");
}

TEST_CASE("listeners of mode 0 are left to us, with their stock mode, and the others are Dovecot's") {
    Files const files;
    CHECK(listeners(files.read("base_dir = /run/d\nservice lmtp {\n unix_listener lmtp {\n mode = 0\n }\n"
                               " unix_listener /p/lmtp2 {\n mode = 0\n user = postfix\n }\n"
                               " unix_listener /p/lmtp3 {\n mode = 0600\n }\n}\n")) ==
          "unix:/run/d/lmtp 666 :\nunix:/p/lmtp2 600 postfix:\n");
    CHECK(listeners(files.read("base_dir = /run/d\n")) == "unix:/run/d/lmtp 666 :\n");
    CHECK(listeners(files.read("base_dir = /run/d\n",
                               "listen = unix:/a mode=0660 owner=postfix, inet:127.0.0.1:24\n")) ==
          "unix:/a 660 postfix:\ninet:127.0.0.1:24 0 :\n");
}

TEST_CASE("mistakes are told with file and line, all of them") {
    Files const files;
    auto const configuration =
        files.read("mail_location = mbox:~/mail\nmail_fsync = maybe\nfirst_valid_uid = x\n"
                   "service lmtp {\n inet_listener {\n port = 99999\n }\n}\n",
                   "max_connections = 0\nlisten = nonsense:\nmetric_listen = inet:1\n");
    auto const text = problems(configuration);
    INFO(text);
    CHECK(config::has_errors(configuration.problems));
    CHECK(text.contains("dovecot.conf:1: mail_location: only maildir:PATH is supported"));
    CHECK(text.contains("dovecot.conf:2: mail_fsync: must be optimized, always or never"));
    CHECK(text.contains("dovecot.conf:3: first_valid_uid: \"x\" is no number"));
    CHECK(text.contains("dovecot.conf:6: port: not a port: 99999"));
    CHECK(text.contains("own.conf:1: max_connections"));
    CHECK(text.contains("own.conf:2: listen"));
    CHECK(text.contains("own.conf:3: unknown setting \"metric_listen\"; did you mean \"metrics_listen\"?"));
}

TEST_CASE("what is not acted on is said and does not stop the daemon") {
    Files const files;
    auto const configuration =
        files.read("mail_plugins = quota sieve\nlmtp_proxy = yes\nplugin {\n quota = count:User\n}\n");
    auto const text = problems(configuration);
    INFO(text);
    CHECK_FALSE(config::has_errors(configuration.problems));
    CHECK(text.contains("warning: lmtp_proxy has no effect"));
    CHECK(text.contains("scripts are not run"));
    CHECK(text.contains("quota: driver count is not kept at delivery"));
}

TEST_CASE("a missing dovecot.conf is an error") {
    CHECK(config::has_errors(read_configuration("/nonexistent/dovecot.conf", "/nonexistent/own").problems));
}

TEST_CASE("the daemon becomes the user of the mailboxes, or a broker serves several") {
    Files const files;
    CHECK(files.read("mail_uid = 5000\nmail_gid = 5001\n").settings.mail.uid == 5000U);
    if (::geteuid() != 0) {
        CHECK(files.read("mail_uid = 5000\n").process_user().empty());
        CHECK_FALSE(files.read("").needs_broker());
        return;
    }
    CHECK(files.read("mail_uid = 5000\nmail_gid = 5001\n").process_user() == "5000:5001");
    CHECK(files.read("mail_uid = 5000\n").process_user() == "5000");
    CHECK_FALSE(files.read("mail_uid = 5000\n").needs_broker());
    CHECK(files.read("", "user = 5000:5000\n").process_user() == "5000:5000");
    CHECK_FALSE(files.read("", "user = 5000:5000\n").needs_broker());
    for (auto const* own : {"", "user = root\n"}) {
        auto const several = files.read("default_internal_user = nobody\n", own);
        CHECK(several.needs_broker());
        CHECK(several.process_user() == "nobody");
    }
    CHECK(files.read("default_internal_user = nosuchuser\n").process_user().empty());
}

TEST_CASE("every default of the tables is what the settings begin with") {
    Settings fresh;
    OwnSettings own;
    for (auto const& row : dovecot_table().rows())
        if (row.apply != nullptr && !row.default_text.empty()) CHECK(row.apply(fresh, row.default_text));
    for (auto const& row : own_table().rows())
        if (row.apply != nullptr && !row.default_text.empty()) CHECK(row.apply(own, row.default_text));
    CHECK(fresh.base_dir == Settings().base_dir);
    CHECK(fresh.session.greeting == SessionSettings().greeting);
    CHECK(fresh.session.spool.directory == SpoolLimits().directory);
    CHECK(fresh.mail.first_valid_uid == MailSettings().first_valid_uid);
    CHECK(own.idle_timeout == OwnSettings().idle_timeout);
    CHECK(own.max_connections == OwnSettings().max_connections);
    CHECK(own.spool_memory == OwnSettings().spool_memory);
    CHECK(own.spool_memory == SpoolLimits().memory);
}

TEST_CASE("sample and manual pages name every setting with its default") {
    auto const* source = std::getenv("POSTERN_SOURCE");
    REQUIRE(source != nullptr);
    auto const read = [&](std::string const& name) {
        auto text = config::read_file(std::string(source) + "/lmtp-deliver/" + name);
        REQUIRE(text);
        return *text;
    };
    auto const wanted =
        config::defaults_text(config::default_rows(own_table()), config::FileStyle::assignments);
    CHECK(read("lmtp-deliver.conf.sample").contains(trim(wanted)));
    auto const file_page = read("lmtp-deliver.conf.5.scd");
    for (auto const& row : own_table().rows()) {
        INFO(row.name);
        CHECK(file_page.contains(fmt::format("\n*{}* (default: {})\n", row.name,
                                             row.default_text.empty() ? "empty" : row.default_text)));
    }
    auto const program_page = read("lmtp-deliver.8.scd");
    for (auto const& row : dovecot_table().rows()) {
        INFO(row.name);
        CHECK(program_page.contains(fmt::format("*{}*", row.name)));
    }
}
