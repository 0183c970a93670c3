// Reads Postfix's configuration through postconf(1), which knows best.
#include "sql-maps/import.h"

#include "common/base/text.h"
#include "common/daemon/command_line.h"
#include "sql-maps/postfix_version.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace postern::sql_maps {

namespace {

constexpr auto postconf_timeout = std::chrono::seconds(20);
constexpr std::string_view between_words = " \t,{}=";
// Nobody's address: what matters is whether the table answers, not what.
constexpr std::string_view probe = "postern-probe@example.invalid";

std::string shell_quoted(std::string_view text) { return "'" + replace_all(text, "'", "'\\''") + "'"; }

std::string edit(ParameterUse const& use, std::string const& directory, std::string const& value) {
    return fmt::format("postconf -c {} {} {}\n", shell_quoted(directory), use.is_command() ? "-F" : "-e",
                       shell_quoted(use.name + " = " + value));
}

Result<std::string> postconf(std::string const& directory, std::vector<std::string> const& options) {
    std::vector<std::string> command{"postconf", "-c", directory};
    command.insert(command.end(), options.begin(), options.end());
    return output_of(command, Deadline::after(postconf_timeout));
}

std::string listening_service(Settings const& settings) {
    auto const path = settings.proxymap_listen ? settings.proxymap_listen->address.path : std::string();
    return path.empty() ? "sqlmaps" : path.substr(path.rfind('/') + 1);
}

// One line a table: works or not, and which parameters name it.
bool try_tables(std::vector<ParameterUse> const& uses, Settings const& settings, Log& log) {
    Metrics metrics;
    Maps maps(settings.limits, [](auto const&, auto) { return Answer(); }, log, metrics);
    std::map<std::string, std::vector<std::string>> by_table;
    for (auto const& use : uses)
        for (auto const& table : use.tables)
            if (auto& names = by_table[table]; names.empty() || names.back() != use.name)
                names.push_back(use.name);
    bool good = true;
    for (auto const& [table, names] : by_table) {
        auto const answer = maps.lookup(table, probe);
        good = good && answer.has_value();
        fmt::print("{}  {}  ({})\n", answer ? "works " : "FAILS ", table, join(names, ", "));
    }
    return good;
}

// Somewhere stands "proxy:$name" or "proxy:${name}".
bool is_proxied_by_name(std::string_view output, std::string const& name) {
    if (output.contains("proxy:${" + name + "}") || output.contains("proxy:$(" + name + ")")) return true;
    auto const plain = "proxy:$" + name;
    for (auto at = output.find(plain); at != std::string_view::npos; at = output.find(plain, at + 1)) {
        auto const next = output.substr(at + plain.size()).substr(0, 1);
        if (next.empty() || !(is_alnum(next[0]) || next[0] == '_')) return true;
    }
    return false;
}

} // namespace

std::vector<ParameterUse> find_tables(std::string_view output) {
    std::vector<ParameterUse> uses;
    for (auto const line : split(output, '\n')) {
        auto const [before, after] = halve(line, '=');
        if (!after) continue;
        ParameterUse use{std::string(trim(before)), std::string(trim(*after)), "", {}};
        std::string_view rest = use.value;
        while (!rest.empty()) {
            auto const size = std::min(rest.find_first_of(between_words), rest.size());
            auto word = rest.substr(0, size);
            bool const is_proxied = word.starts_with("proxy:");
            auto const table = word.substr(is_proxied ? 6 : 0);
            if (parse_table_name(table)) {
                use.tables.emplace_back(table);
                if (!is_proxied) use.proxied += "proxy:";
            }
            auto const taken = std::min(size + 1, rest.size());
            use.proxied += rest.substr(0, taken);
            rest.remove_prefix(taken);
        }
        if (is_proxied_by_name(output, use.name)) use.proxied = use.value;
        if (!use.tables.empty()) uses.push_back(std::move(use));
    }
    return uses;
}

std::string switch_over(std::vector<ParameterUse> const& uses, std::string const& directory,
                        std::string const& service) {
    std::string out = fmt::format("postconf -c {} -e {}\n", shell_quoted(directory),
                                  shell_quoted("proxymap_service_name = " + service));
    for (auto const& use : uses)
        if (use.proxied != use.value) out += edit(use, directory, use.proxied);
    return out + fmt::format("postfix -c {} reload\n", shell_quoted(directory));
}

std::string switch_back(std::vector<ParameterUse> const& uses, std::string const& directory,
                        std::string const& before) {
    std::string out = fmt::format("postconf -c {} {}\n", shell_quoted(directory),
                                  before.empty() ? "-X proxymap_service_name"
                                                 : "-e " + shell_quoted("proxymap_service_name = " + before));
    for (auto const& use : uses)
        if (use.proxied != use.value) out += edit(use, directory, use.value);
    return out + fmt::format("postfix -c {} reload\n", shell_quoted(directory));
}

int import_tables(Settings settings, std::string const& directory, Log& log) {
    auto const main = postconf(directory, {"-n"});
    auto const commands = postconf(directory, {"-F", "*/*/command"});
    // With $name filled in, for the tables' paths; the commands keep the parameters as they stand.
    auto const main_filled = postconf(directory, {"-n", "-x"});
    auto const master_filled = postconf(directory, {"-P", "-x"});
    auto const own_service = postconf(directory, {"-n", "-h", "proxymap_service_name"});
    for (auto const* each : {&main, &commands, &main_filled, &master_filled, &own_service})
        if (!*each) {
            fmt::print(stderr, "sql-maps: {}\n", each->error().text);
            return daemon::exit_temporary;
        }
    settings.limits.directories.push_back(directory);
    auto const tables = find_tables(*main_filled + *master_filled);
    if (tables.empty()) {
        fmt::print("{} names no pgsql:, mysql: or sqlite: table.\n", directory);
        return daemon::exit_ok;
    }
    fmt::print("# Tables, each asked for {}:\n", probe);
    bool const good = try_tables(tables, settings, log);
    auto const uses = find_tables(*main + *commands);
    fmt::print("\n# Switch over, while sql-maps runs:\n{}",
               switch_over(uses, directory, listening_service(settings)));
    fmt::print("\n# Switch back:\n{}", switch_back(uses, directory, std::string(trim(*own_service))));
    return good ? daemon::exit_ok : daemon::exit_failure;
}

} // namespace postern::sql_maps
