// Adds up folders.
#include "lmtp-deliver/quota/count.h"

#include "common/base/text.h"
#include "lmtp-deliver/maildir/folder.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>

namespace postern::lmtp_deliver {

namespace {

struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

bool went_away(int error) { return error == ENOENT || error == ENOTDIR || error == ESTALE; }

// The names in a directory; none when it is not there.
Result<std::vector<std::string>> entries(std::string const& path) {
    std::vector<std::string> names;
    Directory const directory(::opendir(path.c_str()));
    if (!directory) {
        if (went_away(errno)) return names;
        return system_error("opendir " + path, errno);
    }
    errno = 0;
    while (auto const* entry = ::readdir(directory.get())) {
        names.emplace_back(entry->d_name);
        errno = 0;
    }
    if (errno != 0) return system_error("readdir " + path, errno);
    return names;
}

bool is_reserved(std::string_view name) { return name == "cur" || name == "new" || name == "tmp"; }

bool is_folder(std::string const& path) {
    struct stat info{};
    return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

// LAYOUT=fs: directories in directories. Links are followed as Dovecot does, so a user can build a circle: it
// ends here.
constexpr std::ptrdiff_t max_depth = 32;
constexpr std::size_t max_folders = 20000;

Result<> add_tree(std::string const& root, std::string const& below, std::vector<std::string>& folders) {
    if (std::ranges::count(below, '/') >= max_depth || folders.size() > max_folders)
        return temporary(root + ": folders nested too deep, or too many; is there a circle of links?");
    auto const names = entries(below.empty() ? root : root + '/' + below);
    if (!names) return std::unexpected(names.error());
    for (auto const& name : *names) {
        auto const folder = below.empty() ? name : below + '/' + name;
        if (name.starts_with('.') || is_reserved(name) || !is_folder(root + '/' + folder)) continue;
        folders.push_back(folder);
        if (auto done = add_tree(root, folder, folders); !done) return done;
    }
    return {};
}

// Absent: not there.
Result<std::optional<std::int64_t>> modified(std::string const& path) {
    struct stat info{};
    if (::stat(path.c_str(), &info) == 0)
        return info.st_mtim.tv_sec * std::int64_t{1000000000} + info.st_mtim.tv_nsec;
    if (went_away(errno)) return std::nullopt;
    return system_error("stat " + path, errno);
}

// Calls visit(path, time of its last change) for new and cur of every folder that counts.
template <class Visit>
Result<> each_directory(MailLocation const& location, Ignored const& ignored, Visit&& visit) {
    auto const folders = all_folders(location);
    if (!folders) return std::unexpected(folders.error());
    for (auto const& folder : *folders) {
        if (ignored(folder)) continue;
        for (auto const* name : {"/new", "/cur"}) {
            auto const path = folder_path(location, folder) + name;
            auto const changed = modified(path);
            if (!changed) return std::unexpected(changed.error());
            if (!*changed) continue;
            if (Result<> done = visit(path, **changed); !done) return done;
        }
    }
    return {};
}

} // namespace

Result<std::vector<std::string>> all_folders(MailLocation const& location) {
    std::vector<std::string> folders{""};
    if (location.layout == Layout::fs) {
        if (auto done = add_tree(location.root, "", folders); !done) return std::unexpected(done.error());
        return folders;
    }
    auto const names = entries(location.root);
    if (!names) return std::unexpected(names.error());
    for (auto const& name : *names)
        if (name.size() > 1 && name.starts_with('.') && name != ".." && is_folder(location.root + '/' + name))
            folders.push_back(name);
    return folders;
}

std::optional<std::int64_t> size_in_name(std::string_view file_name) {
    auto const mark = file_name.find(",S=");
    if (mark == std::string_view::npos) return std::nullopt;
    auto const rest = file_name.substr(mark + 3);
    auto const digits = rest.substr(0, rest.find_first_not_of("0123456789"));
    auto const after = rest.substr(digits.size());
    if (!after.empty() && after[0] != ',' && after[0] != ':') return std::nullopt;
    return parse_number<std::int64_t>(digits);
}

Result<QuotaUsage> sum_of_directory(std::string const& path) {
    QuotaUsage usage;
    auto const names = entries(path);
    if (!names) return std::unexpected(names.error());
    for (auto const& name : *names) {
        if (name.starts_with('.')) continue;
        auto size = size_in_name(name);
        if (!size) {
            struct stat info{};
            if (::stat((path + '/' + name).c_str(), &info) != 0) {
                if (went_away(errno)) continue;
                return system_error("stat " + path + '/' + name, errno);
            }
            size = info.st_size;
        }
        // A stranger's file name may claim anything.
        if (__builtin_add_overflow(usage.bytes, *size, &usage.bytes))
            return temporary("the sizes in " + path + " have no sum");
        ++usage.count;
    }
    return usage;
}

Result<Counted> count_folders(MailLocation const& location, Ignored const& ignored) {
    Counted out;
    auto done =
        each_directory(location, ignored, [&](std::string const& path, std::int64_t changed) -> Result<> {
            out.latest_change = std::max(out.latest_change, changed);
            auto const sum = sum_of_directory(path);
            if (!sum) return std::unexpected(sum.error());
            if (__builtin_add_overflow(out.usage.bytes, sum->bytes, &out.usage.bytes))
                return temporary("the sizes below " + path + " have no sum");
            out.usage.count += sum->count;
            return {};
        });
    if (!done) return std::unexpected(done.error());
    return out;
}

Result<bool> changed_since(MailLocation const& location, Ignored const& ignored, std::int64_t nanoseconds) {
    bool changed = false;
    auto done = each_directory(location, ignored, [&](std::string const&, std::int64_t time) -> Result<> {
        changed = changed || time > nanoseconds;
        return {};
    });
    if (!done) return std::unexpected(done.error());
    return changed;
}

} // namespace postern::lmtp_deliver
