// The daemon: its listeners, its workers, and the users as the configuration has them now.
#include "auth-socket/service.h"

#include "auth-socket/mux_session.h"
#include "auth-socket/policy/policed_authority.h"

#include <algorithm>
#include <array>
#include <thread>

#include <sys/stat.h>
#include <unistd.h>

namespace postern::auth_socket {

namespace {

// Postfix's and Dovecot's processes keep their connections for as long as they live.
constexpr std::chrono::hours idle_timeout{24 * 30};

constexpr std::chrono::seconds redis_connect_time{3};

redis::ServerSettings redis_server(OwnSettings const& own) {
    auto const& address = *own.penalty_redis;
    redis::ServerSettings server;
    server.path = address.path;
    server.host = address.host.empty() ? "127.0.0.1" : address.host;
    server.port = address.port;
    server.user = own.penalty_redis_user;
    server.password = own.penalty_redis_password;
    return server;
}

// They mostly wait, for token endpoints and the policy server, each for a few seconds at the most.
constexpr std::size_t web_threads = 100;

// No session waits for anything, so that a thread may take several requests at a time. With a thread for each
// core a request finds one that is awake, and the client's core is not the only one that works.
constexpr std::size_t batch = 16;
std::size_t session_threads() { return std::max(1U, std::thread::hardware_concurrency()); }

std::string host_name() {
    std::array<char, 256> name{};
    return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "localhost";
}

PenaltySettings penalty_settings(OwnSettings const& own) {
    PenaltySettings settings;
    settings.enabled = own.penalty;
    settings.shared = own.penalty_redis.has_value();
    return settings;
}

} // namespace

Configuration load_configuration(std::string const& dovecot_conf, OwnSettings const& own,
                                 Helper const& helper, Hashing& hashing, Log& log, Metrics& metrics,
                                 std::vector<config::Problem>& problems) {
    auto read = config::read_blocks(dovecot_conf);
    problems.insert(problems.end(), read.problems.begin(), read.problems.end());
    Configuration configuration;
    if (config::has_errors(problems)) return configuration;
    configuration.settings = understand_dovecot(read.root, own, problems);
    configuration.settings.client.mechanism.host_name = host_name();
    if (!config::has_errors(problems))
        configuration.users = load_users(configuration.settings, helper, hashing, log, metrics, problems);
    auto& mechanism = configuration.settings.client.mechanism;
    mechanism.token_scope = configuration.users.token_scope;
    mechanism.openid_configuration = configuration.users.openid_configuration;
    return configuration;
}

AuthService::AuthService(Configuration configuration, OwnSettings own, Loader loader, Helper& helper,
                         Log& log, Metrics& metrics, std::optional<MasterEnvironment> master)
    : own_(std::move(own)), loader_(std::move(loader)), helper_(helper), log_(log), metrics_(metrics),
      configuration_(std::make_shared<Configuration const>(std::move(configuration))),
      now_([] { return Deadline::Clock::now(); }), logins_(now_), penalties_(penalty_settings(own_), now_),
      workers_({.threads = configuration_->settings.workers}, metrics),
      web_workers_({.threads = web_threads}, metrics, "web"),
      user_workers_({.threads = configuration_->settings.workers}, metrics, "users"), counts_(metrics),
      surroundings_{workers_,
                    logins_,
                    penalties_,
                    log,
                    now_,
                    static_cast<std::uint32_t>(getpid()),
                    connection_ids_,
                    counts_,
                    nullptr,
                    &web_workers_,
                    &user_workers_},
      master_(std::move(master)) {
    configuration_ = finished(Configuration(*configuration_));
    if (own_.penalty_redis && own_.penalty)
        shared_penalties_.emplace(
            penalties_,
            [this] { return redis::connect(redis_server(own_), Deadline::after(redis_connect_time)); },
            own_.penalty_redis_key, log_);
}

std::shared_ptr<Configuration const> AuthService::finished(Configuration configuration) {
    configuration.authority = configuration.users.authenticator;
    auto const& policy = configuration.settings.policy;
    if (configuration.authority != nullptr && !policy.server_url.empty()) {
        auto server = std::make_shared<PolicyServer const>(
            policy, http::make_client({}, "postern-auth-socket"), now_, log_);
        configuration.authority = std::make_shared<PolicedAuthority const>(
            configuration.users.authenticator, std::move(server), web_workers_, log_);
    }
    if (configuration.users.cache) {
        std::lock_guard const lock(configuration_mutex_);
        std::erase_if(caches_, [](auto const& each) { return each.expired(); });
        caches_.push_back(configuration.users.cache);
    }
    return std::make_shared<Configuration const>(std::move(configuration));
}

// Login processes keep their connections for days, and with them the users of their first day.
std::size_t AuthService::flush_caches(std::vector<std::string> const& users) {
    std::lock_guard const lock(configuration_mutex_);
    std::size_t count = 0;
    for (auto const& each : caches_)
        if (auto const cache = each.lock()) count += cache->flush(users);
    return count;
}

std::shared_ptr<Configuration const> AuthService::current() const {
    std::lock_guard const lock(configuration_mutex_);
    return configuration_;
}

Result<> AuthService::open(daemon::Opening& opening) {
    auto const& passdbs = current()->settings.passdbs;
    auto const needs_root = [](DatabaseBlock const& block) {
        return block.driver == "pam" || block.driver == "shadow";
    };
    if (std::ranges::any_of(passdbs, needs_root))
        if (auto started = helper_.start(); !started) return started;

    if (auto listening = master_ ? adopt_listeners() : open_listeners(opening); !listening) return listening;
    auto const is_token = [](Opened const& each) {
        return each.settings.role == Role::token || each.settings.role == Role::token_login;
    };
    if (std::ranges::any_of(opened_, is_token)) surroundings_.tokens = read_tokens();
    return {};
}

Result<> AuthService::open_listeners(daemon::Opening& opening) {
    for (auto const& settings : current()->settings.listeners) {
        auto listener = opening.listen(settings.address, to_string(settings.role));
        if (!listener) return std::unexpected(std::move(listener.error()).within(settings.place.to_string()));
        opened_.push_back({settings, std::move(*listener)});
    }
    return {};
}

std::shared_ptr<Tokens const> AuthService::read_tokens() const {
    auto kept = Tokens::kept_in(current()->settings.base_dir + "/auth-token-secret.dat");
    if (kept) return std::make_shared<Tokens const>(std::move(*kept));
    log_.warning("auth: {}: tokens will be worth nothing after a restart", kept.error().text);
    return std::make_shared<Tokens const>();
}

// The master has made the sockets as the dovecot.conf says. All of them are answered here, also those that
// Dovecot has without being told.
Result<> AuthService::adopt_listeners() {
    auto descriptor = first_listening_descriptor;
    for (auto const& socket : master_->sockets) {
        net::Descriptor fd(descriptor++);
        auto address = bound_address(fd.get());
        if (!address) return std::unexpected(std::move(address.error()).within(socket.name));
        auto listener = net::Listener::adopt(std::move(fd), *address);
        if (!listener) return std::unexpected(std::move(listener.error()).within(socket.name));
        auto const role = role_of(socket.type.empty() ? address->path.empty() ? socket.name : address->path
                                                      : "-" + socket.type);
        opened_.push_back({listener_on(*address, role, own_), std::move(*listener)});
    }
    return {};
}

MasterSettings AuthService::master_settings(ListenerSettings const& listener) {
    MasterSettings settings;
    settings.master_role = listener.role == Role::master;
    settings.flush_cache = [this](std::vector<std::string> const& users) { return flush_caches(users); };
    struct stat status{};
    auto const& path = listener.address.address.path;
    if (!path.empty() && ::stat(path.c_str(), &status) == 0) {
        settings.checks_peer = (status.st_mode & 0777) == 0666;
        settings.socket_uid = status.st_uid;
        settings.socket_gid = status.st_gid;
    }
    return settings;
}

net::SessionFactory AuthService::factory(ListenerSettings const& listener) {
    if (listener.role == Role::master || listener.role == Role::userdb) {
        return [this, settings = master_settings(listener)](net::Peer const& peer, net::Waker waker) {
            return std::make_unique<MasterSession>(settings, current()->authority, surroundings_, peer,
                                                   std::move(waker));
        };
    }
    if (listener.role == Role::mux) {
        return [this](net::Peer const&, net::Waker waker) {
            auto const configuration = current();
            return std::make_unique<MuxSession>(configuration->settings.client.failure_delay,
                                                configuration->authority, surroundings_, std::move(waker));
        };
    }
    return [this, listener](net::Peer const&, net::Waker waker) -> std::unique_ptr<net::Session> {
        auto const configuration = current();
        auto settings = configuration->settings.client;
        settings.login_role = listener.role == Role::login || listener.role == Role::token_login;
        settings.token_role = listener.role == Role::token || listener.role == Role::token_login;
        settings.temporary_failure = listener.temporary_failure;
        return std::make_unique<ClientSession>(std::move(settings), configuration->authority, surroundings_,
                                               std::move(waker));
    };
}

Result<> AuthService::start() {
    surroundings_.server_pid = static_cast<std::uint32_t>(getpid());
    if (shared_penalties_) shared_penalties_->start();
    net::ServerLimits limits;
    limits.max_connections = own_.max_connections;
    limits.idle_timeout = idle_timeout;
    for (auto& [settings, listener] : opened_) {
        auto const name = listener.address().to_string();
        servers_.push_back(std::make_unique<net::Switchboard>(std::move(listener), limits, session_threads(),
                                                              factory(settings), log_, metrics_,
                                                              std::string(to_string(settings.role)), batch));
        servers_.back()->start();
        log_.info("auth: listening on {} ({})", name, to_string(settings.role));
    }
    opened_.clear();
    if (master_) master_link_.emplace(*master_).start(log_);
    return {};
}

Result<> AuthService::reload() {
    std::vector<config::Problem> problems;
    auto fresh = loader_(problems);
    for (auto const& problem : problems) log_.warning("auth: {}", problem.to_string());
    if (fresh.users.authenticator == nullptr)
        return permanent("the configuration has errors; the old one stays in use");
    auto whole = finished(std::move(fresh));
    std::lock_guard const lock(configuration_mutex_);
    configuration_.swap(whole); // the old one goes, with its database connections, after the lock
    return {};
}

void AuthService::stop() {
    master_link_.reset();
    for (auto& server : servers_) server->stop();
    servers_.clear();
    if (shared_penalties_) shared_penalties_->stop();
}

} // namespace postern::auth_socket
