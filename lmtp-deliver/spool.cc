// Holds a message until it is delivered.
#include "lmtp-deliver/spool.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

namespace postern::lmtp_deliver {

namespace {

// A file that goes with its last descriptor. Not every file system knows O_TMPFILE.
Result<net::Descriptor> nameless_file(std::string const& directory) {
    net::Descriptor file(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (file) return file;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)
        return system_error("making a spool file in " + directory, errno);
    std::string name = directory + "/lmtp-deliver.XXXXXX";
    file.reset(::mkostemp(name.data(), O_CLOEXEC));
    if (!file) return system_error("making a spool file in " + directory, errno);
    ::unlink(name.c_str());
    return file;
}

} // namespace

Spool Spool::of_file(net::Descriptor file, MessageSize size) {
    Spool spool;
    spool.file_ = std::move(file);
    spool.size_ = size;
    return spool;
}

Result<> Spool::append(std::string_view octets) {
    if (broken_) return temporary("the message could not be spooled");
    if (in_memory() && memory_.size() + octets.size() > limits_.memory)
        if (auto done = to_file(); !done) {
            broken_ = true;
            return done;
        }
    if (in_memory()) {
        memory_ += octets;
    } else if (auto done = write_file(octets); !done) {
        broken_ = true;
        return done;
    }
    size_.octets += octets.size();
    size_.virtual_octets += octets.size();
    for (char const c : octets) {
        if (c == '\n' && last_ != '\r') ++size_.virtual_octets;
        last_ = c;
    }
    return {};
}

Result<> Spool::to_file() {
    auto file = nameless_file(limits_.directory);
    if (!file) return std::unexpected(file.error());
    file_ = std::move(*file);
    auto done = write_file(memory_);
    memory_ = {};
    return done;
}

Result<> Spool::write_file(std::string_view octets) {
    while (!octets.empty()) {
        auto const count = ::write(file_.get(), octets.data(), octets.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return system_error("spooling a message in " + limits_.directory, errno);
        octets.remove_prefix(static_cast<std::size_t>(count));
    }
    return {};
}

Result<std::size_t> Spool::read_at(std::uint64_t offset, char* buffer, std::size_t size) const {
    while (true) {
        auto const count = ::pread(file_.get(), buffer, size, static_cast<off_t>(offset));
        if (count > 0) return static_cast<std::size_t>(count);
        if (count == 0) return temporary("the spool file is shorter than it was");
        if (errno != EINTR) return system_error("reading the spool file", errno);
    }
}

std::string Spool::beginning(std::size_t limit) const {
    if (in_memory()) return memory_.substr(0, limit);
    std::string out(static_cast<std::size_t>(std::min<std::uint64_t>(limit, size_.octets)), '\0');
    auto const count = read_at(0, out.data(), out.size());
    out.resize(count ? *count : 0);
    return out;
}

Result<int> Spool::as_file() {
    if (broken_) return temporary("the message could not be spooled");
    if (in_memory()) {
        net::Descriptor file(::memfd_create("message", MFD_CLOEXEC));
        if (!file) return system_error("memfd_create", errno);
        file_ = std::move(file);
        if (auto done = write_file(memory_); !done) {
            broken_ = true;
            return std::unexpected(done.error());
        }
        memory_ = {};
    }
    return file_.get();
}

} // namespace postern::lmtp_deliver
