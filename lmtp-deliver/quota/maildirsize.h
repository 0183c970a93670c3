// The maildirsize file of Maildir++ quota: limits, then lines of "octets count" that add up to the usage.
#pragma once

#include "lmtp-deliver/maildir/files.h"
#include "lmtp-deliver/maildir/location.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace postern::lmtp_deliver {

struct QuotaLimits {
    std::int64_t bytes = 0; // 0: none
    std::int64_t count = 0;

    bool operator==(QuotaLimits const&) const = default;
};
struct QuotaUsage {
    std::int64_t bytes = 0;
    std::int64_t count = 0;

    bool operator==(QuotaUsage const&) const = default;
};

// A file longer than this is made anew (Maildir++ says so).
inline constexpr std::size_t max_maildirsize = 5120;
// An over-quota sum older than this is not believed.
inline constexpr std::int64_t maildirsize_stale_seconds = 15 * 60;

// The text of a file. Absent: not a maildirsize file, or sums below zero.
struct MaildirsizeText {
    QuotaLimits limits;
    QuotaUsage usage;
    std::size_t lines = 0; // after the first
};
std::optional<MaildirsizeText> parse_maildirsize(std::string_view text);
// "1073741824S,1000C"; "0S" when there is no limit.
std::string limits_line(QuotaLimits limits);

class Maildirsize {
  public:
    // ignored: folders (below the root, "" is INBOX) that do not count. now: seconds, for the age of the
    // file.
    Maildirsize(Files& files, MailLocation const& location, std::function<bool(std::string const&)> ignored,
                std::function<std::int64_t()> now);

    // limits: as configured; absent: the file's own count, and without a file there is no quota. The usage
    // from the file, or counted anew when the file is not to be believed.
    struct State {
        QuotaLimits limits;
        QuotaUsage usage;
        bool tracked = true; // false: no limits anywhere, nothing is kept
    };
    Result<State> read(std::optional<QuotaLimits> configured, Permissions const& permissions);
    // After a message was stored. A file that cannot be written is removed, so that it is counted anew.
    void add(QuotaUsage change, QuotaLimits limits, Permissions const& permissions);

  private:
    struct File {
        std::string text;
        std::int64_t modified = 0;
        bool too_long = false;
    };
    Result<std::optional<File>> read_file() const;
    bool believable(File const& file, MaildirsizeText const& sum) const;
    Result<QuotaUsage> count(QuotaLimits limits, Permissions const& permissions);
    Result<> write(QuotaLimits limits, QuotaUsage usage, Permissions const& permissions);

    Files& files_;
    MailLocation const& location_;
    std::function<bool(std::string const&)> ignored_;
    std::function<std::int64_t()> now_;
    std::string path_;
};

} // namespace postern::lmtp_deliver
