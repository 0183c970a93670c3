// The table of settings.
#include "policyd-spf/settings.h"

#include "common/base/text.h"
#include "common/config/assignments.h"
#include "common/net/address.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace postern::policyd_spf {

namespace {

using Row = config::Setting<Settings>;

constexpr std::string_view milter_only = "it belongs to the milter of the same package, pyspf-milter";

// As Python's int() reads it, without its underscores. Stock ends at anything else.
Result<int> whole_number(Settings& settings, std::string_view value) {
    if (value.starts_with('+')) value.remove_prefix(1);
    constexpr int most = 1'000'000'000;
    auto const digits = value.starts_with('-') ? value.substr(1) : value;
    bool const number = !digits.empty() && std::ranges::all_of(digits, is_digit);
    if (!number) {
        settings.has_bad_number = true;
        return permanent(fmt::format("\"{}\" is no number", printable(value, 64)));
    }
    auto const parsed = parse_number<long long>(value);
    return static_cast<int>(std::clamp<long long>(parsed.value_or(most), -most, most));
}

template <auto member>
Result<> set_text(Settings& settings, std::string_view value) {
    settings.*member = value;
    return {};
}

template <auto member>
Result<> set_flag(Settings& settings, std::string_view value) {
    auto const flag = config::parse_boolean(value);
    if (!flag) return std::unexpected(flag.error());
    settings.*member = *flag;
    return {};
}

// Stock takes any number. What lies outside of what makes sense here counts as the nearest that does.
template <auto member, int lowest, int highest>
Result<> set_number(Settings& settings, std::string_view value) {
    auto const number = whole_number(settings, value);
    if (!number) return std::unexpected(number.error());
    auto const taken = std::clamp(*number, lowest, highest);
    using Member = std::remove_reference_t<decltype(settings.*member)>;
    settings.*member = static_cast<Member>(taken);
    if (taken != *number) settings.notes.push_back(fmt::format("{} counts as {}", *number, taken));
    return {};
}

// 0: no limit but that of the whole request, which is shorter than the highest value.
template <auto member>
Result<> set_seconds(Settings& settings, std::string_view value) {
    auto const seconds = whole_number(settings, value);
    if (!seconds) return std::unexpected(seconds.error());
    constexpr int highest = 1000;
    auto const taken = *seconds == 0 ? highest : std::clamp(*seconds, 1, highest);
    settings.*member = std::chrono::seconds(taken);
    if (taken != *seconds && *seconds != 0)
        settings.notes.push_back(fmt::format("{} counts as {}", *seconds, taken));
    return {};
}

template <auto member>
Result<> set_list(Settings& settings, std::string_view value) {
    (settings.*member).clear();
    for (auto const item : split_words(value, ", \t")) (settings.*member).push_back(to_lower(item));
    return {};
}

template <auto member>
Result<> set_networks(Settings& settings, std::string_view value) {
    auto parsed = Networks::parse(value);
    settings.*member = std::move(parsed.networks);
    for (auto& note : parsed.warnings) settings.notes.push_back(std::move(note));
    if (parsed.errors.empty()) return {};
    return permanent(join(parsed.errors, "; ") + "; the other entries count");
}

struct PolicyWord {
    std::string_view word;
    RejectPolicy policy;
};
constexpr std::array<PolicyWord, 6> policy_words = {{{"Fail", RejectPolicy::fail},
                                                     {"Softfail", RejectPolicy::softfail},
                                                     {"SPF_Not_Pass", RejectPolicy::spf_not_pass},
                                                     {"False", RejectPolicy::never},
                                                     {"No_Check", RejectPolicy::no_check},
                                                     {"Null", RejectPolicy::null_sender}}};

template <auto member, bool null_is_known>
Result<> set_policy(Settings& settings, std::string_view value) {
    settings.*member = RejectPolicy::unknown;
    for (auto const& [word, policy] : policy_words) {
        if (word != value || (policy == RejectPolicy::null_sender && !null_is_known)) continue;
        settings.*member = policy;
        return {};
    }
    return permanent(
        fmt::format("\"{}\" is none of Fail, Softfail, SPF_Not_Pass, {}False, No_Check; nothing is "
                    "rejected",
                    printable(value, 64), null_is_known ? "Null, " : ""));
}

// Stock compares with the one word; anything else is the other value.
template <auto member>
Result<> set_when_true(Settings& settings, std::string_view value) {
    settings.*member = value == "True";
    if (equals_ignoring_case(value, "True") == (value == "True")) return {};
    return permanent(fmt::format("\"{}\" is not \"True\" and counts as False", printable(value, 64)));
}

template <auto member>
Result<> set_unless_no(Settings& settings, std::string_view value) {
    settings.*member = value != "No";
    return {};
}

Result<> set_test_only(Settings& settings, std::string_view value) {
    auto const number = whole_number(settings, value);
    if (!number) return std::unexpected(number.error());
    settings.explicit_test_only = *number == 0;
    return {};
}

Result<> set_seed_only(Settings& settings, std::string_view value) {
    auto const number = whole_number(settings, value);
    if (!number) return std::unexpected(number.error());
    settings.default_seed_only = *number == 0;
    settings.notes.push_back("the old name of TestOnly; write TestOnly");
    return {};
}

Result<> set_prospective(Settings& settings, std::string_view value) {
    if (!spf::IpAddress::parse(value))
        return permanent(fmt::format("\"{}\" is no IP address", printable(value, 64)));
    settings.prospective = value;
    return {};
}

Result<> set_per_user(Settings& settings, std::string_view value) {
    auto const [kind, path] = halve(value, ',');
    if (kind != "text" || !path || trim(*path).empty())
        return permanent(fmt::format("\"{}\" is not \"text,/path/of/the/file\"", printable(value, 64)));
    settings.per_user_file = trim(*path);
    return {};
}

Result<> set_header_type(Settings& settings, std::string_view value) {
    if (value == "SPF")
        settings.header_type = HeaderType::spf;
    else if (value == "AR")
        settings.header_type = HeaderType::ar;
    else if (value == "None")
        settings.header_type = HeaderType::none;
    else
        return permanent(fmt::format("\"{}\" is none of SPF, AR, None", printable(value, 64)));
    return {};
}

Result<> set_authserv_id(Settings& settings, std::string_view value) {
    settings.authserv_id = value;
    if (value != "HOSTNAME") return {};
    std::array<char, 256> name{};
    if (::gethostname(name.data(), name.size() - 1) != 0) return system_error("gethostname", errno);
    settings.authserv_id = name.data();
    return {};
}

Result<> set_reason(Settings& settings, std::string_view value) {
    constexpr std::size_t longest = 400;
    if (value.size() > longest) return permanent(fmt::format("longer than {} octets", longest));
    settings.reason_message = value;
    return {};
}

Result<> set_metrics_listen(Settings& settings, std::string_view value) {
    if (auto const address = net::parse_listen_address(value); !address)
        return std::unexpected(address.error());
    settings.metrics_listen = value;
    return {};
}

Result<> set_nameservers(Settings& settings, std::string_view value) {
    settings.nameservers.clear();
    for (auto const server : split_words(value, ", \t")) {
        if (!spf::IpAddress::parse(halve(server, '@').before))
            return permanent(
                fmt::format("\"{}\" is no address with or without @port", printable(server, 64)));
        settings.nameservers.emplace_back(server);
    }
    return {};
}

std::vector<Row> rows() {
    return {
        {"debugLevel", "1",
         "How much is logged: -1 nothing, 0 errors, 1 one line an answer, 2 results, 3 to 5 more.",
         set_number<&Settings::debug_level, -1, 5>},
        {"TestOnly", "1", "0: test only, nothing is rejected or deferred; header fields are still added.",
         set_test_only},
        {"defaultSeedOnly", "", "The old name of TestOnly.", set_seed_only},
        {"HELO_reject", "Fail",
         "HELO results to reject: Fail, Softfail, SPF_Not_Pass, Null, False, No_Check.",
         set_policy<&Settings::helo_reject, true>},
        {"Mail_From_reject", "Fail",
         "MAIL FROM results to reject: Fail, Softfail, SPF_Not_Pass, False, No_Check.",
         set_policy<&Settings::mail_from_reject, false>},
        {"HELO_pass_restriction", "", "Action of access(5) to answer when the HELO name passes.",
         set_text<&Settings::helo_pass_restriction>},
        {"Mail_From_pass_restriction", "", "Action of access(5) to answer when the sender passes.",
         set_text<&Settings::mail_from_pass_restriction>},
        {"PermError_reject", "False", "True: reject mail of domains whose SPF record is broken.",
         set_when_true<&Settings::permerror_reject>},
        {"TempError_Defer", "False", "True: defer mail while the DNS cannot answer.",
         set_when_true<&Settings::temperror_defer>},
        {"No_Mail", "False", "True: reject only for domains whose whole record is \"v=spf1 -all\".",
         set_when_true<&Settings::no_mail>},
        {"Reject_Not_Pass_Domains", "",
         "Domains, with all below them, of which Softfail and Neutral are rejected too; a comma list.",
         set_list<&Settings::reject_not_pass_domains>},
        {"Prospective", "", "An address to check instead of the client's; no header field is added.",
         set_prospective},
        {"skip_addresses", "127.0.0.0/8,::ffff:127.0.0.0/104,::1",
         "Clients that are not checked: a comma list of "
         "networks.",
         set_networks<&Settings::skip_addresses>},
        {"Whitelist", "",
         "Relays and forwarders whose mail is not checked: a comma list of networks. A forwarder that "
         "rewrites "
         "senders (SRS) needs no entry.",
         set_networks<&Settings::whitelist>},
        {"HELO_Whitelist", "", "HELO names whose own addresses are not checked; a comma list.",
         set_list<&Settings::helo_whitelist>},
        {"Domain_Whitelist", "", "Domains whose SPF passes are not checked further; a comma list.",
         set_list<&Settings::domain_whitelist>},
        {"Domain_Whitelist_PTR", "",
         "Clients with a confirmed reverse name in or below one of these domains are not checked; a comma "
         "list.",
         set_list<&Settings::domain_whitelist_ptr>},
        {"Per_User", "", "\"text,/path\": a file with settings of single recipients, policyd-spf.conf(5).",
         set_per_user},
        {"SPF_Enhanced_Status_Codes", "Yes", "No: replies without the codes of RFC 7372.",
         set_unless_no<&Settings::enhanced_status_codes>},
        {"Header_Type", "SPF", "SPF: Received-SPF; AR: Authentication-Results; None: no header field.",
         set_header_type},
        {"Hide_Receiver", "No",
         "Yes: <UNKNOWN> instead of the recipient's domain in header fields and replies.",
         set_unless_no<&Settings::hide_receiver>},
        {"Authserv_Id", "HOSTNAME", "The name in Authentication-Results; HOSTNAME is this machine's.",
         set_authserv_id},
        {"Lookup_Time", "20", "Seconds for the check of one identity.", set_seconds<&Settings::lookup_time>},
        {"Whitelist_Lookup_Time", "10", "Seconds for each whitelist that asks the DNS.",
         set_seconds<&Settings::whitelist_lookup_time>},
        {"Void_Limit", "2", "Lookups without an answer that a check may make (RFC 7208 4.6.4).",
         set_number<&Settings::void_limit, 0, 100>},
        {"Reason_Message", "Message {rejectdefer} due to: {spf}. Please see {url}",
         "The text of a rejection; {rejectdefer}, {spf} and {url} are replaced.", set_reason},
        {"Mock", "False", "True: answer \"dunno\" with a note and check nothing.", set_flag<&Settings::mock>},
        {"QueueID", "True", "Begin log lines with the queue id.", set_flag<&Settings::queue_id>},
        {"Nameservers", "",
         "Nameservers to ask instead of those in /etc/resolv.conf, with @port where it is not 53; a comma "
         "list. "
         "Postern's own.",
         set_nameservers},
        {"User", "", "user or user:group of the standing daemon when root starts it. Postern's own.",
         set_text<&Settings::user>},
        {"Metrics_Listen", "", "Address for Prometheus metrics, inet:port@host or unix:/path. Postern's own.",
         set_metrics_listen},
        {"Max_Connections", "500", "Connections of the standing daemon at one time. Postern's own.",
         set_number<&Settings::max_connections, 1, 10000>},
        {"DNS_Cache_Entries", "20000", "DNS answers kept at most. Postern's own.",
         set_number<&Settings::dns_cache_entries, 0, 1000000>},
        {"Socket", "", "", nullptr, milter_only},
        {"PidFile", "", "", nullptr, milter_only},
        {"UserID", "", "", nullptr, milter_only},
        {"UMask", "", "", nullptr, milter_only},
        {"InternalHosts", "", "", nullptr, milter_only},
        {"IntHosts", "", "", nullptr, milter_only},
        {"MacroList", "", "", nullptr, milter_only},
    };
}

void settle(Settings& settings) {
    settings.test_only = settings.explicit_test_only.value_or(settings.default_seed_only.value_or(false));
}

} // namespace

config::Table<Settings> const& settings_table() {
    static config::Table<Settings> const table(rows(), config::NameCase::exact); // a constant
    return table;
}

std::vector<config::Problem> apply_settings(Settings& settings,
                                            std::vector<config::Assignment> const& lines) {
    // Of these a value with a mistake still counts, as far as it goes.
    constexpr std::array<std::string_view, 7> lenient = {
        "HELO_reject", "Mail_From_reject", "PermError_reject", "TempError_Defer",
        "No_Mail",     "skip_addresses",   "Whitelist"};
    std::vector<config::Problem> problems;
    for (auto const& line : lines) {
        auto found = settings_table().apply(settings, {line});
        bool const refused = !found.empty();
        for (auto const& note : std::exchange(settings.notes, {}))
            found.push_back({config::Problem::Severity::warning, line.place, line.name + ": " + note});
        bool const counts = !refused || std::ranges::find(lenient, line.name) != lenient.end();
        problems.insert(problems.end(), found.begin(), found.end());
        if (!counts) continue;
        auto const earlier = std::ranges::find(settings.given, line.name, &GivenValue::name);
        if (earlier == settings.given.end())
            settings.given.push_back({line.name, line.value});
        else
            earlier->value = line.value;
    }
    return problems;
}

Settings default_settings() {
    Settings settings;
    for (auto const& row : settings_table().rows())
        if (row.apply != nullptr && !row.default_text.empty()) [[maybe_unused]]
            auto const done = row.apply(settings, row.default_text);
    settings.explicit_test_only.reset();
    settle(settings);
    return settings;
}

ReadSettings parse_settings(std::string_view text, std::string const& file) {
    auto read = config::parse_assignments(text, file, {.hash_anywhere = true});
    ReadSettings out{default_settings(), std::move(read.problems)};
    for (auto& problem : apply_settings(out.settings, read.assignments)) out.problems.push_back(problem);
    settle(out.settings);
    out.settings.file = file;
    out.usable = !out.settings.has_bad_number;
    return out;
}

ReadSettings read_settings(std::string const& path) {
    auto const defaults = [&](std::string text, bool usable) {
        ReadSettings out{
            default_settings(), {{config::Problem::Severity::error, {}, std::move(text)}}, usable};
        out.settings.file = path;
        return out;
    };
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0)
        return defaults(fmt::format("ERROR stating \"{}\": {}", path, std::strerror(errno)), true);
    if (!S_ISREG(status.st_mode))
        return defaults(fmt::format("ERROR: is not a file: \"{}\", mode=0o{:o}", path, status.st_mode), true);
    auto const text = config::read_file(path);
    if (!text) return defaults(text.error().text, false);
    return parse_settings(*text, path);
}

} // namespace postern::policyd_spf
