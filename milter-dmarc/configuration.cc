// The settings file and the command line, with the files that they name read.
#include "milter-dmarc/configuration.h"

#include "common/dns/unbound.h"
#include "milter-dmarc/spf_check.h"

namespace postern::milter_dmarc {

namespace {

using config::Problem;

// The options that are settings too, by their letters.
void apply_command_line(Loaded& loaded, daemon::CommandLine const& line) {
    std::vector<config::Assignment> assignments;
    auto const take = [&](std::string_view option, std::string name) {
        if (auto value = line.value(option))
            assignments.push_back(
                {std::move(name), std::move(*value), {"option -" + std::string(option), 0}});
    };
    take("p", "Socket");
    take("P", "PidFile");
    take("u", "UserID");
    auto& settings = loaded.configuration->settings;
    auto problems = settings_table().apply(settings, assignments);
    loaded.problems.insert(loaded.problems.end(), problems.begin(), problems.end());
    if (line.has("f")) settings.background = false;
    if (line.has("l")) settings.syslog = true;
    if (line.has("A")) settings.auto_restart = true;
}

} // namespace

Loaded load_configuration(std::string const& path, daemon::CommandLine const& line) {
    Loaded loaded{std::make_shared<Configuration>(), {}};
    auto read = path.empty() ? SettingsResult{} : read_settings(path);
    loaded.problems = std::move(read.problems);
    auto& configuration = *loaded.configuration;
    configuration.settings = std::move(read.settings);
    apply_command_line(loaded, line);
    auto const& settings = configuration.settings;
    auto const problem = [&](std::string text) {
        loaded.problems.push_back(
            {Problem::Severity::error, {path.empty() ? "no configuration file" : path, 0}, std::move(text)});
    };

    if (!settings.socket && !line.has("t") && !config::has_errors(loaded.problems))
        problem("Socket is required, here or as -p");
    if (!settings.ignore_hosts.empty()) {
        auto hosts = HostList::load(settings.ignore_hosts);
        if (hosts)
            configuration.ignored_hosts = std::move(*hosts);
        else
            problem("IgnoreHosts: " + hosts.error().text);
    }
    auto suffixes = mail::PublicSuffixes::load(settings.public_suffix_list);
    if (suffixes)
        configuration.suffixes = std::make_shared<mail::PublicSuffixes const>(std::move(*suffixes));
    else
        problem("PublicSuffixList: " + suffixes.error().text);
    return loaded;
}

Result<> complete(Configuration& configuration, Configuration const* before, Log& log, Metrics& metrics) {
    if (before != nullptr && before->resolver &&
        before->settings.nameservers == configuration.settings.nameservers) {
        configuration.resolver = before->resolver;
    } else {
        dns::ResolverSettings settings;
        settings.nameservers = configuration.settings.nameservers;
        auto resolver = dns::make_unbound_resolver(settings, log, metrics);
        if (!resolver) return std::unexpected(std::move(resolver.error()).within("Nameservers"));
        configuration.resolver = std::move(*resolver);
    }
    configuration.check_spf = make_spf_check(configuration.resolver);
    return {};
}

daemon::Process process_of(Settings const& settings) {
    daemon::Process process;
    process.name = "milter-dmarc";
    process.user = settings.user;
    process.pid_file = settings.pid_file;
    process.working_directory = settings.base_directory;
    process.root_directory = settings.root_directory;
    process.umask = settings.umask;
    process.background = settings.background;
    process.reload_on_usr1 = true;
    process.core_dumps = settings.core_dumps;
    process.metrics_listen = settings.metrics_listen;
    if (settings.auto_restart)
        process.auto_restart = daemon::RestartPolicy{settings.auto_restart_count, settings.auto_restart_rate,
                                                     settings.auto_restart_period};
    return process;
}

} // namespace postern::milter_dmarc
