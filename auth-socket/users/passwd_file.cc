// Users in a file like passwd(5).
#include "auth-socket/users/passwd_file.h"

#include "auth-socket/users/chain.h"
#include "auth-socket/users/ids.h"
#include "auth-socket/users/variables.h"
#include "common/base/text.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <sstream>

namespace postern::auth_socket {

namespace {

// "Trash:storage=+10%", which wants to be "+10%%": the last percent sign of such a value is lost, as in
// Dovecot.
std::string_view without_lone_percent(std::string_view value) {
    auto const signs = value.size() - std::min(value.size(), value.find_last_not_of('%') + 1);
    return signs % 2 == 1 ? value.substr(0, value.size() - 1) : value;
}

// "name=value name": nothing quotes a blank here.
Fields extra_fields(std::string_view text) {
    Fields fields;
    for (auto const word : split_words(text, " ")) {
        auto const [name, value] = halve(word, '=');
        if (name.empty()) continue;
        fields.set(name, value ? std::optional(std::string(without_lone_percent(*value))) : std::nullopt);
    }
    return fields;
}

// "hash[13]", libpam-pwdfile's way: 13 is crypt(3), 34 a plain MD5, 56 (Dovecot's own) DIGEST-MD5.
std::string stored_password(std::string_view column) {
    auto const size = column.size();
    auto const has_number = size > 4 && !column.starts_with('{') && !column.starts_with('$') &&
                            column[size - 4] == '[' && column[size - 1] == ']';
    if (!has_number) return std::string(column);
    auto const number = column.substr(size - 3, 2);
    auto const scheme = number == "34" ? "{PLAIN-MD5}" : number == "56" ? "{DIGEST-MD5}" : "{CRYPT}";
    return std::string(scheme).append(column.substr(0, size - 4));
}

std::string joined(std::vector<std::string_view> const& columns, std::size_t first) {
    std::string text;
    for (std::size_t i = first; i < columns.size(); ++i) text.append(i > first ? ":" : "").append(columns[i]);
    return text;
}

// The eighth column and all behind it, since values may hold colons. Of old it was empty and a mail location
// followed.
Fields columns_behind_shell(std::vector<std::string_view> const& columns) {
    if (columns.size() <= 7) return {};
    if (!columns[7].empty()) return extra_fields(joined(columns, 7));
    auto const mail = joined(columns, 8);
    return columns.size() > 8 && !columns[8].empty() ? extra_fields("userdb_mail=" + mail) : Fields();
}

// Neither root nor what stands for "none": no mail is theirs.
bool is_users_id(std::string_view number) { return number != "0" && number != "4294967295"; }

// extra: passdb fields and, with userdb_, prefetched ones.
std::shared_ptr<std::vector<Fields> const> one_row(std::optional<std::string> const& password,
                                                   Fields const& extra) {
    Fields row;
    row.set("password", password);
    row.merge(extra);
    return std::make_shared<std::vector<Fields> const>(1, std::move(row));
}

} // namespace

PasswdFileSettings passwd_file_settings(std::string_view arguments) {
    PasswdFileSettings settings;
    for (auto const word : split_words(arguments)) {
        if (word.starts_with("scheme="))
            settings.scheme = word.substr(7);
        else if (word.starts_with("username_format="))
            settings.username_format = word.substr(16);
        else
            settings.path = word;
    }
    return settings;
}

Result<std::shared_ptr<PasswdFile const>> PasswdFile::make(PasswdFileSettings settings) {
    if (settings.path.empty()) return permanent("passwd-file needs the path of a file");
    for (auto const* text : {&settings.username_format, &settings.path})
        if (auto const tried = check_template(*text); !tried) return std::unexpected(tried.error());
    return std::shared_ptr<PasswdFile const>(new PasswdFile(std::move(settings)));
}

PasswdFile::Entry PasswdFile::read_entry(std::vector<std::string_view> const& columns) {
    static constexpr std::array names{"", "", "uid", "gid", "", "home"};
    Entry entry;
    if (columns.size() > 1 && !columns[1].empty()) entry.password = stored_password(columns[1]);
    for (std::size_t i = 2; i < names.size() && i < columns.size(); ++i)
        if (*names[i] != 0 && !columns[i].empty()) entry.user.set(names[i], std::string(columns[i]));
    entry.extra = columns_behind_shell(columns);
    entry.is_user = columns.size() > 3;
    auto const is_variable = [](Field const& field) { return field.value.value_or("").contains('%'); };
    if (std::ranges::none_of(entry.extra, is_variable)) entry.rows = one_row(entry.password, entry.extra);
    return entry;
}

void PasswdFile::complain(std::string const& path, std::string_view user, std::string_view text) const {
    if (settings_.log != nullptr)
        settings_.log->error("auth: passwd-file {}: user {} {}", path, printable(user), text);
}

bool PasswdFile::accepts(Entries const& others, std::vector<std::string_view> const& columns,
                         std::string const& path) const {
    auto const complain = [&](std::string const& text) {
        this->complain(path, columns[0], text);
        return false;
    };
    if (others.contains(columns[0])) return complain("is there more than once; the first line counts");
    if (!settings_.has_userdb) return true;
    for (std::size_t const at : {2, 3}) {
        if (columns.size() <= at || columns[at].empty()) continue;
        std::string const id(columns[at]);
        auto const number = at == 2 ? uid_number(id) : gid_number(id);
        // The directory that knows the name may be away: no reason to say that there is no such user.
        if (!number)
            this->complain(path, columns[0],
                           "has a uid or gid that is unknown, " + printable(id, 40) +
                               ": looked up as a user, that is a temporary failure until it is known");
        else if (!is_users_id(*number))
            return complain("is passed over: " + printable(id, 40) +
                            " is no uid or gid that a user may have");
    }
    if (columns.size() <= 3) this->complain(path, columns[0], "has too few columns for a userdb");
    return true;
}

PasswdFile::Entries PasswdFile::read(std::string_view text, std::string const& path) const {
    Entries entries;
    for (auto line : split(text, '\n')) {
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.empty() || line.starts_with('#') || line.starts_with(':')) continue;
        auto const columns = split(line, ':');
        if (accepts(entries, columns, path)) entries.emplace(columns[0], read_entry(columns));
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
    if (::stat(path.c_str(), &now) != 0) {
        // A domain that has no file has no users; without a domain in it, the path is wrong.
        if (has_variables() && (errno == ENOENT || errno == ENOTDIR))
            return std::make_shared<Entries const>();
        return system_error("passwd-file " + path, errno);
    }
    if (auto known = kept(path, now)) return known;
    std::lock_guard const reading(reading_);
    if (auto known = kept(path, now)) return known;
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    if (!file) return temporary("passwd-file " + path + " cannot be read");
    auto fresh = std::make_shared<Entries const>(read(text.str(), path));
    std::lock_guard const lock(mutex_);
    contents_[path] = {now.st_mtim, now.st_size, now.st_ino, fresh};
    return fresh;
}

// Absent: a name that would lead out of the directory.
Result<std::optional<std::string>> PasswdFile::path_of(Request const& request) const {
    if (!has_variables()) return settings_.path;
    auto path = expand(settings_.path, request);
    if (!path) return std::unexpected(std::move(path.error()));
    auto const steps = split(*path, '/');
    if (std::ranges::find(steps, "..") != steps.end()) return std::nullopt;
    return std::move(*path);
}

Result<PasswdFile::Found> PasswdFile::find(Request const& request) const {
    auto const path = path_of(request);
    if (!path) return std::unexpected(path.error());
    if (!*path) return Found{};
    auto all = entries(**path);
    auto const name = expand(settings_.username_format, request);
    if (!all || !name) return std::unexpected(all ? name.error() : all.error());
    auto const at = (*all)->find(*name);
    return Found{*all, at == (*all)->end() ? nullptr : &at->second};
}

Result<PasswdFile::Rows> PasswdFile::rows(Entry const& entry, Request const& request) const {
    if (entry.rows) return entry.rows;
    auto extra = expanded(entry.extra, request);
    if (!extra) return std::unexpected(std::move(extra.error()).within(settings_.path));
    return one_row(entry.password, *extra);
}

Result<std::vector<Fields>> PasswdFile::lookup(Request const& request) const {
    auto const found = find(request);
    if (!found) return std::unexpected(found.error());
    if (found->entry == nullptr) return std::vector<Fields>{};
    auto const said = rows(*found->entry, request);
    return said ? Result<std::vector<Fields>>(**said) : std::unexpected(said.error());
}

// A changed file is a worker's to read.
Passdb::AtHand PasswdFile::at_hand(Request const& request) const {
    auto const path = path_of(request);
    struct stat now{};
    if (!path || !*path || ::stat((*path)->c_str(), &now) != 0) return {};
    auto const all = kept(**path, now);
    if (!all) return {};
    auto const name = expand(settings_.username_format, request);
    if (!name) return {};
    auto const at = all->find(*name);
    if (at == all->end()) return {std::make_shared<std::vector<Fields> const>()};
    auto found = rows(at->second, request);
    return found ? AtHand{std::move(*found)} : AtHand{};
}

Result<std::optional<Fields>> PasswdFile::lookup_after(Outcome const*, Request const& request) const {
    auto const found = find(request);
    if (!found) return std::unexpected(found.error());
    if (found->entry == nullptr || !found->entry->is_user) return std::nullopt;
    auto const extra = expanded(found->entry->extra, request);
    if (!extra) return temporary(settings_.path + ": " + extra.error().text);
    auto fields = found->entry->user;
    for (auto const& [key, value] : *extra)
        if (key.starts_with("userdb_")) fields.set(key.substr(7), value);
    return fields;
}

Result<bool> PasswdFile::list(std::function<void(std::string_view)> const& each) const {
    if (has_variables()) return false;
    auto const all = entries(settings_.path);
    if (!all) return std::unexpected(all.error());
    for (auto const& [name, entry] : **all)
        if (entry.is_user) each(name);
    return true;
}

} // namespace postern::auth_socket
