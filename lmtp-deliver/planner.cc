// Decides where a copy goes.
#include "lmtp-deliver/planner.h"

#include "common/base/text.h"

#include <fmt/format.h>

namespace postern::lmtp_deliver {

namespace {

Result<> check_ids(MailSettings const& settings, Plan const& plan) {
    if (plan.uid == 0) return temporary("mail is never delivered as root (uid 0)");
    if (plan.uid < settings.first_valid_uid ||
        (settings.last_valid_uid != 0 && plan.uid > settings.last_valid_uid))
        return temporary(fmt::format("uid {} is outside first_valid_uid {} and last_valid_uid {}", plan.uid,
                                     settings.first_valid_uid, settings.last_valid_uid));
    if (plan.gid < settings.first_valid_gid ||
        (settings.last_valid_gid != 0 && plan.gid > settings.last_valid_gid))
        return temporary(fmt::format("gid {} is outside first_valid_gid {} and last_valid_gid {}", plan.gid,
                                     settings.first_valid_gid, settings.last_valid_gid));
    return {};
}

class Planner {
  public:
    Planner(MailSettings const& settings, Destination const& destination)
        : settings_(settings), destination_(destination) {}
    Result<Plan> run();

  private:
    Result<> set_ids();
    Result<> set_home();
    Result<> set_location();
    void set_folder();
    Result<> set_quota();
    char separator() const;
    std::string folder_of_mask(std::string_view mask) const;

    MailSettings const& settings_;
    Destination const& destination_;
    VariableValues values_;
    Plan plan_;
};

Result<> Planner::set_ids() {
    auto const& user = destination_.user;
    auto const uid = user.uid ? user.uid : settings_.uid;
    auto const gid = user.gid ? user.gid : settings_.gid;
    if (!uid || !gid)
        return temporary("neither the user database nor mail_uid and mail_gid tell the user's uid and gid");
    plan_.uid = values_.uid.emplace(*uid);
    plan_.gid = values_.gid.emplace(*gid);
    return check_ids(settings_, plan_);
}

Result<> Planner::set_home() {
    values_.home = destination_.user.home;
    if (values_.home || settings_.home.empty()) return {};
    auto home = expand_variables(settings_.home, values_);
    if (!home) return std::unexpected(std::move(home.error()).within("mail_home"));
    values_.home = std::move(*home);
    return {};
}

Result<> Planner::set_location() {
    auto const& user = destination_.user;
    auto text = user.mail ? Result<std::string>(*user.mail)
                          : expand_variables(settings_.inbox.location.value_or(settings_.location), values_);
    if (!text) return std::unexpected(std::move(text.error()).within("mail_location"));
    auto location = parse_mail_location(*text, values_.home);
    if (!location) return std::unexpected(location.error());
    plan_.location = std::move(*location);
    return {};
}

char Planner::separator() const {
    return settings_.inbox.separator.value_or(plan_.location.layout == Layout::fs ? '/' : '.');
}

// A detail that is no mailbox name goes to INBOX, as Dovecot sends it.
void Planner::set_folder() {
    auto const& detail = destination_.detail;
    plan_.folder = {"", "INBOX", "INBOX", true, false};
    if (detail.empty()) return;
    auto const name = read_mailbox_name(detail, separator(), plan_.location.layout, plan_.location.utf8);
    if (!name || name->is_inbox) return;
    using Auto = InboxNamespace::Auto;
    auto const listed = settings_.inbox.mailboxes.find(detail);
    auto const wanted = listed == settings_.inbox.mailboxes.end() ? Auto::no : listed->second;
    plan_.folder = {name->folder, settings_.inbox.prefix + detail, name->subscription,
                    settings_.autocreate || wanted != Auto::no,
                    wanted == Auto::subscribe || (settings_.autocreate && settings_.autosubscribe)};
}

std::string Planner::folder_of_mask(std::string_view mask) const {
    if (mask.starts_with(settings_.inbox.prefix)) mask.remove_prefix(settings_.inbox.prefix.size());
    auto const name = read_mailbox_name(mask, separator(), plan_.location.layout, plan_.location.utf8);
    return name ? name->folder : "/"; // no folder is called so
}

Result<> Planner::set_quota() {
    if (!settings_.quota) return {};
    PluginSettings plugin;
    for (auto const& [name, value] : settings_.plugin) {
        if (!name.starts_with("quota")) continue;
        auto expanded = expand_variables(value, values_);
        if (!expanded) return std::unexpected(std::move(expanded.error()).within(name));
        plugin[name] = std::move(*expanded);
    }
    for (auto const& [name, value] : destination_.user.fields) plugin[name] = value;
    auto const quota = [&](std::string_view mailbox) -> Result<QuotaPlan> {
        auto made = quota_for(plugin, mailbox, settings_.inbox.prefix,
                              [&](std::string_view mask) { return folder_of_mask(mask); });
        if (made) made->full_is_temporary = settings_.quota_full_tempfail;
        return made;
    };
    auto inbox = quota("INBOX");
    auto folder = quota(plan_.folder.name);
    if (!inbox || !folder) return std::unexpected(std::move(inbox ? folder : inbox).error());
    plan_.inbox_quota = std::move(*inbox);
    plan_.quota = std::move(*folder);
    return {};
}

Result<Plan> Planner::run() {
    plan_.user = values_.user = destination_.user.name;
    plan_.session_id = destination_.session_id;
    plan_.fsync = settings_.fsync;
    values_.hostname = settings_.hostname;
    values_.local_address = destination_.origin.local_address;
    values_.remote_address = destination_.origin.remote_address;
    if (auto done = set_ids(); !done) return std::unexpected(done.error());
    if (auto done = set_home(); !done) return std::unexpected(done.error());
    if (auto done = set_location(); !done) return std::unexpected(done.error());
    set_folder();
    if (auto done = set_quota(); !done) return std::unexpected(done.error());
    return std::move(plan_);
}

} // namespace

Result<Plan> make_plan(MailSettings const& settings, Destination const& destination) {
    return Planner(settings, destination).run();
}

} // namespace postern::lmtp_deliver
