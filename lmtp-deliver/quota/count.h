// Counting a Maildir: sizes from the names of its files, in every folder that counts.
#pragma once

#include "lmtp-deliver/quota/maildirsize.h"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::lmtp_deliver {

struct Counted {
    QuotaUsage usage;
    std::int64_t latest_change = 0; // of all the directories, in nanoseconds since 1970, taken before reading
};
using Ignored = std::function<bool(std::string const& folder)>;

Result<Counted> count_folders(MailLocation const& location, Ignored const& ignored);
Result<bool> changed_since(MailLocation const& location, Ignored const& ignored, std::int64_t nanoseconds);

// One directory of messages: S= from the names, else the file's size.
Result<QuotaUsage> sum_of_directory(std::string const& path);
// The size in ",S=123" of a file name, followed by ',', ':' or the end.
std::optional<std::int64_t> size_in_name(std::string_view file_name);
// Every folder below the root, "" (INBOX) first.
Result<std::vector<std::string>> all_folders(MailLocation const& location);

} // namespace postern::lmtp_deliver
