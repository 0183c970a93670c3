// Options, one group a function.
#include "milter-dkim/tools/rotate/options.h"

#include "common/base/text.h"
#include "common/daemon/startup.h"
#include "milter-dkim/tools/key_record.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <ctime>

namespace postern::milter_dkim::tools {

namespace {

using daemon::OptionSpec;

constexpr std::int64_t day = 86400;
constexpr int most_days = 3650;
constexpr std::string_view configurations[] = {"/etc/postern/opendkim.conf", "/etc/opendkim.conf",
                                               "/etc/opendkim/opendkim.conf"};

constexpr OptionSpec options[] = {
    daemon::help_option,
    daemon::version_option,
    {'x', "config", "FILE", "the opendkim.conf [/etc/postern, then where OpenDKIM has it]"},
    {'n', "dry-run", "", "say what would be done, and change nothing"},
    {'v', "verbose", "", "say why keys are left alone"},
    {'d', "domain", "NAME", "rotate this domain's keys only; may be repeated"},
    {0, "pattern", "TEXT", "the next selector; %Y %m %d %j %y %h %n [%Y%m]"},
    {0, "now", "", "rotate although the selector is this period's: 202611b"},
    {0, "after", "DAYS", "leave keys alone that are younger [0]"},
    {0, "keep", "DAYS", "then the old record's p= is emptied [14]"},
    {0, "type", "TYPE", "rsa or ed25519 [as the old key]"},
    {'b', "bits", "N", "bits of an RSA key [as the old key, 2048 at least]"},
    {'D', "directory", "DIR", "where new keys go [beside the old key]"},
    {0, "publish", "HOW", "nsupdate (RFC 2136) or print [print, or nsupdate with -k]"},
    {'k', "key", "FILE", "the TSIG key for it, as nsupdate -k takes it"},
    {0, "command", "TEXT", "publish by a command that reads an nsupdate script"},
    {0, "server", "ADDRESS[@PORT]", "the primary server [the zone's SOA]"},
    {0, "zone", "NAME", "the zone of the records [looked for]"},
    {0, "authority", "ADDRESS[@PORT]", "instead of the zone's NS records; may be repeated"},
    {0, "resolver", "ADDRESS[@PORT]", "for looking up zones and servers [the system's]"},
    {0, "port", "N", "of authoritative servers [53]"},
    {0, "ttl", "SECONDS", "of the new record [3600]"},
    {0, "wait", "TIME", "for all name servers; then the next run goes on [15m]"},
    {0, "interval", "TIME", "between two looks at them [10s]"},
    {0, "reload", "COMMAND", "instead of SIGUSR1 to the process of the PidFile"},
    {0, "state", "DIR", "where unfinished rotations are kept [/var/lib/postern/...]"},
    {0, "date", "YYYY-MM-DD", "take this for today"},
};

Result<int> number(daemon::CommandLine const& line, std::string_view option, int fallback, int lowest,
                   int highest) {
    auto const text = line.value(option);
    if (!text) return fallback;
    auto const value = config::parse_integer(*text, lowest, highest);
    if (!value) return std::unexpected(Error(value.error()).within(fmt::format("--{}", option)));
    return *value;
}

Result<std::chrono::milliseconds> duration(daemon::CommandLine const& line, std::string_view option,
                                           std::chrono::milliseconds fallback) {
    auto const text = line.value(option);
    if (!text) return fallback;
    auto const value = parse_duration(*text);
    if (!value) return permanent(fmt::format("--{}: \"{}\" is no time", option, printable(*text)));
    return *value;
}

Result<std::vector<net::Address>> servers(daemon::CommandLine const& line, std::string_view option,
                                          std::uint16_t port) {
    std::vector<net::Address> all;
    for (auto const& text : line.values(option)) {
        auto address = parse_dns_server(text, port);
        if (!address) return std::unexpected(Error(address.error()).within(fmt::format("--{}", option)));
        all.push_back(std::move(*address));
    }
    return all;
}

// Puts a result's value somewhere, or gives its error.
template <class T, class U>
Result<> put(U& where, Result<T> result) {
    if (!result) return std::unexpected(result.error());
    where = static_cast<U>(std::move(*result));
    return {};
}

Result<> read_plan(daemon::CommandLine const& line, std::int64_t now, PlanSettings& plan) {
    plan.now = now;
    if (auto const date = line.value("date"))
        if (auto done = put(plan.now, parse_date(*date)); !done) return done;
    plan.pattern = line.value("pattern").value_or(plan.pattern);
    std::array<char, 256> host{};
    ::gethostname(host.data(), host.size() - 1);
    plan.host = halve(host.data(), '.').before;
    plan.at_once = line.has("now");
    plan.directory = line.value("directory").value_or("");
    if (auto const type = line.value("type"))
        if (auto done = put(plan.type, parse_key_type(*type)); !done) return done;
    if (line.has("bits"))
        if (auto done = put(plan.bits, number(line, "bits", 0, 1024, largest_rsa_bits)); !done) return done;
    auto const age = number(line, "after", 0, 0, most_days);
    if (!age) return std::unexpected(age.error());
    plan.minimum_age = *age * day;
    for (auto const& domain : line.values("domain")) {
        plan.domains.push_back(to_lower(domain));
        if (auto good = check_domain(plan.domains.back()); !good) return good;
    }
    if (plan.pattern.contains("%n") && !line.has("after") && !plan.at_once)
        return permanent(
            "a --pattern with %n has a next selector at any time: say how old keys get with --after");
    auto const selector = expand_pattern(plan, "");
    return selector ? Result<>() : std::unexpected(selector.error());
}

Result<> read_publishing(daemon::CommandLine const& line, RotateOptions& read) {
    if (auto const file = line.value("key")) {
        auto key = read_tsig_key(*file);
        if (!key) return std::unexpected(key.error());
        read.key = std::move(*key);
    }
    if (auto const command = line.value("command")) {
        if (line.has("publish") || read.key)
            return permanent("--command stands alone, without --publish and -k");
        read.publish = RotateOptions::Publish::command;
        read.command = *command;
        return {};
    }
    auto const how = line.value("publish").value_or(read.key ? "nsupdate" : "print");
    if (how != "nsupdate" && how != "print")
        return permanent(fmt::format("--publish: \"{}\" is neither nsupdate nor print", printable(how)));
    read.publish = how == "print" ? RotateOptions::Publish::print : RotateOptions::Publish::update;
    return {};
}

Result<> read_authority(daemon::CommandLine const& line, RotateOptions& read) {
    auto& authority = read.authority;
    if (auto done = put(authority.port, number(line, "port", 53, 1, 65535)); !done) return done;
    if (auto done = put(authority.servers, servers(line, "authority", authority.port)); !done) return done;
    if (auto done = put(authority.primary, servers(line, "server", authority.port)); !done) return done;
    authority.zone = line.value("zone").value_or("");
    if (!authority.zone.empty())
        if (auto good = check_domain(authority.zone); !good) return good;
    auto const resolvers = servers(line, "resolver", 53);
    if (!resolvers) return std::unexpected(resolvers.error());
    for (auto const& each : *resolvers) read.resolver.push_back(to_text(each));
    return {};
}

Result<> read_times(daemon::CommandLine const& line, RotateOptions& read) {
    auto const keep = number(line, "keep", 14, 0, most_days);
    if (!keep) return std::unexpected(keep.error());
    read.rotator.keep = *keep * day;
    if (auto done = put(read.rotator.ttl, number(line, "ttl", 3600, 1, 604800)); !done) return done;
    if (auto done = put(read.rotator.wait, duration(line, "wait", read.rotator.wait)); !done) return done;
    return put(read.interval, duration(line, "interval", read.interval));
}

} // namespace

std::span<OptionSpec const> rotate_options() { return options; }

Result<RotateOptions> read_rotate_options(daemon::CommandLine const& line, std::int64_t now) {
    RotateOptions read;
    if (!line.operands().empty())
        return permanent(
            fmt::format("\"{}\" is no option; domains are given with -d", printable(line.operands()[0])));
    read.rotator.configuration = line.value("config").value_or(daemon::first_existing(configurations));
    read.dry_run = line.has("dry-run");
    read.verbose = line.has("verbose");
    read.reload_command = line.value("reload").value_or("");
    read.state_directory = line.value("state").value_or(read.state_directory);
    for (auto const& done : {read_plan(line, now, read.plan), read_publishing(line, read),
                             read_authority(line, read), read_times(line, read)})
        if (!done) return std::unexpected(done.error());
    return read;
}

Result<std::int64_t> parse_date(std::string_view text) {
    auto const parts = split(text, '-');
    auto const year = parts.size() == 3 ? parse_number<int>(parts[0]) : std::nullopt;
    auto const month = parts.size() == 3 ? parse_number<unsigned>(parts[1]) : std::nullopt;
    auto const date = parts.size() == 3 ? parse_number<unsigned>(parts[2]) : std::nullopt;
    if (year && month && date && *year >= 1970 && *year <= 9999) {
        std::chrono::year_month_day const found{std::chrono::year(*year), std::chrono::month(*month),
                                                std::chrono::day(*date)};
        if (found.ok()) return std::chrono::sys_days(found).time_since_epoch().count() * day;
    }
    return permanent(fmt::format("\"{}\" is no date; 2026-11-21", printable(text)));
}

std::string date_text(std::int64_t unix_seconds) {
    std::chrono::year_month_day const date{std::chrono::sys_days(std::chrono::days(unix_seconds / day))};
    return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
}

} // namespace postern::milter_dkim::tools
