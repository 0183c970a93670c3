// Makes folders and subscribes to them.
#include "lmtp-deliver/maildir/folder.h"

#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/config/settings.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace postern::lmtp_deliver {

namespace {

Result<> make_subdirectories(Files& files, std::string const& path, Permissions const& permissions) {
    for (auto const* name : {"/cur", "/new", "/tmp"})
        if (auto done = make_directory(files, path + name, permissions); !done) return done;
    return {};
}

Result<> write_file(Files& files, std::string const& path, std::string_view text,
                    Permissions const& permissions) {
    net::Descriptor file(files.open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600));
    if (!file) return system_error("open " + path, errno);
    if (permissions.file != 0600 && files.chmod(path, permissions.file) != 0)
        return system_error("chmod " + path, errno);
    if (auto done = files.write_all(file.get(), text, path); !done) return done;
    if (auto done = files.sync(file.get(), path); !done) return done;
    return files.close_file(std::move(file), path);
}

bool has_line(std::string_view text, std::string_view wanted) {
    for (auto const line : split(text, '\n'))
        if (line == wanted) return true;
    return false;
}

// Dovecot's own lock, which is also the new file: two writers do not lose each other's line.
Result<> take_lock(Files& files, std::string const& lock) {
    constexpr std::int64_t stale_seconds = 120;
    net::Descriptor file(files.open(lock, O_WRONLY | O_CREAT | O_EXCL, 0600));
    struct stat info{};
    if (!file && errno == EEXIST && ::stat(lock.c_str(), &info) == 0 &&
        info.st_mtim.tv_sec < unix_time() - stale_seconds) {
        files.unlink(lock);
        file.reset(files.open(lock, O_WRONLY | O_CREAT | O_EXCL, 0600));
    }
    if (!file) return system_error("lock " + lock, errno);
    return {};
}

// The file's new text; empty when the line is there already.
Result<std::string> with_subscription(std::string const& path, Layout layout,
                                      std::string const& subscription) {
    std::string text;
    if (::access(path.c_str(), F_OK) == 0) {
        auto old = config::read_file(path);
        if (!old) return old;
        text = std::move(*old);
    }
    if (text.empty()) text = "V\t2\n\n";
    auto const old_separator = layout == Layout::fs ? "/" : ".";
    auto const line =
        text.starts_with("V\t2\n") ? subscription : replace_all(subscription, "\t", old_separator);
    if (has_line(text, line)) return std::string();
    if (!text.ends_with('\n')) text += '\n';
    return text + line + '\n';
}

} // namespace

std::string folder_path(MailLocation const& location, std::string_view folder) {
    return folder.empty() ? location.inbox : location.root + '/' + std::string(folder);
}

Result<Permissions> ensure_inbox(Files& files, MailLocation const& location) {
    if (auto done = make_directory_tree(files, location.root); !done) return std::unexpected(done.error());
    auto const permissions = Permissions::of(location.root);
    if (!permissions) return permissions;
    for (auto const& path : {location.inbox, location.control})
        if (auto done = make_directory_tree(files, path); !done) return std::unexpected(done.error());
    if (auto done = make_subdirectories(files, location.inbox, *permissions); !done)
        return std::unexpected(done.error());
    return permissions;
}

Result<> make_folder(Files& files, MailLocation const& location, std::string_view folder,
                     Permissions const& permissions) {
    // With LAYOUT=fs the parents are plain directories.
    for (auto slash = folder.find('/'); slash != std::string_view::npos; slash = folder.find('/', slash + 1))
        if (auto done = make_directory(files, folder_path(location, folder.substr(0, slash)), permissions);
            !done)
            return done;
    auto const path = folder_path(location, folder);
    if (auto done = make_directory(files, path, permissions); !done) return done;
    if (auto done = make_subdirectories(files, path, permissions); !done) return done;
    if (location.layout == Layout::fs) return {};
    return write_file(files, path + "/maildirfolder", "", permissions);
}

Result<> subscribe(Files& files, MailLocation const& location, std::string const& subscription,
                   Permissions const& permissions) {
    auto const path = location.control + '/' + location.subscriptions;
    auto const lock = path + ".lock";
    if (auto done = take_lock(files, lock); !done) return done;
    auto text = with_subscription(path, location.layout, subscription);
    Result<> done;
    if (!text)
        done = std::unexpected(text.error());
    else if (text->empty())
        files.unlink(lock); // it is there already
    else if (done = write_file(files, lock, *text, permissions); done && files.rename(lock, path) != 0)
        done = system_error("rename " + lock, errno);
    if (!done) files.unlink(lock);
    return done;
}

} // namespace postern::lmtp_deliver
