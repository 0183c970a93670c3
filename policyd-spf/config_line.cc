// The line of debugLevel 3 that shows the settings.
#include "policyd-spf/config_line.h"

#include "policyd-spf/python_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace postern::policyd_spf {

namespace {

// Stock's built-in settings in the order of its dictionary.
constexpr std::array<std::string_view, 18> first_names = {"debugLevel",
                                                          "HELO_reject",
                                                          "Mail_From_reject",
                                                          "PermError_reject",
                                                          "TempError_Defer",
                                                          "skip_addresses",
                                                          "TestOnly",
                                                          "SPF_Enhanced_Status_Codes",
                                                          "Header_Type",
                                                          "Hide_Receiver",
                                                          "Authserv_Id",
                                                          "Lookup_Time",
                                                          "Whitelist_Lookup_Time",
                                                          "Void_Limit",
                                                          "Reason_Message",
                                                          "No_Mail",
                                                          "Mock",
                                                          "QueueID"};

constexpr std::array<std::string_view, 8> numbers = {
    "debugLevel", "TestOnly",        "defaultSeedOnly",  "Lookup_Time", "Whitelist_Lookup_Time",
    "Void_Limit", "Max_Connections", "DNS_Cache_Entries"};

std::string value_text(std::string_view name, std::string_view value, bool given, Settings const& settings) {
    if (name == "Mock") return std::string(python_flag(settings.mock));
    if (name == "QueueID") return std::string(python_flag(settings.queue_id));
    if (name == "Authserv_Id") return quoted(settings.authserv_id);
    bool const bare = std::ranges::find(numbers, name) != numbers.end() || (name == "No_Mail" && !given);
    return bare ? std::string(value) : quoted(value);
}

} // namespace

std::string config_line(Settings const& settings) {
    auto const& given = settings.given;
    std::string out;
    auto const add = [&](std::string_view name, std::string_view value, bool is_given) {
        out += fmt::format("{}{}: {}", out.empty() ? "" : ", ", quoted(name),
                           value_text(name, value, is_given, settings));
    };
    for (auto const name : first_names) {
        auto const found = std::ranges::find(given, name, &GivenValue::name);
        bool const is_given = found != given.end();
        add(name, is_given ? std::string_view(found->value) : settings_table().find(name)->default_text,
            is_given);
    }
    for (auto const& [name, value] : given)
        if (std::ranges::find(first_names, name) == first_names.end()) add(name, value, true);
    return "{" + out + "}";
}

} // namespace postern::policyd_spf
