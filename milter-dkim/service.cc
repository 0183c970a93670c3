// Starts, reloads and stops the milter.
#include "milter-dkim/service.h"

#include "common/base/text.h"
#include "common/daemon/command_line.h"
#include "common/dns/unbound.h"
#include "milter-dkim/tables/data_set_sql.h"

#include <fmt/format.h>
#include <unistd.h>

namespace postern::milter_dkim {

namespace {

// Of what a running lookup may take, this much is waited for; the MTA tries the message again.
constexpr auto stop_grace = std::chrono::milliseconds(600);

bool same_dns(Settings const& a, Settings const& b) {
    return a.nameservers == b.nameservers && a.resolver_configuration == b.resolver_configuration &&
           a.trust_anchor_file == b.trust_anchor_file && a.dns_connect == b.dns_connect;
}

Result<std::shared_ptr<dns::Resolver>> make_resolver(Settings const& settings, Log& log, Metrics& metrics) {
    dns::ResolverSettings wanted;
    wanted.nameservers = settings.nameservers;
    wanted.trust_anchor_file = settings.trust_anchor_file;
    wanted.tcp_only = settings.dns_connect;
    if (!settings.resolver_configuration.empty())
        wanted.unbound_configuration = {settings.resolver_configuration};
    auto made = dns::make_unbound_resolver(wanted, log, metrics);
    if (!made) return std::unexpected(std::move(made.error()).within("resolver"));
    return std::shared_ptr<dns::Resolver>(std::move(*made));
}

} // namespace

LoadedConfiguration load_configuration(std::string const& path,
                                       std::vector<config::Assignment> const& command_line, Log& log,
                                       Metrics& metrics) {
    auto loaded = read_settings(path, command_line);
    auto configuration = Configuration::make(
        std::move(loaded.settings), DataSetOpener(database_opener(log, metrics)), log, loaded.problems);
    return {std::move(configuration), std::move(loaded.problems)};
}

daemon::Process process_of(Settings const& settings) {
    daemon::Process process;
    process.name = "milter-dkim";
    process.user = settings.user_id;
    process.pid_file = settings.pid_file;
    process.root_directory = settings.change_root_directory;
    process.umask = settings.umask;
    process.background = settings.background;
    process.reload_on_usr1 = true;
    process.core_dumps = settings.enable_coredumps;
    if (!settings.metrics_listen.empty())
        if (auto address = net::parse_listen_address(settings.metrics_listen))
            process.metrics_listen = *address;
    if (settings.auto_restart)
        process.auto_restart = {settings.auto_restart_count, settings.auto_restart_rate.count,
                                settings.auto_restart_rate.span};
    return process;
}

Service::Service(std::shared_ptr<Configuration const> configuration, Load load, Log& log, Metrics& metrics)
    : load_(std::move(load)), log_(log), metrics_(metrics), outcomes_(metrics),
      oldest_key_(metrics.gauge("postern_dkim_oldest_key_timestamp_seconds",
                                "When the oldest key file was last changed; its age is time() less this.")),
      first_(std::move(configuration)) {}

Service::~Service() = default;

Result<> Service::open(daemon::Opening& opening) {
    auto const address = net::parse_listen_address(first_->settings.socket);
    if (!address) return std::unexpected(address.error());
    auto listener = opening.listen(*address, "milter");
    if (!listener) return std::unexpected(std::move(listener.error()));
    listener_.emplace(std::move(*listener));
    return {};
}

std::shared_ptr<Generation const> Service::current() const {
    std::lock_guard const lock(mutex_);
    return current_;
}

Result<std::shared_ptr<Generation const>> make_generation(std::shared_ptr<Configuration const> configuration,
                                                          Generation const* before, Log& log,
                                                          Metrics& metrics,
                                                          std::optional<std::int64_t> fixed_time) {
    auto made = std::make_shared<Generation>();
    made->fixed_time = fixed_time;
    if (before != nullptr) made->reporter = before->reporter;
    if (before != nullptr && same_dns(before->configuration->settings, configuration->settings))
        made->resolver = before->resolver;
    else {
        auto resolver = make_resolver(configuration->settings, log, metrics);
        if (!resolver) return std::unexpected(std::move(resolver.error()));
        made->resolver = std::move(*resolver);
    }
    made->configuration = std::move(configuration);
    return made;
}

Result<> Service::start() {
    auto made = make_generation(first_, nullptr, log_, metrics_);
    if (!made) return std::unexpected(std::move(made.error()));
    oldest_key_.set((*made)->configuration->oldest_key);
    {
        std::lock_guard const lock(mutex_);
        current_ = std::move(*made);
    }
    first_.reset();
    auto const address = listener_->address().to_string();
    milter_.emplace(
        std::move(*listener_), negotiation(*current()->configuration),
        [this](milter::Offered offered) {
            return std::make_unique<Session>(current(), offered, log_, outcomes_);
        },
        log_, metrics_);
    milter_->start();
    log_.info("OpenDKIM Filter v2.11.0 starting (Postern milter-dkim {}, {})", POSTERN_VERSION, address);
    return {};
}

Result<> Service::reload() {
    auto loaded = load_();
    for (auto const& problem : loaded.problems)
        log_.write(problem.severity == config::Problem::Severity::error ? LogLevel::error : LogLevel::warning,
                   problem.to_string());
    if (config::has_errors(loaded.problems)) return permanent("the configuration has errors, told above");
    auto made = make_generation(std::move(loaded.configuration), current().get(), log_, metrics_);
    if (!made) return std::unexpected(std::move(made.error()));
    milter_->renegotiate(negotiation(*(*made)->configuration));
    oldest_key_.set((*made)->configuration->oldest_key);
    std::lock_guard const lock(mutex_);
    current_ = std::move(*made);
    return {};
}

void Service::stop() {
    bool const drained = milter_->stop(stop_grace);
    log_.info("OpenDKIM Filter v2.11.0 terminating with status 0, errno = 0");
    if (drained) return;
    log_.warning("a message still waits for the DNS; the MTA will try it again");
    // Its session uses what this process would take down now.
    ::_exit(daemon::exit_ok);
}

} // namespace postern::milter_dkim
