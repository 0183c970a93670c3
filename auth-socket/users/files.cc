// Users outside databases.
#include "auth-socket/users/files.h"

#include "auth-socket/users/chain.h"
#include "auth-socket/users/variables.h"
#include "common/base/text.h"

#include <pwd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <sstream>

namespace postern::auth_socket {

Fields argument_fields(std::string_view arguments) {
    Fields fields;
    std::size_t at = 0;
    while (true) {
        while (at < arguments.size() && is_space(arguments[at])) ++at;
        if (at == arguments.size()) return fields;
        std::string word;
        char quote = 0;
        for (; at < arguments.size() && (quote != 0 || !is_space(arguments[at])); ++at) {
            auto const c = arguments[at];
            if (quote == 0 && (c == '"' || c == '\''))
                quote = c;
            else if (c == quote)
                quote = 0;
            else
                word += c;
        }
        auto const [name, value] = halve(word, '=');
        fields.set(name, value ? std::optional(std::string(*value)) : std::nullopt);
    }
}

Result<std::shared_ptr<StaticUsers const>> StaticUsers::make(std::string_view arguments) {
    auto templates = argument_fields(arguments);
    for (auto const& [name, value] : templates)
        if (auto const tried = check_template(value.value_or("")); !tried)
            return std::unexpected(tried.error());
    return std::shared_ptr<StaticUsers const>(new StaticUsers(std::move(templates)));
}

Result<std::vector<Fields>> StaticUsers::lookup(Request const& request) const {
    auto fields = expanded(templates_, request);
    if (!fields) return std::unexpected(fields.error());
    auto const* nopassword = fields->find("nopassword");
    if (nopassword != nullptr && nopassword->value == "n") fields->remove("nopassword");
    return std::vector{std::move(*fields)};
}

Result<std::optional<Fields>> StaticUsers::lookup_after(Outcome const*, Request const& request) const {
    auto fields = expanded(templates_, request);
    if (!fields) return std::unexpected(fields.error());
    fields->remove("allow_all_users");
    return std::move(*fields);
}

Result<std::optional<Fields>> PrefetchUsers::lookup_after(Outcome const* login, Request const&) const {
    if (login == nullptr || !login->userdb_prefetched) return std::nullopt;
    return login->userdb;
}

Result<std::shared_ptr<PasswdFile const>> PasswdFile::make(std::string_view arguments) {
    std::string scheme = "CRYPT", format = "%u", path;
    for (auto const word : split_words(arguments)) {
        if (word.starts_with("scheme="))
            scheme = word.substr(7);
        else if (word.starts_with("username_format="))
            format = word.substr(16);
        else
            path = word;
    }
    return make(std::move(scheme), std::move(format), std::move(path));
}

Result<std::shared_ptr<PasswdFile const>> PasswdFile::make(std::string scheme, std::string format,
                                                           std::string path) {
    if (path.empty()) return permanent("passwd-file needs the path of a file");
    for (auto const* text : {&format, &path})
        if (auto const tried = check_template(*text); !tried) return std::unexpected(tried.error());
    return std::shared_ptr<PasswdFile const>(new PasswdFile(scheme, format, path));
}

PasswdFile::Entry PasswdFile::read_entry(std::vector<std::string_view> const& columns) {
    static constexpr std::array names{"", "", "uid", "gid", "", "home"};
    Entry entry;
    if (columns.size() > 1 && !columns[1].empty()) entry.password = columns[1];
    for (std::size_t i = 2; i < names.size() && i < columns.size(); ++i)
        if (*names[i] != 0 && !columns[i].empty()) entry.user.set(names[i], std::string(columns[i]));
    std::string extra; // the eighth column and all behind it: values may hold colons
    for (std::size_t i = 7; i < columns.size(); ++i) extra += (i > 7 ? ":" : "") + std::string(columns[i]);
    entry.extra = argument_fields(extra);
    return entry;
}

PasswdFile::Entries PasswdFile::read(std::string_view text) {
    Entries entries;
    for (auto line : split(text, '\n')) {
        line = trim_right(line);
        if (line.empty() || line.starts_with("#") || line.starts_with(":")) continue;
        auto const columns = split(line, ':');
        entries.insert_or_assign(std::string(columns[0]), read_entry(columns));
    }
    return entries;
}

// What was read of the file, where it has not changed since.
std::shared_ptr<PasswdFile::Entries const> PasswdFile::kept(std::string const& path,
                                                            struct stat const& now) const {
    std::lock_guard const lock(mutex_);
    auto const at = contents_.find(path);
    if (at == contents_.end()) return nullptr;
    auto const& known = at->second;
    auto const same = known.size == now.st_size && known.inode == now.st_ino &&
                      known.modified.tv_sec == now.st_mtim.tv_sec &&
                      known.modified.tv_nsec == now.st_mtim.tv_nsec;
    return same ? known.entries : nullptr;
}

Result<std::shared_ptr<PasswdFile::Entries const>> PasswdFile::entries(std::string const& path) const {
    struct stat now{};
    if (::stat(path.c_str(), &now) != 0) return system_error("passwd-file " + path, errno);
    if (auto known = kept(path, now)) return known;
    std::lock_guard const reading(reading_);
    if (auto known = kept(path, now)) return known;
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    if (!file) return temporary("passwd-file " + path + " cannot be read");
    auto fresh = std::make_shared<Entries const>(read(text.str()));
    std::lock_guard const lock(mutex_);
    contents_[path] = {now.st_mtim, now.st_size, now.st_ino, fresh};
    return fresh;
}

Result<std::string> PasswdFile::path_of(Request const& request) const {
    auto path = expand(path_, request);
    if (path && path_.contains('%') && path->contains(".."))
        return temporary("passwd-file: a user name with \"..\" in it");
    return path;
}

Result<std::vector<Fields>> PasswdFile::rows(Entries const& all, Request const& request) const {
    auto const name = expand(format_, request);
    if (!name) return std::unexpected(name.error());
    auto const at = all.find(*name);
    if (at == all.end()) return std::vector<Fields>{};
    Fields fields;
    fields.set("password", at->second.password);
    auto extra = expanded(at->second.extra, request); // passdb fields and, with userdb_, prefetched ones
    if (!extra) return std::unexpected(std::move(extra.error()).within(path_));
    fields.merge(*extra);
    return std::vector{fields};
}

Result<std::vector<Fields>> PasswdFile::lookup(Request const& request) const {
    auto const path = path_of(request);
    auto const all = path ? entries(*path) : std::unexpected(path.error());
    if (!all) return std::unexpected(all.error());
    return rows(**all, request);
}

// A changed file is a worker's to read.
std::optional<std::vector<Fields>> PasswdFile::at_hand(Request const& request) const {
    auto const path = path_of(request);
    struct stat now{};
    if (!path || ::stat(path->c_str(), &now) != 0) return std::nullopt;
    auto const all = kept(*path, now);
    auto found = all ? rows(*all, request) : std::unexpected(temporary("not read yet"));
    return found ? std::optional(std::move(*found)) : std::nullopt;
}

Result<std::optional<Fields>> PasswdFile::lookup_after(Outcome const*, Request const& request) const {
    auto const path = path_of(request);
    auto const all = path ? entries(*path) : std::unexpected(path.error());
    auto const name = expand(format_, request);
    if (!all || !name) return std::unexpected(all ? name.error() : all.error());
    auto const at = (*all)->find(*name);
    if (at == (*all)->end()) return std::nullopt;
    auto const extra = expanded(at->second.extra, request);
    if (!extra) return temporary(path_ + ": " + extra.error().text);
    auto fields = at->second.user;
    for (auto const& [key, value] : *extra)
        if (key.starts_with("userdb_")) fields.set(key.substr(7), value);
    return fields;
}

Result<bool> PasswdFile::list(std::function<void(std::string_view)> const& each) const {
    if (path_.contains('%')) return false;
    auto const all = entries(path_);
    if (!all) return std::unexpected(all.error());
    for (auto const& [name, entry] : **all) each(name);
    return true;
}

Result<std::optional<Fields>> SystemUsers::lookup_after(Outcome const*, Request const& request) const {
    std::array<char, 16384> buffer{};
    passwd entry{};
    passwd* found = nullptr;
    auto const error = getpwnam_r(request.user.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (error != 0 && error != ENOENT) return system_error("getpwnam", error);
    if (found == nullptr) return std::nullopt;
    Fields fields;
    fields.set("system_groups_user", entry.pw_name);
    fields.set("uid", std::to_string(entry.pw_uid));
    fields.set("gid", std::to_string(entry.pw_gid));
    fields.set("home", entry.pw_dir);
    return fields;
}

Result<bool> SystemUsers::list(std::function<void(std::string_view)> const& each) const {
    static std::mutex one_at_a_time; // getpwent(3) has one position for the process
    std::lock_guard const lock(one_at_a_time);
    setpwent();
    while (auto const* entry = getpwent()) each(entry->pw_name);
    endpwent();
    return true;
}

} // namespace postern::auth_socket
