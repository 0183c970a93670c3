// Users outside databases.
#include "auth-socket/users/files.h"

#include "auth-socket/users/chain.h"
#include "auth-socket/users/passdb_fields.h"
#include "auth-socket/users/variables.h"
#include "common/base/text.h"

#include <pwd.h>

#include <array>
#include <cerrno>
#include <mutex>

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

bool StaticUsers::needs_passdb() const {
    auto const* all = templates_.find("allow_all_users");
    return all == nullptr || !is_set(all->value.value_or("yes"));
}

Result<std::optional<Fields>> PrefetchUsers::lookup_after(Outcome const* login, Request const&) const {
    if (login == nullptr || !login->userdb_prefetched) return std::nullopt;
    return login->userdb;
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
