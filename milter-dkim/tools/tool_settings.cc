// Reading and reporting.
#include "milter-dkim/tools/tool_settings.h"

#include "common/daemon/startup.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace postern::milter_dkim::tools {

namespace {

constexpr std::string_view places[] = {"/etc/postern/opendkim.conf", "/etc/opendkim.conf",
                                       "/etc/opendkim/opendkim.conf"};

} // namespace

std::optional<Settings> read_tool_settings(std::string const& program,
                                           std::optional<std::string> const& given) {
    auto const path = given.value_or(daemon::first_existing(places));
    if (!given && ::access(path.c_str(), R_OK) != 0) return Settings();
    auto loaded = read_settings(path, {});
    if (config::has_errors(loaded.problems)) {
        daemon::report_problems(program, loaded.problems);
        return std::nullopt;
    }
    if (auto const& base = loaded.settings.base_directory; !base.empty() && ::chdir(base.c_str()) != 0) {
        std::fprintf(stderr, "%s: %s\n", program.c_str(), system_error(base, errno).error().text.c_str());
        return std::nullopt;
    }
    return std::move(loaded.settings);
}

Result<std::unique_ptr<dns::Resolver>> tool_resolver(Settings const& settings, Log& log, Metrics& metrics) {
    dns::ResolverSettings wanted;
    wanted.nameservers = settings.nameservers;
    wanted.trust_anchor_file = settings.trust_anchor_file;
    if (!settings.resolver_configuration.empty())
        wanted.unbound_configuration = {settings.resolver_configuration};
    return dns::make_unbound_resolver(wanted, log, metrics);
}

} // namespace postern::milter_dkim::tools
