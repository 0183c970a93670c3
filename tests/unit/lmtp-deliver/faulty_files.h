// System calls of which one fails, chosen by its number.
#pragma once

#include "lmtp-deliver/maildir/files.h"

#include <cerrno>
#include <string>
#include <vector>

namespace postern::test {

class FaultyFiles final : public lmtp_deliver::Files {
  public:
    using Files = lmtp_deliver::Files;
    int failing_call = 0; // from 1; 0: none
    int error = EIO;
    std::size_t longest_write = std::string::npos;
    int calls = 0;
    std::vector<std::string> done; // "fsync", "rename A B" ... in order

    int open(std::string const& path, int flags, mode_t mode) override {
        return fails("open " + path) ? -1 : Files::open(path, flags, mode);
    }
    ssize_t write(int fd, std::string_view octets) override {
        return fails("write") ? -1 : Files::write(fd, octets.substr(0, longest_write));
    }
    int fsync(int fd) override { return fails("fsync") ? -1 : Files::fsync(fd); }
    int close(int fd) override {
        // close(2) gives up the descriptor also when it fails.
        bool const failed = fails("close");
        int const result = Files::close(fd);
        if (failed) errno = error;
        return failed ? -1 : result;
    }
    int rename(std::string const& from, std::string const& to) override {
        return fails("rename " + from + " " + to) ? -1 : Files::rename(from, to);
    }
    int link(int fd, std::string const& to) override {
        return fails("link " + to) ? -1 : Files::link(fd, to);
    }
    int unlink(std::string const& path) override {
        return fails("unlink " + path) ? -1 : Files::unlink(path);
    }
    int mkdir(std::string const& path, mode_t mode) override {
        return fails("mkdir " + path) ? -1 : Files::mkdir(path, mode);
    }
    int chmod(std::string const& path, mode_t mode) override {
        return fails("chmod " + path) ? -1 : Files::chmod(path, mode);
    }
    int chgrp(std::string const& path, gid_t gid) override {
        return fails("chgrp " + path) ? -1 : Files::chgrp(path, gid);
    }

  private:
    bool fails(std::string what) {
        done.push_back(std::move(what));
        if (++calls != failing_call) return false;
        errno = error;
        return true;
    }
};

} // namespace postern::test
