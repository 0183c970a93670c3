// Writes messages.
#include "lmtp-deliver/maildir/store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace postern::lmtp_deliver {

namespace {

// One attempt under one name.
class Copy {
  public:
    Copy(Files& files, std::string const& folder, std::string name)
        : files_(files), folder_(folder), name_(std::move(name)), tmp_(folder_ + "/tmp/" + name_) {}
    // Whatever went wrong, no half message stays behind.
    ~Copy() {
        if (in_tmp_) files_.unlink(tmp_);
    }
    Copy(Copy const&) = delete;
    Copy& operator=(Copy const&) = delete;

    // False: this name is taken.
    Result<bool> open();
    bool link(Stored const& earlier);
    Result<> write(Spool const& message, Permissions const& permissions, Fsync fsync);
    Result<Stored> publish(MessageSize size, Permissions const& permissions, Fsync fsync);

  private:
    Files& files_;
    std::string const& folder_;
    std::string name_;
    std::string tmp_;
    net::Descriptor file_;
    bool in_tmp_ = false;
};

Result<bool> Copy::open() {
    file_.reset(files_.open(tmp_, O_RDWR | O_CREAT | O_EXCL, 0600));
    if (!file_ && errno == EEXIST) return false;
    if (!file_) return system_error("open " + tmp_, errno);
    in_tmp_ = true;
    return true;
}

bool Copy::link(Stored const& earlier) {
    if (files_.link(earlier.file.get(), tmp_) != 0) return false;
    in_tmp_ = true;
    file_.reset(::dup(earlier.file.get()));
    return static_cast<bool>(file_);
}

Result<> Copy::write(Spool const& message, Permissions const& permissions, Fsync fsync) {
    auto mode = permissions.file;
    if (permissions.gid != static_cast<gid_t>(-1) && files_.chgrp(tmp_, permissions.gid) != 0)
        mode &= ~mode_t{070}; // not ours to give: then the group gets nothing
    if (mode != 0600 && files_.chmod(tmp_, mode) != 0) return system_error("chmod " + tmp_, errno);
    auto done =
        message.read([&](std::string_view octets) { return files_.write_all(file_.get(), octets, tmp_); });
    if (!done) return done;
    if (fsync != Fsync::never) done = files_.sync(file_.get(), tmp_);
    return done;
}

Result<Stored> Copy::publish(MessageSize size, Permissions const& permissions, Fsync fsync) {
    auto const path = folder_ + "/new/" + with_sizes(name_, size);
    // Some file systems report a failed write only here; the descriptor for links is another one.
    net::Descriptor kept(::dup(file_.get()));
    if (auto done = files_.close_file(std::move(file_), tmp_); !done) return std::unexpected(done.error());
    if (files_.rename(tmp_, path) != 0) return system_error("rename " + tmp_, errno);
    in_tmp_ = false;
    if (fsync != Fsync::never)
        if (auto done = files_.sync_directory(folder_ + "/new"); !done) {
            files_.unlink(path); // it may not survive a crash, and the client will send it again
            return std::unexpected(done.error());
        }
    return Stored{path, std::move(kept), permissions};
}

} // namespace

Result<Stored> store_message(Files& files, FileNames& names, std::string const& path,
                             Permissions const& permissions, Spool const& message, Fsync fsync,
                             Stored const* earlier) {
    constexpr int attempts = 3;
    for (int i = 0; i < attempts; ++i) {
        Copy copy(files, path, names.next());
        bool const may_link = earlier != nullptr && earlier->file && earlier->permissions == permissions;
        if (!may_link || !copy.link(*earlier)) {
            auto const opened = copy.open();
            if (!opened) return std::unexpected(opened.error());
            if (!*opened) continue;
            if (auto done = copy.write(message, permissions, fsync); !done)
                return std::unexpected(done.error());
        }
        return copy.publish(message.size(), permissions, fsync);
    }
    return temporary("every name tried in " + path + "/tmp is taken");
}

} // namespace postern::lmtp_deliver
