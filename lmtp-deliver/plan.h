// One copy's delivery, decided to the last path: what another process needs to carry it out.
#pragma once

#include "lmtp-deliver/maildir/location.h"

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace postern::lmtp_deliver {

// When files and directories are forced to the disk (mail_fsync).
enum class Fsync { never, optimized, always };

struct FolderPlan {
    std::string folder;       // below the root; empty for INBOX
    std::string name;         // as people write it, for the log
    std::string subscription; // its line in the subscriptions file
    bool create = false;      // lda_mailbox_autocreate, or auto= of the mailbox
    bool subscribe = false;
};

struct QuotaPlan {
    bool active = false;         // a maildir quota root is configured
    bool forced = false;         // the limits below count; else those in the maildirsize file do
    std::int64_t root_bytes = 0; // limits of the whole, as the file's first line has them; 0: none
    std::int64_t root_count = 0;
    std::int64_t folder_bytes = 0; // what the folder's own rules add to them
    std::int64_t folder_count = 0;
    std::int64_t grace = 0;                   // octets that the last mail may pass the limit by
    bool folder_ignored = false;              // the folder neither counts nor is checked
    bool enforced = true;                     // false with noenforcing: counted only
    std::vector<std::string> ignored_folders; // masks of folder names on disk that do not count
    std::string exceeded = "Quota exceeded (mailbox for user is full)";
    bool full_is_temporary = false; // quota_full_tempfail
};

struct Plan {
    std::string user;
    std::string session_id;
    uid_t uid = 0;
    gid_t gid = 0;
    MailLocation location;
    FolderPlan folder;
    Fsync fsync = Fsync::optimized;
    QuotaPlan quota; // for folder; a fall-back to INBOX uses inbox_quota
    QuotaPlan inbox_quota;
};

} // namespace postern::lmtp_deliver
