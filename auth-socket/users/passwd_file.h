// passdb and userdb passwd-file: users in a file like passwd(5).
#pragma once

#include "auth-socket/users/database.h"
#include "common/base/error.h"
#include "common/base/log.h"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/stat.h>

namespace postern::auth_socket {

// What a passwd-file is asked for, and how. args are "scheme=X username_format=%u /path".
struct PasswdFileSettings {
    std::string scheme = "CRYPT", username_format = "%u", path; // the last two with variables
    bool has_userdb = false; // a userdb reads the same file: whose ids are none is not in it at all
    Log* log = nullptr;      // what is wrong with the file's lines, each time it is read
};
PasswdFileSettings passwd_file_settings(std::string_view arguments);

// user:password:uid:gid:gecos:home:shell:extra fields. Read again when it changes. Extra fields may have
// variables.
class PasswdFile final : public Passdb, public Userdb {
  public:
    static Result<std::shared_ptr<PasswdFile const>> make(PasswdFileSettings settings);
    std::string default_scheme() const override { return settings_.scheme; }
    Result<std::vector<Fields>> lookup(Request const& request) const override;
    AtHand at_hand(Request const& request) const override;
    Result<std::optional<Fields>> lookup_after(Outcome const* login, Request const& request) const override;
    Result<bool> list(std::function<void(std::string_view)> const& each) const override;

  private:
    struct Entry {
        std::optional<std::string> password;
        Fields user; // uid, gid, home
        Fields extra;
        bool is_user = true;                             // enough columns for a userdb
        std::shared_ptr<std::vector<Fields> const> rows; // null where extra has variables
    };
    using Entries = std::map<std::string, Entry, std::less<>>;
    struct Contents {
        struct timespec modified {};
        off_t size = -1;
        ino_t inode = 0;
        std::shared_ptr<Entries const> entries;
    };
    explicit PasswdFile(PasswdFileSettings settings) : settings_(std::move(settings)) {}
    Result<std::shared_ptr<Entries const>> entries(std::string const& path) const;
    std::shared_ptr<Entries const> kept(std::string const& path, struct stat const& now) const;
    Result<std::optional<std::string>> path_of(Request const& request) const;
    bool has_variables() const { return settings_.path.contains('%'); }
    struct Found {
        std::shared_ptr<Entries const> entries; // holds the entry
        Entry const* entry = nullptr;           // null: there is none
    };
    Result<Found> find(Request const& request) const;
    using Rows = std::shared_ptr<std::vector<Fields> const>;
    Result<Rows> rows(Entry const& entry, Request const& request) const;
    static Entry read_entry(std::vector<std::string_view> const& columns);
    Entries read(std::string_view text, std::string const& path) const;
    bool accepts(Entries const& others, std::vector<std::string_view> const& columns,
                 std::string const& path) const;
    void complain(std::string const& path, std::string_view user, std::string_view text) const;

    PasswdFileSettings const settings_;
    mutable std::mutex reading_;                       // held while a file is read, and never with at_hand()
    mutable std::mutex mutex_;                         // guards contents_
    mutable std::map<std::string, Contents> contents_; // by path; %d in it makes several
};

} // namespace postern::auth_socket
