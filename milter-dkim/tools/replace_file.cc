// Temporary file, fsync, rename, fsync of the directory.
#include "milter-dkim/tools/replace_file.h"

#include "common/net/descriptor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace postern::milter_dkim::tools {

namespace {

Result<> write_all(int fd, std::string_view contents) {
    while (!contents.empty()) {
        auto const written = ::write(fd, contents.data(), contents.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return system_error("write", errno);
        contents.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
}

Result<> fill(int fd, std::string_view contents, FileAccess const& access) {
    struct stat made{};
    if (::fstat(fd, &made) != 0) return system_error("fstat", errno);
    uid_t const owner = access.owner == static_cast<uid_t>(-1) ? made.st_uid : access.owner;
    gid_t const group = access.group == static_cast<gid_t>(-1) ? made.st_gid : access.group;
    // The owner first: chown(2) takes set-id bits away, and nobody else may look before it is theirs.
    if ((owner != made.st_uid || group != made.st_gid) && ::fchown(fd, owner, group) != 0)
        return system_error("fchown", errno, ErrorKind::permanent);
    if (::fchmod(fd, access.mode) != 0) return system_error("fchmod", errno);
    if (auto done = write_all(fd, contents); !done) return done;
    if (::fsync(fd) != 0) return system_error("fsync", errno);
    return {};
}

Result<> sync_directory(std::string const& directory) {
    net::Descriptor const fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || ::fsync(fd.get()) != 0) return system_error(fmt::format("fsync {}", directory), errno);
    return {};
}

} // namespace

Result<std::string> read_text(std::string const& path) {
    constexpr std::size_t largest = std::size_t{64} << 20;
    net::Descriptor const fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return system_error(path, errno, ErrorKind::permanent);
    std::string text;
    std::array<char, 65536> buffer;
    for (;;) {
        auto const size = ::read(fd.get(), buffer.data(), buffer.size());
        if (size < 0) return system_error(path, errno, ErrorKind::permanent);
        if (size == 0) return text;
        text.append(buffer.data(), static_cast<std::size_t>(size));
        if (text.size() > largest) return permanent(path + " has over 64 MiB");
    }
}

Result<FileAccess> access_of(std::string const& path) {
    struct stat found{};
    if (::stat(path.c_str(), &found) != 0) return system_error(path, errno, ErrorKind::permanent);
    return FileAccess{found.st_uid, found.st_gid, found.st_mode & 07777U};
}

Result<> replace_file(std::string const& path, std::string_view contents, FileAccess const& access) {
    std::error_code none;
    auto const resolved = std::filesystem::canonical(path, none);
    std::string const target = none ? path : resolved.string();
    auto const existing = access_of(target);
    auto const slash = target.rfind('/');
    auto const directory = slash == std::string::npos ? std::string(".") : target.substr(0, slash + 1);

    auto name = target + ".XXXXXX";
    net::Descriptor const fd(::mkostemp(name.data(), O_CLOEXEC)); // 0600
    if (!fd) return system_error(fmt::format("create {}", name), errno, ErrorKind::permanent);
    if (auto done = fill(fd.get(), contents, existing ? *existing : access); !done) {
        ::unlink(name.c_str());
        return std::unexpected(std::move(done.error()).within(name));
    }
    if (::rename(name.c_str(), target.c_str()) != 0) {
        auto const error_number = errno;
        ::unlink(name.c_str());
        return system_error(fmt::format("rename {} to {}", name, target), error_number, ErrorKind::permanent);
    }
    return sync_directory(directory);
}

} // namespace postern::milter_dkim::tools
