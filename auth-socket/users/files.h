// Users outside databases: fixed ones, prefetched ones, the system's own.
#pragma once

#include "auth-socket/users/database.h"
#include "common/base/error.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace postern::auth_socket {

// "uid=vmail gid=vmail home=/var/mail/%d/%n": blanks separate, values may be quoted.
Fields argument_fields(std::string_view arguments);

// passdb static and userdb static: the same for everybody. Who exists the passdbs must know, but with a
// userdb's allow_all_users.
class StaticUsers final : public Passdb, public Userdb {
  public:
    static Result<std::shared_ptr<StaticUsers const>> make(std::string_view arguments);
    Result<std::vector<Fields>> lookup(Request const& request) const override;
    Result<std::optional<Fields>> lookup_after(Outcome const* login, Request const& request) const override;

    bool needs_passdb() const override;

  private:
    explicit StaticUsers(Fields templates) : templates_(std::move(templates)) {}
    Fields const templates_;
};

// userdb prefetch: what the password query gave as userdb_*.
class PrefetchUsers final : public Userdb {
  public:
    Result<std::optional<Fields>> lookup_after(Outcome const* login, Request const& request) const override;
};

// userdb passwd: the system's accounts, through NSS.
class SystemUsers final : public Userdb {
  public:
    Result<std::optional<Fields>> lookup_after(Outcome const* login, Request const& request) const override;
    Result<bool> list(std::function<void(std::string_view)> const& each) const override;
};

} // namespace postern::auth_socket
