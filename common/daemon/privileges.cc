// Looking up accounts and becoming one for good.
#include "common/daemon/privileges.h"

#include "common/base/text.h"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace postern::daemon {

namespace {

constexpr int max_groups = 256; // supplementary groups of one account

struct Account {
    uid_t uid;
    gid_t gid;
    std::string name;
};

Result<Account> find_account(std::string_view name) {
    std::array<char, 16384> buffer;
    passwd entry{};
    passwd* found = nullptr;
    std::string const text(name);
    int error = ::getpwnam_r(text.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (error == 0 && found != nullptr) return Account{entry.pw_uid, entry.pw_gid, entry.pw_name};
    if (auto const uid = parse_number<uid_t>(name)) {
        error = ::getpwuid_r(*uid, &entry, buffer.data(), buffer.size(), &found);
        if (error == 0 && found != nullptr) return Account{entry.pw_uid, entry.pw_gid, entry.pw_name};
        return Account{*uid, static_cast<gid_t>(*uid), {}};
    }
    return permanent(fmt::format("no user \"{}\"", printable(name)));
}

std::vector<gid_t> groups_of(std::string const& name, gid_t primary) {
    if (name.empty()) return {primary};
    std::vector<gid_t> groups(max_groups);
    int count = max_groups;
    if (::getgrouplist(name.c_str(), primary, groups.data(), &count) < 0) return {primary};
    groups.resize(static_cast<std::size_t>(count));
    return groups;
}

} // namespace

Result<gid_t> find_group(std::string_view name) {
    std::array<char, 65536> buffer;
    group entry{};
    group* found = nullptr;
    std::string const text(name);
    if (::getgrnam_r(text.c_str(), &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr)
        return entry.gr_gid;
    if (auto const gid = parse_number<gid_t>(name)) return *gid;
    return permanent(fmt::format("no group \"{}\"", printable(name)));
}

Result<Identity> find_identity(std::string_view user_and_group) {
    auto const [user, group_name] = halve(user_and_group, ':');
    auto account = find_account(user);
    if (!account) return std::unexpected(account.error());
    Identity identity{account->uid, account->gid, account->name, {}};
    if (group_name && !group_name->empty()) {
        auto const gid = find_group(*group_name);
        if (!gid) return std::unexpected(gid.error());
        identity.gid = *gid;
    }
    identity.groups = groups_of(identity.name, identity.gid);
    return identity;
}

bool is_root() { return ::geteuid() == 0; }

Result<> become(Identity const& identity) {
    if (!is_root()) return {};
    if (::setgroups(identity.groups.size(), identity.groups.data()) != 0)
        return system_error("setgroups", errno, ErrorKind::permanent);
    if (::setresgid(identity.gid, identity.gid, identity.gid) != 0)
        return system_error("setgid", errno, ErrorKind::permanent);
    if (::setresuid(identity.uid, identity.uid, identity.uid) != 0)
        return system_error("setuid", errno, ErrorKind::permanent);
    if (identity.uid != 0 && ::setuid(0) == 0) return permanent("root could be had back after setuid");
    return {};
}

} // namespace postern::daemon
