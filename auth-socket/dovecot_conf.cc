// The auth part of a dovecot.conf: plain settings, passdb and userdb blocks, the listeners of "service auth".
#include "auth-socket/settings.h"

#include "auth-socket/users/filters.h"
#include "common/base/text.h"
#include "common/http/http.h"
#include "common/json/json.h"

#include <algorithm>
#include <array>

namespace postern::auth_socket {

namespace {

using config::Block;
using config::Problem;

void complain(std::vector<Problem>& problems, config::Place const& place, std::string text) {
    problems.push_back({Problem::Severity::error, place, std::move(text)});
}

std::string_view last_component(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// Is this one of ours? auth_socket_path belongs to the programs that connect, auth_stats to nobody.
bool is_auth_setting(std::string_view name) {
    return name.starts_with("auth_") && name != "auth_socket_path" && name != "auth_stats" &&
           name != "auth_proxy_self" && name != "auth_allow_cleartext";
}

struct StockListener {
    std::string_view path;
    unsigned mode;
    bool internal_user; // owned by default_internal_user
    bool needed;        // without Dovecot's own login processes, too
};
constexpr std::array stock_listeners{
    StockListener{"login/login", 0666, false, false},
    StockListener{"token-login/tokenlogin", 0666, false, false},
    StockListener{"auth-login", 0600, true, false},
    StockListener{"auth-token", 0600, true, false},
    StockListener{"auth-client", 0600, true, true},
    StockListener{"auth-userdb", 0666, true, true},
    StockListener{"auth-master", 0600, false, false},
};

StockListener const* find_stock(std::string_view path, std::string const& base_dir) {
    if (path.starts_with(base_dir + "/")) path.remove_prefix(base_dir.size() + 1);
    auto const at = std::ranges::find(stock_listeners, path, &StockListener::path);
    return at == stock_listeners.end() ? nullptr : &*at;
}

TemporaryFailure temporary_failure(std::string const& path, OwnSettings const& own) {
    using enum TemporaryFailure;
    auto const& choice = own.temp_fail_close;
    if (choice == "auto") return path.contains("/private/") ? closes : closes_for_minor_0;
    if (choice == "all") return closes;
    auto const paths = split_words(choice, " \t,");
    return choice != "none" && std::ranges::find(paths, path) != paths.end() ? closes : is_told;
}

class ListenerReader {
  public:
    ListenerReader(Settings const& settings, OwnSettings const& own, std::vector<Problem>& problems)
        : settings_(settings), own_(own), problems_(problems) {}

    std::vector<ListenerSettings> read(Block const* service) {
        if (service != nullptr) {
            for (auto const* block : service->all("unix_listener")) add_unix(*block);
            for (auto const* block : service->all("inet_listener")) add_inet(*block);
        }
        using enum OwnSettings::StockListeners;
        auto const stock = own_.stock_listeners == yes || (own_.stock_listeners == automatic && !left_to_us_);
        for (auto const& each : stock_listeners)
            if (stock && each.needed) add_stock(each);
        return std::move(listeners_);
    }

  private:
    std::string absolute(std::string_view path) const {
        return path.starts_with("/") ? std::string(path) : settings_.base_dir + "/" + std::string(path);
    }

    std::string name_value(Block const& block, std::string_view setting) const {
        auto const value = block.value(setting).value_or("");
        auto const is_internal = value == "$default_internal_user" || value == "$SET:default_internal_user";
        return is_internal ? settings_.internal_user : value;
    }

    void add(net::ListenAddress address, Role role, config::Place const& place) {
        auto listener = listener_on(address.address, role, own_);
        listener.address = std::move(address);
        listener.place = place;
        listeners_.push_back(std::move(listener));
    }

    // A mistyped one would leave the socket with an owner or mode that nobody meant.
    void check_names(Block const& block, std::vector<std::string_view> const& known) {
        for (auto const& each : block.settings)
            if (std::ranges::find(known, each.name) == known.end())
                complain(problems_, each.place, config::unknown_setting(each.name, known));
    }

    void add_unix(Block const& block) {
        check_names(block, {"path", "mode", "user", "group", "type"});
        auto const path = absolute(block.name);
        net::ListenAddress address;
        address.address.path = path;
        address.owner = name_value(block, "user");
        address.group = name_value(block, "group");
        address.mode = 0600;
        if (auto const* mode = block.assignment("mode")) {
            auto const read = config::parse_mode(mode->value);
            if (!read) return complain(problems_, mode->place, "mode: " + read.error().text);
            address.mode = *read;
        }
        if (address.mode == 0U) { // Dovecot leaves the path to us
            left_to_us_ = true;
            auto const* stock = find_stock(block.name, settings_.base_dir);
            address.mode = stock != nullptr ? stock->mode : address.owner.empty() ? 0600 : 0660;
            if (stock != nullptr && stock->internal_user && address.owner.empty())
                address.owner = settings_.internal_user;
        }
        // 2.4: auth, auth-legacy, login, master, userdb, token or token-login.
        auto const type = block.value("type");
        auto const role = type ? role_of("-" + replace_all(*type, "-", "")) : role_of(path);
        add(std::move(address), role, block.place);
    }

    void add_inet(Block const& block) {
        check_names(block, {"name", "port", "address", "listen", "ssl", "reuse_port", "haproxy", "type"});
        auto const* port = block.assignment("port");
        if (port == nullptr) // Dovecot's default is 0, none
            return problems_.push_back({Problem::Severity::warning, block.place,
                                        "inet_listener: without a port it listens nowhere"});
        auto const number = parse_number<std::uint16_t>(port->value);
        if (!number) return complain(problems_, port->place, "port: not a port: " + printable(port->value));
        if (*number == 0) return;
        auto const hosts = block.value("address").value_or(block.value("listen").value_or("*"));
        for (auto const host : split_words(hosts, " \t,")) {
            net::ListenAddress address;
            address.address.kind = host.contains(':') ? net::Address::Kind::inet6 : net::Address::Kind::inet;
            address.address.host = host == "*" || host == "::" ? std::string() : std::string(host);
            address.address.port = *number;
            add(std::move(address), role_of(block.name), block.place);
        }
    }

    void add_stock(StockListener const& stock) {
        auto const path = absolute(stock.path);
        auto const there = [&](ListenerSettings const& each) { return each.address.address.path == path; };
        if (std::ranges::any_of(listeners_, there)) return;
        net::ListenAddress address;
        address.address.path = path;
        address.mode = stock.mode;
        if (stock.internal_user) address.owner = settings_.internal_user;
        add(std::move(address), role_of(path), {});
    }

    Settings const& settings_;
    OwnSettings const& own_;
    std::vector<Problem>& problems_;
    std::vector<ListenerSettings> listeners_;
    bool left_to_us_ = false;
};

} // namespace

ListenerSettings listener_on(net::Address const& address, Role role, OwnSettings const& own) {
    ListenerSettings listener;
    listener.address.address = address;
    listener.role = role;
    if (role == Role::client) listener.temporary_failure = temporary_failure(address.path, own);
    return listener;
}

Role role_of(std::string_view path) {
    auto name = last_component(path);
    if (name == "mux") return Role::mux;
    if (auto const dash = name.rfind('-'); dash != std::string_view::npos) name = name.substr(dash + 1);
    if (name == "login") return Role::login;
    if (name == "master") return Role::master;
    if (name == "userdb") return Role::userdb;
    if (name == "token") return Role::token;
    if (name == "tokenlogin") return Role::token_login;
    return Role::client;
}

std::string_view to_string(Role role) {
    switch (role) {
    case Role::client: return "client";
    case Role::login: return "login";
    case Role::master: return "master";
    case Role::userdb: return "userdb";
    case Role::token: return "token";
    case Role::token_login: return "tokenlogin";
    case Role::mux: return "mux";
    }
    return "";
}

std::vector<ListenerSettings> understand_listeners(Block const& root, Settings const& settings,
                                                   OwnSettings const& own, std::vector<Problem>& problems) {
    return ListenerReader(settings, own, problems).read(root.find("service", "auth"));
}

namespace {

using Assignments = std::vector<config::Assignment>;

// Where a setting got the value that counts; the last one does.
config::Place place_of(std::string_view name, Assignments const& assignments) {
    config::Place place;
    for (auto const& each : assignments)
        if (each.name == name) place = each.place;
    return place;
}

void check_mechanisms(Settings const& settings, config::Place const& place, std::vector<Problem>& problems) {
    auto const is_for_tokens = [](std::string_view name) {
        return name == "OAUTHBEARER" || name == "XOAUTH2";
    };
    for (auto const& name : settings.unserved_mechanisms)
        problems.push_back(
            {Problem::Severity::warning, place, "auth_mechanisms: " + name + " is not served"});
    if (std::ranges::none_of(settings.client.mechanisms, is_for_tokens)) return;
    if (!json::is_available())
        complain(problems, place,
                 "OAUTHBEARER and XOAUTH2: this auth-socket was built without nlohmann-json");
    auto const takes_tokens = [&](DatabaseBlock const& block) {
        return block.driver == "oauth2" &&
               std::ranges::any_of(block.mechanisms, [&](auto const& name) { return is_for_tokens(name); });
    };
    if (std::ranges::none_of(settings.passdbs, takes_tokens))
        problems.push_back(
            {Problem::Severity::warning, place,
             "auth_mechanisms has OAUTHBEARER or XOAUTH2, but no passdb oauth2 checks tokens"});
}

// A later 2.4 may know more names than this table; a mistyped one is to be told all the same.
void warn_of_unknown(Block const& root, std::vector<Problem>& problems) {
    std::vector<std::string_view> known;
    for (auto const& row : dovecot_table().rows()) known.push_back(row.name);
    for (auto const& each : root.settings)
        if (is_auth_setting(each.name) && dovecot_table().find(each.name) == nullptr)
            problems.push_back(
                {Problem::Severity::warning, each.place, config::unknown_setting(each.name, known)});
}

void check_policy(Settings const& settings, config::Place const& place, std::vector<Problem>& problems) {
    auto const& policy = settings.policy;
    if (policy.server_url.empty()) return;
    if (policy.hash_nonce.empty())
        complain(problems, place, "auth_policy_server_url needs auth_policy_hash_nonce");
    if (!http::is_available() || !json::is_available())
        complain(problems, place,
                 "auth_policy_server_url: this auth-socket was built without libcurl or nlohmann-json");
}

// Dovecot's auth has passdbs and settings of their own for a protocol or a client's network. What is within
// such a block may be there to keep somebody out: it is not passed over in silence.
void check_narrow_blocks(Block const& root, std::vector<Problem>& problems) {
    for (auto const* kind : {"protocol", "remote", "local", "local_name"})
        for (auto const* block : root.all(kind)) {
            auto const where = std::string(kind) + " " + block->name + " { }";
            for (auto const* database : {"passdb", "userdb"})
                for (auto const* inner : block->all(database))
                    complain(problems, inner->place,
                             std::string(database) + " within " + where +
                                 ": auth-socket has the same for all clients");
            for (auto const& each : block->settings)
                if (is_auth_setting(each.name) && dovecot_table().find(each.name) != nullptr)
                    problems.push_back({Problem::Severity::warning, each.place,
                                        each.name + " has no effect within " + where +
                                            ": auth-socket has the same for all clients"});
            check_narrow_blocks(*block, problems);
        }
}

} // namespace

Settings understand_dovecot(Block const& root, OwnSettings const& own, std::vector<Problem>& problems) {
    Settings settings;
    auto const newer = is_dovecot24(root);
    if (newer) settings.client.protocol_minor = dovecot24_client_protocol_minor;
    Assignments ours;
    for (auto const& each : root.settings)
        if (dovecot_table().find(each.name) != nullptr || (is_auth_setting(each.name) && !newer))
            ours.push_back(each);
    if (newer) {
        warn_of_unknown(root, problems);
        for (auto& each : ours)
            if (each.name == "auth_username_format") each.value = with_braces_only(each.value);
    }
    for (auto const* kind : {"auth_mechanisms", "auth_realms"}) // auth_mechanisms { plain = yes }
        for (auto const* block : root.all(kind)) {
            config::Assignment list{kind, "", block->place};
            for (auto const& each : block->settings)
                if (config::parse_boolean(each.value).value_or(false)) list.value += each.name + " ";
            ours.push_back(std::move(list));
        }
    for (auto const* block : root.all("auth_policy_request_attributes")) { // 2.4: a list of pairs
        config::Assignment list{"auth_policy_request_attributes", "", block->place};
        for (auto const& each : block->settings) list.value += each.name + "=" + each.value + " ";
        ours.push_back(std::move(list));
    }
    auto const found = dovecot_table().apply(settings, ours);
    problems.insert(problems.end(), found.begin(), found.end());
    if (auto const* service = root.find("service", "auth"); service != nullptr) {
        settings.service_user = service->value("user").value_or("");
        if (settings.service_user.ends_with("default_internal_user")) settings.service_user.clear();
    }
    settings.passdbs = understand_databases(root, "passdb", problems);
    if (newer) add_dovecot24_tokens(root, settings, problems);
    settings.userdbs = understand_databases(root, "userdb", problems);
    check_narrow_blocks(root, problems);
    check_mechanisms(settings, place_of("auth_mechanisms", ours), problems);
    check_policy(settings, place_of("auth_policy_server_url", ours), problems);
    if (settings.passdbs.empty()) complain(problems, root.place, "no passdb { } block: nobody could log in");
    settings.listeners = understand_listeners(root, settings, own, problems);
    if (settings.listeners.empty()) complain(problems, root.place, "no listener in service auth { }");
    return settings;
}

} // namespace postern::auth_socket
