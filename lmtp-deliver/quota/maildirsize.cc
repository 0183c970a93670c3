// Keeps the maildirsize file.
#include "lmtp-deliver/quota/maildirsize.h"

#include "common/base/text.h"
#include "lmtp-deliver/maildir/folder.h"
#include "lmtp-deliver/quota/count.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <limits>

namespace postern::lmtp_deliver {

namespace {

// "1000S" or "20C"; anything else leaves the limits alone, as Dovecot reads it.
void take_limit(std::string_view text, QuotaLimits& limits) {
    if (text.empty()) return;
    auto value = parse_number<std::uint64_t>(text.substr(0, text.size() - 1));
    if (!value) return;
    auto const limit =
        static_cast<std::int64_t>(std::min<std::uint64_t>(*value, std::numeric_limits<std::int64_t>::max()));
    if (text.back() == 'S') limits.bytes = limit;
    if (text.back() == 'C') limits.count = limit;
}

bool take_line(std::string_view line, QuotaUsage& usage) {
    auto const words = split_words(line, " ");
    if (words.size() != 2) return false;
    auto const bytes = parse_number<std::int64_t>(words[0]);
    auto const count = parse_number<std::int32_t>(words[1]);
    return bytes && count && !__builtin_add_overflow(usage.bytes, *bytes, &usage.bytes) &&
           !__builtin_add_overflow(usage.count, std::int64_t{*count}, &usage.count);
}

} // namespace

std::optional<MaildirsizeText> parse_maildirsize(std::string_view text) {
    // A last line without its end is still being written.
    auto const end = text.rfind('\n');
    if (end == std::string_view::npos || text.contains('\0')) return std::nullopt;
    auto const lines = split(text.substr(0, end), '\n');
    MaildirsizeText out;
    for (auto const limit : split(lines.front(), ',')) take_limit(limit, out.limits);
    for (std::size_t i = 1; i < lines.size(); ++i)
        if (!take_line(lines[i], out.usage)) return std::nullopt;
    if (out.usage.bytes < 0 || out.usage.count < 0) return std::nullopt;
    out.lines = lines.size() - 1;
    return out;
}

std::string limits_line(QuotaLimits limits) {
    if (limits.count == 0) return fmt::format("{}S", limits.bytes);
    if (limits.bytes == 0) return fmt::format("{}C", limits.count);
    return fmt::format("{}S,{}C", limits.bytes, limits.count);
}

Maildirsize::Maildirsize(Files& files, MailLocation const& location,
                         std::function<bool(std::string const&)> ignored, std::function<std::int64_t()> now)
    : files_(files), location_(location), ignored_(std::move(ignored)), now_(std::move(now)),
      path_(location.control + "/maildirsize") {}

Result<std::optional<Maildirsize::File>> Maildirsize::read_file() const {
    // The file is the user's own: a FIFO in its place would keep the delivery waiting.
    net::Descriptor const fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd && errno == ENOENT) return std::nullopt;
    if (!fd) return system_error("open " + path_, errno);
    struct stat info{};
    if (::fstat(fd.get(), &info) != 0) return system_error("stat " + path_, errno);
    if (!S_ISREG(info.st_mode)) return temporary(path_ + " is not a regular file");
    File file{std::string(max_maildirsize + 1, '\0'), info.st_mtim.tv_sec, false};
    std::size_t size = 0;
    while (size < file.text.size()) {
        auto const count = ::read(fd.get(), file.text.data() + size, file.text.size() - size);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return system_error("read " + path_, errno);
        if (count == 0) break;
        size += static_cast<std::size_t>(count);
    }
    file.too_long = size > max_maildirsize;
    file.text.resize(std::min(size, max_maildirsize));
    return file;
}

bool Maildirsize::believable(File const& file, MaildirsizeText const& sum) const {
    if (file.too_long || sum.lines == 0) return false;
    bool const over = (sum.limits.bytes != 0 && sum.usage.bytes > sum.limits.bytes) ||
                      (sum.limits.count != 0 && sum.usage.count > sum.limits.count);
    // Mail may have been deleted without telling: before anybody is refused, look again.
    return !over || (sum.lines == 1 && file.modified >= now_() - maildirsize_stale_seconds);
}

Result<Maildirsize::State> Maildirsize::read(std::optional<QuotaLimits> configured,
                                             Permissions const& permissions) {
    auto const file = read_file();
    if (!file) return std::unexpected(file.error());
    auto const sum = *file ? parse_maildirsize((*file)->text) : std::nullopt;
    State state;
    state.limits = configured ? *configured : sum ? sum->limits : QuotaLimits{};
    if (sum && sum->limits == state.limits && believable(**file, *sum)) {
        state.usage = sum->usage;
        return state;
    }
    if (!configured && state.limits == QuotaLimits{}) {
        state.tracked = false;
        return state;
    }
    auto const usage = count(state.limits, permissions);
    if (!usage) return std::unexpected(usage.error());
    state.usage = *usage;
    return state;
}

Result<QuotaUsage> Maildirsize::count(QuotaLimits limits, Permissions const& permissions) {
    auto const counted = count_folders(location_, ignored_);
    if (!counted) return std::unexpected(counted.error());
    // A change in between may or may not be in the sum: the number serves now, and is not kept.
    auto const changed = changed_since(location_, ignored_, counted->latest_change);
    if (!changed || *changed || !write(limits, counted->usage, permissions)) files_.unlink(path_);
    return counted->usage;
}

Result<> Maildirsize::write(QuotaLimits limits, QuotaUsage usage, Permissions const& permissions) {
    auto const temporary_path = fmt::format("{}.{}.{}", path_, ::getpid(), ::gettid());
    net::Descriptor file(files_.open(temporary_path, O_WRONLY | O_CREAT | O_TRUNC, 0600));
    if (!file) return system_error("open " + temporary_path, errno);
    Result<> done = files_.write_all(
        file.get(), fmt::format("{}\n{} {}\n", limits_line(limits), usage.bytes, usage.count),
        temporary_path);
    if (permissions.gid != static_cast<gid_t>(-1)) files_.chgrp(temporary_path, permissions.gid);
    if (done && permissions.file != 0600 && files_.chmod(temporary_path, permissions.file) != 0)
        done = system_error("chmod " + temporary_path, errno);
    if (done && files_.rename(temporary_path, path_) != 0)
        done = system_error("rename " + temporary_path, errno);
    if (!done) files_.unlink(temporary_path);
    return done;
}

void Maildirsize::add(QuotaUsage change, QuotaLimits limits, Permissions const& permissions) {
    net::Descriptor file(files_.open(path_, O_WRONLY | O_APPEND | O_NONBLOCK, 0));
    if (!file) {
        if (errno == ENOENT) static_cast<void>(count(limits, permissions)); // the new message is in it
        return;
    }
    auto const line = fmt::format("{} {}\n", change.bytes, change.count);
    // One write(2): lines of several processes do not mix.
    if (files_.write(file.get(), line) != static_cast<ssize_t>(line.size())) files_.unlink(path_);
}

} // namespace postern::lmtp_deliver
