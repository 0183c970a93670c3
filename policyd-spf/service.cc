// The daemon and the spawned process.
#include "policyd-spf/service.h"

#include "common/daemon/command_line.h"
#include "common/daemon/privileges.h"
#include "common/daemon/startup.h"

#include <sys/stat.h>

#include <csignal>
#include <cstdio>

namespace postern::policyd_spf {

namespace {

dns::ResolverSettings resolver_settings(Settings const& settings) {
    dns::ResolverSettings out;
    out.nameservers = settings.nameservers;
    out.cache_entries = settings.dns_cache_entries;
    return out;
}

void log_problems(std::vector<config::Problem> const& problems, LogLevel lowest, Log& log) {
    for (auto const& problem : problems) {
        bool const is_error = problem.severity == config::Problem::Severity::error;
        auto const level = is_error ? LogLevel::error : LogLevel::warning;
        if (level >= lowest) log.write(level, problem.to_string());
    }
}

// spawn(8) gives its program one socket as standard input, output and error: a line there would be an answer.
bool is_stderr_the_client() {
    struct stat out{};
    struct stat error{};
    return ::fstat(1, &out) != 0 || ::fstat(2, &error) != 0 ||
           (out.st_dev == error.st_dev && out.st_ino == error.st_ino);
}

std::unique_ptr<Log> open_log(bool standing, Settings const& settings) {
    std::unique_ptr<Log> log;
    if (!standing && is_stderr_the_client())
        log = std::make_unique<SyslogLog>("policyd-spf", "mail");
    else
        log = daemon::make_log({.identity = "policyd-spf"});
    if (settings.debug_level >= 5) log->set_threshold(LogLevel::debug);
    return log;
}

int serve_standard_streams(Settings settings, Log& log, Metrics& metrics) {
    std::signal(SIGPIPE, SIG_IGN);
    Surroundings surroundings(settings, log, metrics);
    Session session(std::make_shared<Settings const>(std::move(settings)), surroundings.shared());
    net::ServerLimits limits;
    limits.idle_timeout = std::chrono::hours(24); // the client decides how long it stays
    auto const done = net::run_session(session, 0, 1, limits);
    if (done || done.error().kind == ErrorKind::closed) return daemon::exit_ok;
    log.error("policyd-spf: {}", done.error().text);
    return daemon::exit_failure;
}

} // namespace

Surroundings::Surroundings(Settings const& settings, Log& log, Metrics& metrics)
    : log_(log), metrics_(metrics), resolver_(resolver_settings(settings), log, metrics),
      engine_(spf::make_libspf2_engine()), checker_(resolver_, *engine_) {}

Service::Service(Settings settings, std::string settings_path, net::ListenAddress address, Log& log,
                 Metrics& metrics)
    : settings_path_(std::move(settings_path)), address_(std::move(address)), log_(log), metrics_(metrics),
      surroundings_(settings, log, metrics),
      settings_(std::make_shared<Settings const>(std::move(settings))) {}

Result<> Service::open(daemon::Opening& opening) {
    auto listener = opening.listen(address_, "policy");
    if (!listener) return std::unexpected(std::move(listener.error()));
    listener_.emplace(std::move(*listener));
    return {};
}

Result<> Service::start() {
    if (auto opened = surroundings_.open(); !opened) return opened;
    net::ServerLimits limits;
    limits.max_connections = current()->max_connections;
    limits.idle_timeout = std::chrono::hours(1); // smtpd(8) closes after smtpd_policy_service_max_idle, 300 s
    server_.emplace(
        std::move(*listener_), limits,
        [this](net::Peer const&, net::Waker const&) {
            return std::make_unique<Session>(current(), surroundings_.shared());
        },
        log_, metrics_, "policy");
    server_->start();
    log_.info("listening address={} file={}", address_.address.to_string(), settings_path_);
    return {};
}

Result<> Service::reload() {
    auto read = read_settings(settings_path_);
    log_problems(read.problems, LogLevel::warning, log_);
    if (config::has_errors(read.problems)) return permanent(settings_path_ + " has errors");
    std::lock_guard const lock(settings_mutex_);
    settings_ = std::make_shared<Settings const>(std::move(read.settings));
    return {};
}

void Service::stop() {
    if (server_) server_->stop();
}

std::shared_ptr<Settings const> Service::current() const {
    std::lock_guard const lock(settings_mutex_);
    return settings_;
}

std::string user_of(Settings const& settings) {
    if (!settings.user.empty()) return settings.user;
    return daemon::find_identity("policyd-spf") ? "policyd-spf" : "nobody";
}

int serve(std::optional<std::string> const& listen, std::string const& settings_path, ReadSettings read,
          Metrics& metrics) {
    auto const log = open_log(listen.has_value(), read.settings);
    // Under spawn(8) a process starts every few minutes: warnings would only be repeated.
    if (read.settings.debug_level >= 0 || !read.usable)
        log_problems(read.problems, listen ? LogLevel::warning : LogLevel::error, *log);
    if (!read.usable) return listen ? daemon::exit_configuration : daemon::exit_failure;
    if (!listen) return serve_standard_streams(std::move(read.settings), *log, metrics);
    auto address = net::parse_listen_address(*listen);
    if (!address) {
        std::fprintf(stderr, "policyd-spf: --listen: %s\n", address.error().text.c_str());
        return daemon::exit_usage;
    }
    daemon::Process process;
    process.name = "policyd-spf";
    process.user = user_of(read.settings);
    if (!read.settings.metrics_listen.empty())
        process.metrics_listen =
            *net::parse_listen_address(read.settings.metrics_listen); // checked when read
    Service service(std::move(read.settings), settings_path, std::move(*address), *log, metrics);
    return daemon::run(service, process, *log, metrics);
}

} // namespace postern::policyd_spf
