// Takes stock, plans, and runs or reports.
#include "milter-dkim/tools/rotate/rotate.h"

#include "milter-dkim/tools/rotate/report.h"

#include <fmt/format.h>

#include <iterator>
#include <memory>
#include <thread>

namespace postern::milter_dkim::tools {

namespace {

std::unique_ptr<Publisher> make_publisher(RotateOptions const& options, DnsServers& servers) {
    switch (options.publish) {
    case RotateOptions::Publish::print: break;
    case RotateOptions::Publish::update: return update_publisher(servers, options.key);
    case RotateOptions::Publish::command:
        return command_publisher(options.command, !options.authority.primary.empty());
    }
    return print_publisher();
}

// Null: there is no way to tell the daemon, which is better known before a key is switched.
std::unique_ptr<Reloader> make_reloader(RotateOptions const& options, Settings const& settings) {
    if (!options.reload_command.empty()) return command_reloader(options.reload_command);
    if (settings.pid_file.empty()) return nullptr;
    return signal_reloader(settings.pid_file);
}

bool report_problems(Inventory const& inventory, Log& log) {
    for (auto const& problem : inventory.problems)
        log.write(problem.severity == config::Problem::Severity::error ? LogLevel::error : LogLevel::debug,
                  problem.to_string());
    return !config::has_errors(inventory.problems);
}

int exit_code(Rotator::Summary const& summary) {
    if (summary.failed > 0) return daemon::exit_failure;
    return summary.waiting > 0 ? daemon::exit_temporary : daemon::exit_ok;
}

} // namespace

int rotate(RotateOptions const& options, dns::Resolver& resolver, DnsServers& servers, Log& log) {
    auto const inventory = take_inventory(options.rotator.configuration);
    if (!report_problems(inventory, log)) return daemon::exit_configuration;
    auto const reloader = make_reloader(options, inventory.settings);
    if (reloader == nullptr)
        return log.error("{} has no PidFile: say with --reload how the daemon is reloaded",
                         options.rotator.configuration),
               daemon::exit_configuration;
    auto const store = options.dry_run
                           ? Result<RotationStore>(RotationStore::for_reading(options.state_directory))
                           : RotationStore::open(options.state_directory);
    if (!store)
        return log.error("{}", store.error().text), store.error().kind == ErrorKind::temporary
                                                        ? daemon::exit_temporary
                                                        : daemon::exit_configuration;
    auto rotations = store->load();
    if (!rotations) return log.error("{}", rotations.error().text), daemon::exit_configuration;
    auto plan = make_plan(inventory, *rotations, options.plan);
    if (!plan) return log.error("{}", plan.error().text), daemon::exit_configuration;
    for (auto const& note : plan->notes) log.debug("{}", note);
    std::ranges::move(plan->rotations, std::back_inserter(*rotations));

    auto const publisher = make_publisher(options, servers);
    Authorities const authorities(options.authority, resolver, servers);
    if (options.dry_run) {
        ReportParts const parts{options.rotator, inventory, authorities,
                                *publisher,      *reloader, options.plan.now};
        for (auto const& rotation : *rotations) fmt::print("{}", rotation_report(rotation, parts));
        if (rotations->empty()) fmt::print("nothing to do\n");
        return daemon::exit_ok;
    }
    Rotator rotator(options.rotator,
                    {*store, authorities, *publisher, *reloader, log, [&] { return options.plan.now; },
                     [&] { std::this_thread::sleep_for(options.interval); }});
    return exit_code(rotator.run(std::move(*rotations)));
}

} // namespace postern::milter_dkim::tools
