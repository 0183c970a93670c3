// Turns a user and the settings of dovecot.conf into a plan for one copy.
#pragma once

#include "lmtp-deliver/delivery.h"
#include "lmtp-deliver/plan.h"
#include "lmtp-deliver/quota/rules.h"
#include "lmtp-deliver/variables.h"

#include <map>
#include <optional>
#include <string>

namespace postern::lmtp_deliver {

// The namespace with inbox = yes.
struct InboxNamespace {
    std::string prefix;                  // "INBOX." or empty
    std::optional<char> separator;       // absent: as the layout has it
    std::optional<std::string> location; // instead of mail_location
    enum class Auto { no, create, subscribe };
    std::map<std::string, Auto, std::less<>> mailboxes; // without prefix
};

struct MailSettings {
    std::string location; // mail_location
    std::string home;     // mail_home
    std::optional<uid_t> uid;
    std::optional<gid_t> gid;
    uid_t first_valid_uid = 500;
    uid_t last_valid_uid = 0; // 0: no upper limit
    gid_t first_valid_gid = 1;
    gid_t last_valid_gid = 0;
    std::string hostname;
    InboxNamespace inbox;
    Fsync fsync = Fsync::optimized;
    bool autocreate = false;    // lda_mailbox_autocreate
    bool autosubscribe = false; // lda_mailbox_autosubscribe
    bool quota = false;         // mail_plugins names quota
    bool quota_full_tempfail = false;
    bool check_quota_at_rcpt = false; // lmtp_rcpt_check_quota
    PluginSettings plugin;
};

// An error is what the user or the configuration lacks; it is temporary, since both can be mended.
Result<Plan> make_plan(MailSettings const& settings, Destination const& destination);

} // namespace postern::lmtp_deliver
