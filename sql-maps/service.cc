// Listeners to sessions, sessions to tables.
#include "sql-maps/service.h"

#include "sql-maps/postfix_version.h"
#include "sql-maps/together.h"

namespace postern::sql_maps {

namespace {

constexpr auto postconf_timeout = std::chrono::seconds(5);

DomainList::TableLookup stock_tables(std::string address) {
    return [address = std::move(address)](std::string const& table, std::string_view key) {
        StockConnection stock(address);
        return stock_lookup(stock, table, key);
    };
}

} // namespace

SqlMaps::Generation::Generation(Settings read, bool client_waits, Log& log, Metrics& metrics)
    : settings(std::move(read)), named(std::make_shared<NamedMaps const>(settings.maps)),
      maps(settings.limits, stock_tables(settings.stock_proxymap), log, metrics), greets(client_waits) {}

SqlMaps::SqlMaps(Settings settings, std::string configuration, Log& log, Metrics& metrics)
    : configuration_(std::move(configuration)), log_(log), metrics_(metrics),
      generation_(std::make_shared<Generation>(std::move(settings), true, log, metrics)) {
    generation_->greets = greets(generation_->settings);
}

bool SqlMaps::greets(Settings const& settings) const {
    if (settings.proxymap_greeting != Greeting::automatic) return settings.proxymap_greeting == Greeting::yes;
    auto const version =
        postfix_version(settings.postfix_config_directory, Deadline::after(postconf_timeout));
    if (!version) {
        log_.warning("proxymap_greeting = auto: {}; taken for Postfix 3.6 or later", version.error().text);
        return true;
    }
    log_.info("postfix={} proxymap_greeting={}", *version, waits_for_greeting(*version) ? "yes" : "no");
    return waits_for_greeting(*version);
}

std::shared_ptr<SqlMaps::Generation> SqlMaps::current() const {
    std::lock_guard const lock(mutex_);
    return generation_;
}

Result<> SqlMaps::serve(daemon::Opening& opening, std::optional<net::ListenAddress> const& address,
                        std::string const& role, net::SessionFactory factory) {
    if (!address) return {};
    auto listener = opening.listen(*address, role);
    if (!listener) return std::unexpected(std::move(listener).error());
    net::ServerLimits limits;
    auto const& settings = current()->settings;
    limits.max_connections = static_cast<std::size_t>(settings.max_connections);
    servers_.push_back(std::make_unique<net::Crowd>(std::move(*listener), limits, settings.limits.pool_size,
                                                    std::move(factory), log_, metrics_, role));
    return {};
}

Result<> SqlMaps::open(daemon::Opening& opening) {
    auto const lookup = [](std::shared_ptr<Generation> const& now) -> TableLookup {
        return [now](std::string_view table, std::string_view key) { return now->maps.lookup(table, key); };
    };
    auto const named = [lookup](std::shared_ptr<Generation> const& now) {
        return NamedLookup(lookup(now), now->named, now->settings.rules);
    };
    auto const& settings = current()->settings;
    auto done = serve(opening, settings.proxymap_listen, "proxymap", [=, this](auto const&, auto) {
        auto const now = current();
        auto stock = std::make_unique<StockConnection>(now->settings.stock_proxymap);
        return std::make_unique<ProxymapSession>(lookup(now), std::move(stock), now->greets, log_,
                                                 std::shared_ptr<Maps>(now, &now->maps));
    });
    if (!done) return done;
    if (settings.proxymap_listen) {
        auto& crowd = *servers_.back();
        crowd.answer_together(
            [&crowd](std::vector<net::Crowd::Turn> turns) { answer_together(crowd, std::move(turns)); });
    }
    done = serve(opening, settings.socketmap_listen, "socketmap", [=, this](auto const&, auto) {
        return std::make_unique<SocketmapSession>(named(current()), log_);
    });
    if (!done) return done;
    return serve(opening, settings.tcp_table_listen, "tcp_table", [=, this](auto const&, auto) {
        auto const now = current();
        return std::make_unique<TcpTableSession>(named(now), now->settings.tcp_table_map);
    });
}

Result<> SqlMaps::start() {
    for (auto const& server : servers_) server->start();
    return {};
}

// Sockets stay as they were opened; everything else is new, the pools and what is known of tables too.
Result<> SqlMaps::reload() {
    auto [settings, problems] = read_settings(configuration_);
    for (auto const& problem : problems)
        if (problem.severity == config::Problem::Severity::error) return permanent(problem.to_string());
    bool const client_waits = greets(settings);
    auto next = std::make_shared<Generation>(std::move(settings), client_waits, log_, metrics_);
    {
        std::lock_guard const lock(mutex_);
        std::swap(generation_, next);
    }
    next->maps.forget(); // connections that are open go on with the old tables
    return {};
}

void SqlMaps::stop() {
    for (auto const& server : servers_) server->stop();
}

} // namespace postern::sql_maps
