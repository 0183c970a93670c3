// System calls and the steps made of them.
#include "lmtp-deliver/maildir/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace postern::lmtp_deliver {

int Files::open(std::string const& path, int flags, mode_t mode) {
    return ::open(path.c_str(), flags | O_CLOEXEC, mode);
}
ssize_t Files::write(int fd, std::string_view octets) { return ::write(fd, octets.data(), octets.size()); }
int Files::fsync(int fd) { return ::fsync(fd); }
int Files::close(int fd) { return ::close(fd); }
int Files::rename(std::string const& from, std::string const& to) {
    return ::rename(from.c_str(), to.c_str());
}
int Files::link(int fd, std::string const& to) {
    return ::linkat(AT_FDCWD, fmt::format("/proc/self/fd/{}", fd).c_str(), AT_FDCWD, to.c_str(),
                    AT_SYMLINK_FOLLOW);
}
int Files::unlink(std::string const& path) { return ::unlink(path.c_str()); }
int Files::mkdir(std::string const& path, mode_t mode) { return ::mkdir(path.c_str(), mode); }
int Files::chmod(std::string const& path, mode_t mode) { return ::chmod(path.c_str(), mode); }
int Files::chgrp(std::string const& path, gid_t gid) {
    return ::lchown(path.c_str(), static_cast<uid_t>(-1), gid);
}

Result<> Files::write_all(int fd, std::string_view octets, std::string const& path) {
    while (!octets.empty()) {
        auto const count = write(fd, octets);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return system_error("write " + path, errno);
        octets.remove_prefix(static_cast<std::size_t>(count));
    }
    return {};
}

Result<> Files::sync(int fd, std::string const& path) {
    if (fsync(fd) != 0) return system_error("fsync " + path, errno);
    return {};
}

Result<> Files::sync_directory(std::string const& path) {
    net::Descriptor const directory(open(path, O_RDONLY | O_DIRECTORY, 0));
    if (!directory) return system_error("open " + path, errno);
    return sync(directory.get(), path);
}

Result<> Files::close_file(net::Descriptor file, std::string const& path) {
    if (close(file.release()) != 0) return system_error("close " + path, errno);
    return {};
}

Result<Permissions> Permissions::of(std::string const& directory) {
    struct stat found{};
    if (::stat(directory.c_str(), &found) != 0) return system_error("stat " + directory, errno);
    Permissions out;
    out.file = (found.st_mode & 0666) | 0600;
    out.directory = (found.st_mode & 0777) | 0700;
    if ((found.st_mode & S_ISGID) != 0) {
        out.directory |= S_ISGID; // the kernel hands the group on
        return out;
    }
    bool const group_is_as_world = (found.st_mode & 0070) >> 3 == (found.st_mode & 0007);
    if (!group_is_as_world && found.st_gid != ::getegid()) out.gid = found.st_gid;
    return out;
}

Result<bool> is_directory(std::string const& path) {
    struct stat found{};
    if (::stat(path.c_str(), &found) != 0) {
        if (errno == ENOENT) return false;
        return system_error("stat " + path, errno);
    }
    if (!S_ISDIR(found.st_mode)) return temporary(path + " is not a directory");
    return true;
}

namespace {

std::string parent_of(std::string const& path) {
    auto const slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

} // namespace

Result<> make_directory(Files& files, std::string const& path, Permissions const& permissions) {
    if (files.mkdir(path, 0700) != 0) {
        if (errno == EEXIST) return {};
        return system_error("mkdir " + path, errno);
    }
    auto mode = permissions.directory;
    if (permissions.gid != static_cast<gid_t>(-1) && files.chgrp(path, permissions.gid) != 0)
        mode &= ~mode_t{070}; // not ours to give: then the group gets nothing
    if (mode != 0700 && files.chmod(path, mode) != 0) return system_error("chmod " + path, errno);
    return files.sync_directory(parent_of(path));
}

Result<> make_directory_tree(Files& files, std::string const& path) {
    auto const there = is_directory(path);
    if (!there) return std::unexpected(there.error());
    if (*there) return {};
    auto const parent = parent_of(path);
    if (auto done = make_directory_tree(files, parent); !done) return done;
    struct stat found{};
    if (::stat(parent.c_str(), &found) != 0) return system_error("stat " + parent, errno);
    Permissions permissions;
    if ((found.st_mode & S_ISGID) != 0) permissions.directory = (found.st_mode & 0777) | 0700 | S_ISGID;
    return make_directory(files, path, permissions);
}

} // namespace postern::lmtp_deliver
