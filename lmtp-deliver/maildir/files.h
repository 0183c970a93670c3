// The system calls that change a Maildir, in one place so that tests can make each of them fail.
#pragma once

#include "common/base/error.h"
#include "common/net/descriptor.h"

#include <sys/types.h>

#include <string>
#include <string_view>

namespace postern::lmtp_deliver {

class Files {
  public:
    virtual ~Files() = default;
    // As their namesakes: -1 and errno when they fail. open() adds O_CLOEXEC.
    virtual int open(std::string const& path, int flags, mode_t mode);
    virtual ssize_t write(int fd, std::string_view octets);
    virtual int fsync(int fd);
    virtual int close(int fd);
    virtual int rename(std::string const& from, std::string const& to);
    // A second name for an open file, also when its first one has gone elsewhere in between.
    virtual int link(int fd, std::string const& to);
    virtual int unlink(std::string const& path);
    virtual int mkdir(std::string const& path, mode_t mode);
    virtual int chmod(std::string const& path, mode_t mode);
    virtual int chgrp(std::string const& path, gid_t gid);

    // Built from those above.
    Result<> write_all(int fd, std::string_view octets, std::string const& path);
    Result<> sync(int fd, std::string const& path);
    Result<> sync_directory(std::string const& path);
    // Makes the file's last write an error when close(2) says so (NFS, quota).
    Result<> close_file(net::Descriptor file, std::string const& path);
};

// Modes and group of what is made inside a mailbox, inherited from a directory as Dovecot does it.
struct Permissions {
    mode_t file = 0600;
    mode_t directory = 0700;
    gid_t gid = static_cast<gid_t>(-1); // -1: as it comes

    bool operator==(Permissions const&) const = default;
    static Result<Permissions> of(std::string const& directory);
};

// Makes a directory with those permissions; one that is there already is left alone. The parent is synced, so
// that a mail that was accepted into a new folder is not lost with the folder.
Result<> make_directory(Files& files, std::string const& path, Permissions const& permissions);
// The same with every missing parent. Permissions come from the nearest directory that exists when that one
// has the setgid bit, else 0700.
Result<> make_directory_tree(Files& files, std::string const& path);

Result<bool> is_directory(std::string const& path); // false: nothing there

} // namespace postern::lmtp_deliver
