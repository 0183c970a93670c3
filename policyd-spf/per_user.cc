// Settings of single recipients.
#include "policyd-spf/per_user.h"

#include "common/base/text.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace postern::policyd_spf {

namespace {

// What may differ between recipients. Stock refuses TestOnly here although its manual shows it, and knows
// Authserv_Id only with a hyphen.
constexpr std::array<std::string_view, 26> allowed = {"debugLevel",
                                                      "HELO_reject",
                                                      "Mail_From_reject",
                                                      "PermError_reject",
                                                      "TempError_Defer",
                                                      "Mail_From_pass_restriction",
                                                      "HELO_pass_restriction",
                                                      "Prospective",
                                                      "Whitelist",
                                                      "skip_addresses",
                                                      "Domain_Whitelist",
                                                      "Domain_Whitelist_PTR",
                                                      "HELO_Whitelist",
                                                      "No_Mail",
                                                      "Reject_Not_Pass_Domains",
                                                      "TestOnly",
                                                      "defaultSeedOnly",
                                                      "SPF_Enhanced_Status_Codes",
                                                      "Header_Type",
                                                      "Hide_Receiver",
                                                      "Authserv_Id",
                                                      "Lookup_Time",
                                                      "Whitelist_Lookup_Time",
                                                      "Void_Limit",
                                                      "Reason_Message",
                                                      "QueueID"};

void apply_pair(PerUser& out, std::string_view pair, config::Place const& place) {
    auto const [raw_name, value] = halve(pair, '=');
    auto name = trim(raw_name);
    if (name == "Authserv-Id") name = "Authserv_Id";
    if (!value || std::ranges::find(allowed, name) == allowed.end()) {
        out.problems.push_back({config::Problem::Severity::error,
                                {}, // stock's line, as it is
                                fmt::format("ERROR: Unknown name \"{}\" in file \"{}\" in per user settings",
                                            printable(name, 64), place.file)});
        return;
    }
    out.found.push_back({std::string(name), std::string(trim(*value))});
    auto problems = apply_settings(*out.settings, {{std::string(name), std::string(trim(*value)), place}});
    out.problems.insert(out.problems.end(), problems.begin(), problems.end());
}

} // namespace

PerUser parse_per_user(std::string_view text, std::string const& file, Settings const& common,
                       std::string_view recipient) {
    PerUser out;
    int number = 0;
    for (auto const raw : split(text, '\n')) {
        ++number;
        auto const line = trim(raw.substr(0, raw.find('#')));
        auto const [user, values] = halve(line, ',');
        if (!values || !equals_ignoring_case(trim(user), recipient)) continue;
        out.settings = common;
        for (auto const pair : split(trim(*values), '|')) apply_pair(out, pair, {file, number});
        auto& settings = *out.settings;
        settings.test_only = settings.explicit_test_only.value_or(settings.default_seed_only.value_or(false));
        return out;
    }
    return out;
}

PerUser read_per_user(Settings const& common, std::string_view recipient) {
    struct stat status{};
    if (::stat(common.per_user_file.c_str(), &status) != 0)
        return {std::nullopt,
                {},
                {{config::Problem::Severity::error,
                  {},
                  fmt::format("ERROR stating \"{}\": {}", common.per_user_file, std::strerror(errno))}}};
    auto const text = config::read_file(common.per_user_file);
    if (!text) return {std::nullopt, {}, {{config::Problem::Severity::error, {}, text.error().text}}};
    return parse_per_user(*text, common.per_user_file, common, recipient);
}

} // namespace postern::policyd_spf
