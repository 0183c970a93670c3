// Listeners, threads, reload.
#include "lmtp-deliver/service.h"

namespace postern::lmtp_deliver {

namespace {

// A delivery that was begun is finished: ended half way it would be sent a second time.
constexpr std::chrono::seconds drain_timeout{60};

} // namespace

struct LmtpService::Live {
    Live(Configuration from, Executor& executor, Concurrency& concurrency, Log& log, Metrics& metrics)
        : configuration(std::move(from)),
          users(configuration.userdb_address(), configuration.own.userdb_timeout),
          delivery(configuration.settings.mail, executor, log),
          context{users, delivery, concurrency, log, metrics, unix_time, {}} {}

    Configuration configuration;
    UserdbClient users;
    MailDelivery delivery;
    SessionContext context;
};

LmtpService::LmtpService(Configuration configuration, Reread reread, Log& log, Metrics& metrics)
    : reread_(std::move(reread)), log_(log), metrics_(metrics), names_(this_host()),
      depositor_(files_, names_, log), own_executor_(depositor_, log),
      live_(std::make_shared<Live>(std::move(configuration), own_executor_, concurrency_, log, metrics)) {}

LmtpService::~LmtpService() = default;

std::shared_ptr<LmtpService::Live> LmtpService::current() const {
    std::lock_guard const lock(live_mutex_);
    return live_;
}

Result<> LmtpService::open(daemon::Opening& opening) {
    // Before anything else is open, so that the process that stays root holds nothing but its own socket.
    if (live_->configuration.needs_broker()) {
        auto const& settings = live_->configuration.settings;
        if (live_->configuration.process_user().empty())
            log_.warning("lmtp: there is no user {}: the process that faces the network stays root",
                         settings.internal_user);
        auto broker = Broker::start(depositor_, log_, settings.mail.first_valid_uid);
        if (!broker) return std::unexpected(broker.error());
        broker_.emplace(std::move(*broker));
        auto const before = live_; // holds the configuration that is copied
        live_ = std::make_shared<Live>(before->configuration, *broker_, concurrency_, log_, metrics_);
    }
    for (auto const& address : live_->configuration.settings.listeners) {
        auto listener = opening.listen(address, "lmtp");
        if (!listener) return std::unexpected(listener.error());
        opened_.push_back(std::move(*listener));
    }
    return {};
}

std::unique_ptr<net::Session> LmtpService::session(net::Peer const& peer) const {
    auto live = current();
    auto& context = live->context;
    auto const* settings = &live->configuration.settings.session;
    // The session's settings keep alive all that it works with.
    return std::make_unique<Session>(std::shared_ptr<SessionSettings const>(std::move(live), settings),
                                     context, peer);
}

Result<> LmtpService::start() {
    auto const& own = live_->configuration.own;
    net::ServerLimits limits;
    limits.max_connections = own.max_connections;
    limits.idle_timeout = own.idle_timeout;
    limits.drain_timeout = drain_timeout;
    limits.read_size = 65536;
    for (auto& listener : opened_) {
        log_.info("lmtp: listening on {}", listener.address().to_string());
        servers_.push_back(std::make_unique<net::Server>(
            std::move(listener), limits, [this](net::Peer const& peer, net::Waker) { return session(peer); },
            log_, metrics_, "lmtp"));
        servers_.back()->start();
    }
    opened_.clear();
    return {};
}

Result<> LmtpService::reload() {
    auto fresh = reread_();
    for (auto const& problem : fresh.problems) log_.warning("lmtp: {}", problem.to_string());
    if (config::has_errors(fresh.problems))
        return permanent("the configuration has errors; the old one stays in use");
    Executor& executor = broker_ ? static_cast<Executor&>(*broker_) : own_executor_;
    auto live = std::make_shared<Live>(std::move(fresh), executor, concurrency_, log_, metrics_);
    std::lock_guard const lock(live_mutex_);
    live_ = std::move(live);
    return {};
}

void LmtpService::stop() {
    for (auto& server : servers_) server->stop();
    servers_.clear();
}

bool LmtpService::failed() const { return broker_ && !broker_->alive(); }

} // namespace postern::lmtp_deliver
