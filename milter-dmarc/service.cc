// The daemon: the milter on its socket, the resolver, and the configuration that a reload replaces.
#include "milter-dmarc/service.h"

#include "common/base/secret.h"
#include "common/base/text.h"
#include "common/daemon/command_line.h"

#include <unistd.h>

namespace postern::milter_dmarc {

namespace {

// 0 to 99, for pct.
unsigned random_sample() {
    auto const octets = random_octets(2);
    return (static_cast<unsigned char>(octets[0]) * 256U + static_cast<unsigned char>(octets[1])) % 100U;
}

} // namespace

Service::Service(std::shared_ptr<Configuration> configuration, std::function<Loaded()> load, Log& log,
                 Metrics& metrics)
    : load_(std::move(load)), log_(log), metrics_(metrics), outcomes_(metrics),
      configuration_(std::move(configuration)) {}

Service::~Service() = default;

std::shared_ptr<Configuration const> Service::current() const {
    std::lock_guard const lock(configuration_mutex_);
    return configuration_;
}

Result<> Service::open(daemon::Opening& opening) {
    auto listener = opening.listen(*configuration_->settings.socket, "milter");
    if (!listener) return std::unexpected(std::move(listener.error()));
    listener_.emplace(std::move(*listener));
    return {};
}

std::unique_ptr<milter::Session> Service::new_session() {
    return std::make_unique<Session>(current(), log_, outcomes_, random_sample);
}

Result<> Service::start() {
    if (auto done = complete(*configuration_, nullptr, log_, metrics_); !done) return done;
    auto const& settings = configuration_->settings;
    log_.info("OpenDMARC Filter (Postern milter-dmarc v{}) starting on {}", POSTERN_VERSION,
              listener_->address().to_string());
    log_.info("additional trusted authentication services: {}",
              settings.trusted_authserv_ids.empty() ? "(none)" : join(settings.trusted_authserv_ids, ", "));
    milter_.emplace(
        std::move(*listener_), negotiation(settings), [this](milter::Offered) { return new_session(); }, log_,
        metrics_);
    milter_->start();
    return {};
}

Result<> Service::reload() {
    auto loaded = load_();
    for (auto const& problem : loaded.problems) {
        bool const is_error = problem.severity == config::Problem::Severity::error;
        log_.write(is_error ? LogLevel::error : LogLevel::warning, problem.to_string());
    }
    if (config::has_errors(loaded.problems)) return permanent("the configuration has errors, told above");
    if (auto done = complete(*loaded.configuration, current().get(), log_, metrics_); !done) return done;
    std::lock_guard const lock(configuration_mutex_);
    configuration_ = std::move(loaded.configuration);
    return {};
}

void Service::stop() {
    if (milter_->stop(stop_grace)) return;
    log_.warning("a message is still being judged after {} s; leaving it to the MTA's next try",
                 stop_grace.count());
    // Its session still uses what this process would take down now.
    ::_exit(daemon::exit_ok);
}

} // namespace postern::milter_dmarc
