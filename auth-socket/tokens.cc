// Tokens for Dovecot's own processes, and the secret behind them.
#include "auth-socket/tokens.h"

#include "auth-socket/schemes/kinds.h"
#include "common/base/encoding.h"
#include "common/net/descriptor.h"

#include <array>
#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace postern::auth_socket {

namespace {

// Empty: not there, or not to be trusted.
std::string read_secret(std::string const& path) {
    net::Descriptor const fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    struct stat status{};
    if (!fd || ::fstat(fd.get(), &status) != 0) return {};
    auto const trusted = S_ISREG(status.st_mode) && (status.st_mode & 07777) == 0600 &&
                         status.st_uid == geteuid() && status.st_nlink == 1 &&
                         status.st_size == static_cast<off_t>(token_secret_size);
    std::string secret(token_secret_size, '\0');
    if (!trusted || ::read(fd.get(), secret.data(), secret.size()) != static_cast<ssize_t>(secret.size()))
        return {};
    return secret;
}

Result<> write_secret(std::string const& path, std::string_view secret) {
    auto const made = path + ".tmp";
    ::unlink(made.c_str());
    net::Descriptor fd(::open(made.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd) return system_error(made, errno, ErrorKind::permanent);
    if (::write(fd.get(), secret.data(), secret.size()) != static_cast<ssize_t>(secret.size()))
        return system_error(made, errno, ErrorKind::permanent);
    fd.reset();
    if (::rename(made.c_str(), path.c_str()) != 0) return system_error(path, errno, ErrorKind::permanent);
    return {};
}

} // namespace

Tokens::Tokens() : secret_(random_octets(token_secret_size)) {}

Result<Tokens> Tokens::kept_in(std::string const& path) {
    if (auto secret = read_secret(path); !secret.empty()) return Tokens(std::move(secret));
    auto fresh = random_octets(token_secret_size);
    if (auto written = write_secret(path, fresh); !written) return std::unexpected(written.error());
    return Tokens(std::move(fresh));
}

std::string Tokens::make(TokenClaim const& claim) const {
    std::string text;
    for (auto const part : {claim.session_pid, claim.session, claim.service}) text += part;
    text += secret_.reveal();
    auto token = hex_encode(kinds::hmac("SHA1", claim.user, text));
    wipe(text);
    return token;
}

bool Tokens::fits(TokenClaim const& claim, std::string_view token) const {
    return equal_in_constant_time(make(claim), token);
}

} // namespace postern::auth_socket
