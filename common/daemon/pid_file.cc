// Writing and removing the pid file.
#include "common/daemon/pid_file.h"

#include "common/net/descriptor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace postern::daemon {

Result<> PidFile::write(std::string const& path, std::optional<Identity> const& owner) {
    if (path.empty()) return {};
    net::Descriptor const fd(
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644));
    if (!fd) return system_error(fmt::format("pid file {}", path), errno, ErrorKind::permanent);
    auto const text = fmt::format("{}\n", ::getpid());
    if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        return system_error(fmt::format("pid file {}", path), errno, ErrorKind::permanent);
    if (owner && is_root() && ::fchown(fd.get(), owner->uid, owner->gid) != 0)
        return system_error(fmt::format("pid file {}", path), errno, ErrorKind::permanent);
    path_ = path;
    written_by_ = ::getpid();
    return {};
}

PidFile::~PidFile() {
    if (path_.empty() || written_by_ != ::getpid()) return;
    // In /run the directory belongs to root: then the file stays, empty.
    if (::unlink(path_.c_str()) != 0) [[maybe_unused]]
        auto const emptied = ::truncate(path_.c_str(), 0);
}

} // namespace postern::daemon
