// Reads the mail, lda, lmtp and quota part of a dovecot.conf.
#include "lmtp-deliver/settings.h"

#include "common/base/text.h"
#include "common/config/assignments.h"
#include "common/daemon/privileges.h"
#include "lmtp-deliver/maildir/file_name.h"

#include <fmt/format.h>
#include <netdb.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

namespace postern::lmtp_deliver {

namespace {

using config::Block;
using config::Problem;

void complain(std::vector<Problem>& problems, config::Place const& place, std::string text) {
    problems.push_back({Problem::Severity::error, place, std::move(text)});
}
void warn(std::vector<Problem>& problems, config::Place const& place, std::string text) {
    problems.push_back({Problem::Severity::warning, place, std::move(text)});
}

// The machine's full name, as Dovecot takes it when hostname is not set.
std::string full_host_name() {
    auto const name = this_host();
    addrinfo hints{};
    hints.ai_flags = AI_CANONNAME;
    addrinfo* found = nullptr;
    if (::getaddrinfo(name.c_str(), nullptr, &hints, &found) != 0 || found == nullptr) return name;
    std::unique_ptr<addrinfo, void (*)(addrinfo*)> const owned(found, ::freeaddrinfo);
    return found->ai_canonname != nullptr ? found->ai_canonname : name;
}

// The file's own settings, then those of protocol lmtp { }, which win.
std::vector<config::Assignment> own_part(Block const& root) {
    std::vector<config::Assignment> ours;
    auto const take = [&](Block const& block) {
        std::ranges::copy_if(block.settings, std::back_inserter(ours), [](config::Assignment const& each) {
            return dovecot_table().find(each.name) != nullptr;
        });
    };
    take(root);
    for (auto const* protocol : root.all("protocol"))
        if (protocol->name == "lmtp") take(*protocol);
    return ours;
}

void take_plugin(Block const& block, PluginSettings& plugin) {
    for (auto const* each : block.all("plugin"))
        for (auto const& setting : each->settings) plugin[setting.name] = setting.value;
}

InboxNamespace::Auto auto_of(Block const& mailbox) {
    auto const value = mailbox.value("auto").value_or("no");
    if (value == "create") return InboxNamespace::Auto::create;
    return value == "subscribe" ? InboxNamespace::Auto::subscribe : InboxNamespace::Auto::no;
}

InboxNamespace understand_namespace(Block const& root, std::vector<Problem>& problems) {
    InboxNamespace out;
    auto const namespaces = root.all("namespace");
    auto const is_inbox = [](Block const* each) {
        return config::parse_boolean(each->value("inbox").value_or("no")).value_or(false);
    };
    auto const inbox = std::ranges::find_if(namespaces, is_inbox);
    if (inbox == namespaces.end()) return out;
    auto const& block = **inbox;
    out.prefix = block.value("prefix").value_or("");
    if (auto const location = block.value("location"); location && !location->empty())
        out.location = *location;
    if (auto const* separator = block.assignment("separator");
        separator != nullptr && !separator->value.empty()) {
        if (separator->value.size() != 1)
            complain(problems, separator->place, "separator: must be one character");
        out.separator = separator->value[0];
    }
    for (auto const* mailbox : block.all("mailbox")) out.mailboxes[mailbox->name] = auto_of(*mailbox);
    return out;
}

void check_plugins(Block const& root, Settings& settings, std::vector<Problem>& problems) {
    auto const plugins = split_words(settings.mail_plugins);
    auto const has = [&](std::string_view name) { return std::ranges::find(plugins, name) != plugins.end(); };
    settings.mail.quota = has("quota");
    if (has("sieve"))
        warn(problems, root.place,
             "mail_plugins names sieve: scripts are not run, mail goes to INBOX or to the detail's folder");
    if (!settings.mail.quota) return;
    for (auto const& each : quota_roots(settings.mail.plugin))
        if (each.driver != "maildir")
            warn(problems, root.place,
                 fmt::format("{}: driver {} is not kept at delivery, only maildir is", each.setting,
                             each.driver));
    for (auto const& [name, value] : settings.mail.plugin)
        if (name.starts_with("quota_rule") && !value.contains('%'))
            if (auto const rule = parse_quota_rule(value); !rule)
                complain(problems, root.place, fmt::format("plugin {{ {} }}: {}", name, rule.error().text));
}

void check_location(Block const& root, Settings& settings, std::vector<Problem>& problems) {
    auto& location = settings.mail.location;
    if (location.empty()) location = "maildir:~/Maildir";
    auto const place =
        root.assignment("mail_location") != nullptr ? root.assignment("mail_location")->place : root.place;
    if (!starts_with_ignoring_case(settings.mail.inbox.location.value_or(location), "maildir:"))
        complain(
            problems, place,
            fmt::format("mail_location: only maildir:PATH is supported, not \"{}\"", printable(location)));
}

class ListenerReader {
  public:
    ListenerReader(Settings const& settings, std::vector<Problem>& problems)
        : settings_(settings), problems_(problems) {}

    std::vector<net::ListenAddress> read(Block const* service) {
        if (service != nullptr) {
            for (auto const* block : service->all("unix_listener")) add_unix(*block);
            for (auto const* block : service->all("inet_listener")) add_inet(*block);
        }
        // Beside a Dovecot that serves the others, only those it leaves to us.
        return std::move(left_to_us_.empty() ? all_ : left_to_us_);
    }

  private:
    void add_unix(Block const& block) {
        bool const stock = block.name == "lmtp" || block.name == settings_.base_dir + "/lmtp";
        unsigned const stock_mode = stock ? 0666 : 0600;
        net::ListenAddress address;
        address.address.path =
            block.name.starts_with("/") ? block.name : settings_.base_dir + "/" + block.name;
        address.owner = block.value("user").value_or("");
        address.group = block.value("group").value_or("");
        address.mode = stock_mode;
        if (auto const* mode = block.assignment("mode")) {
            auto const read = config::parse_mode(mode->value);
            if (!read) return complain(problems_, mode->place, "mode: " + read.error().text);
            address.mode = *read;
        }
        bool const ours = address.mode == 0U;
        if (ours) address.mode = stock_mode;
        (ours ? left_to_us_ : all_).push_back(std::move(address));
    }

    void add_inet(Block const& block) {
        auto const* port = block.assignment("port");
        if (port == nullptr) return complain(problems_, block.place, "inet_listener without a port");
        auto const number = parse_number<std::uint16_t>(port->value);
        if (!number) return complain(problems_, port->place, "port: not a port: " + printable(port->value));
        if (*number == 0) return;
        if (config::parse_boolean(block.value("ssl").value_or("no")).value_or(true))
            complain(problems_, block.place, "inet_listener with ssl: LMTP is served without TLS");
        auto const hosts = block.value("address").value_or("*");
        for (auto const host : split_words(hosts, " \t,")) {
            net::ListenAddress address;
            address.address.kind = host.contains(':') ? net::Address::Kind::inet6 : net::Address::Kind::inet;
            address.address.host = host == "*" || host == "::" ? std::string() : std::string(host);
            address.address.port = *number;
            all_.push_back(std::move(address));
        }
    }

    Settings const& settings_;
    std::vector<Problem>& problems_;
    std::vector<net::ListenAddress> all_;
    std::vector<net::ListenAddress> left_to_us_; // mode = 0
};

} // namespace

std::vector<net::ListenAddress> understand_listeners(Block const& root, Settings const& settings,
                                                     std::vector<Problem>& problems) {
    return ListenerReader(settings, problems).read(root.find("service", "lmtp"));
}

Settings understand_dovecot(Block const& root, OwnSettings const& own, std::vector<Problem>& problems) {
    Settings settings;
    auto const found = dovecot_table().apply(settings, own_part(root));
    problems.insert(problems.end(), found.begin(), found.end());
    if (settings.session.hostname.empty() || settings.session.hostname == "localhost")
        settings.session.hostname = full_host_name();
    settings.session.max_message_size = own.max_message_size;
    settings.session.spool.memory = own.spool_memory;
    settings.mail.hostname = settings.session.hostname;
    take_plugin(root, settings.mail.plugin);
    for (auto const* protocol : root.all("protocol"))
        if (protocol->name == "lmtp") take_plugin(*protocol, settings.mail.plugin);
    settings.mail.inbox = understand_namespace(root, problems);
    check_location(root, settings, problems);
    check_plugins(root, settings, problems);
    settings.listeners = understand_listeners(root, settings, problems);
    settings.listeners.insert(settings.listeners.end(), own.listen.begin(), own.listen.end());
    if (settings.listeners.empty()) {
        net::ListenAddress stock;
        stock.address.path = settings.base_dir + "/lmtp";
        stock.mode = 0666;
        settings.listeners.push_back(std::move(stock));
    }
    return settings;
}

net::Address Configuration::userdb_address() const {
    if (!own.auth_userdb.empty())
        if (auto const address = net::parse_address(own.auth_userdb)) return *address;
    net::Address address;
    auto const& path = settings.auth_socket_path;
    address.path = path.starts_with("/") ? path : settings.base_dir + "/" + path;
    return address;
}

bool Configuration::needs_broker() const {
    return daemon::is_root() && (own.user == "root" || (own.user.empty() && settings.mail_user.empty()));
}

std::string Configuration::process_user() const {
    if (!daemon::is_root()) return "";
    if (needs_broker()) return daemon::find_identity(settings.internal_user) ? settings.internal_user : "";
    if (!own.user.empty()) return own.user;
    return settings.mail_group.empty() ? settings.mail_user : settings.mail_user + ':' + settings.mail_group;
}

Configuration read_configuration(std::string const& dovecot_conf,
                                 std::optional<std::string> const& own_file) {
    Configuration out;
    auto const own_path = own_file.value_or(own_configuration_path);
    if (own_file || ::access(own_path.c_str(), F_OK) == 0) {
        auto const read = config::read_assignments(own_path, config::postfix_style);
        out.problems = read.problems;
        auto const found = own_table().apply(out.own, read.assignments);
        out.problems.insert(out.problems.end(), found.begin(), found.end());
    }
    auto const read = config::read_blocks(dovecot_conf);
    out.problems.insert(out.problems.end(), read.problems.begin(), read.problems.end());
    out.settings = understand_dovecot(read.root, out.own, out.problems);
    return out;
}

} // namespace postern::lmtp_deliver
