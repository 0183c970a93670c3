// Mailbox names and the directories they live in: modified UTF-7 (RFC 3501 5.1.3), Maildir++ and LAYOUT=fs.
#pragma once

#include "common/base/error.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::lmtp_deliver {

// Absent when the text is not UTF-8.
std::optional<std::string> mutf7_encode(std::string_view utf8);
// Absent when the text is not what mutf7_encode gives for some UTF-8.
std::optional<std::string> mutf7_decode(std::string_view text);

enum class Layout { maildirpp, fs };

struct MailboxName {
    bool is_inbox = false;
    std::string folder;       // below the root: ".Sub.Box" or "Sub/Box"; empty for INBOX
    std::string subscription; // as the subscriptions file has it: "Sub<TAB>Box"
};

// The longest directory name of a file system; also the limit of one part with LAYOUT=fs.
inline constexpr std::size_t max_folder_name = 255;

// name: UTF-8 with the namespace's separator, without its prefix. The error says why Dovecot would refuse it.
Result<MailboxName> read_mailbox_name(std::string_view name, char separator, Layout layout,
                                      bool utf8_on_disk);

} // namespace postern::lmtp_deliver
