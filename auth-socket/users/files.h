// Users outside databases: fixed ones, passwd-like files, the system's own.
#pragma once

#include "auth-socket/users/database.h"
#include "common/base/error.h"

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <sys/stat.h>

namespace postern::auth_socket {

// "uid=vmail gid=vmail home=/var/mail/%d/%n": blanks separate, values may be quoted.
Fields argument_fields(std::string_view arguments);

// passdb static and userdb static: the same for everybody. A userdb's allow_all_users is not needed: the
// deliveries ask, and every user exists.
class StaticUsers final : public Passdb, public Userdb {
  public:
    static Result<std::shared_ptr<StaticUsers const>> make(std::string_view arguments);
    Result<std::vector<Fields>> lookup(Request const& request) const override;
    Result<std::optional<Fields>> lookup_after(Outcome const* login, Request const& request) const override;

  private:
    explicit StaticUsers(Fields templates) : templates_(std::move(templates)) {}
    Fields const templates_;
};

// userdb prefetch: what the password query gave as userdb_*.
class PrefetchUsers final : public Userdb {
  public:
    Result<std::optional<Fields>> lookup_after(Outcome const* login, Request const& request) const override;
};

// user:password:uid:gid:gecos:home:shell:extra fields. Read again when it changes; args are "scheme=X
// username_format=%u /path", the path with variables. Extra fields may have variables, too.
class PasswdFile final : public Passdb, public Userdb {
  public:
    static Result<std::shared_ptr<PasswdFile const>> make(std::string_view arguments);
    static Result<std::shared_ptr<PasswdFile const>> make(std::string scheme, std::string format,
                                                          std::string path);
    std::string default_scheme() const override { return scheme_; }
    Result<std::vector<Fields>> lookup(Request const& request) const override;
    std::optional<std::vector<Fields>> at_hand(Request const& request) const override;
    Result<std::optional<Fields>> lookup_after(Outcome const* login, Request const& request) const override;
    Result<bool> list(std::function<void(std::string_view)> const& each) const override;

  private:
    struct Entry {
        std::optional<std::string> password;
        Fields user; // uid, gid, home
        Fields extra;
    };
    using Entries = std::map<std::string, Entry, std::less<>>;
    struct Contents {
        struct timespec modified{};
        off_t size = -1;
        ino_t inode = 0;
        std::shared_ptr<Entries const> entries;
    };
    PasswdFile(std::string scheme, std::string format, std::string path)
        : scheme_(std::move(scheme)), format_(std::move(format)), path_(std::move(path)) {}
    Result<std::shared_ptr<Entries const>> entries(std::string const& path) const;
    std::shared_ptr<Entries const> kept(std::string const& path, struct stat const& now) const;
    Result<std::string> path_of(Request const& request) const;
    Result<std::vector<Fields>> rows(Entries const& all, Request const& request) const;
    static Entries read(std::string_view text);
    static Entry read_entry(std::vector<std::string_view> const& columns);

    std::string const scheme_, format_, path_;
    mutable std::mutex reading_;                       // held while a file is read, and never with at_hand()
    mutable std::mutex mutex_;                         // guards contents_
    mutable std::map<std::string, Contents> contents_; // by path; %d in it makes several
};

// userdb passwd: the system's accounts, through NSS.
class SystemUsers final : public Userdb {
  public:
    Result<std::optional<Fields>> lookup_after(Outcome const* login, Request const& request) const override;
    Result<bool> list(std::function<void(std::string_view)> const& each) const override;
};

} // namespace postern::auth_socket
