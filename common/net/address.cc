// Reads socket addresses.
#include "common/net/address.h"

#include "common/base/text.h"

#include <fmt/format.h>
#include <sys/un.h>

namespace postern::net {

namespace {

constexpr std::size_t max_path = sizeof(sockaddr_un::sun_path) - 1; // octets of a Unix socket's path

Result<Address> unix_address(std::string_view path) {
    if (path.empty()) return permanent("a Unix socket without a path");
    if (path.size() > max_path)
        return permanent(fmt::format("the path of a Unix socket has at most {} octets, this one {}: {}",
                                     max_path, path.size(), printable(path)));
    return Address{Address::Kind::unix_socket, std::string(path), {}, 0};
}

std::string_view without_brackets(std::string_view host) {
    if (host.size() >= 2 && host.front() == '[' && host.back() == ']') return host.substr(1, host.size() - 2);
    return host;
}

// port@host (sendmail's form), host:port (Postfix' form) or a bare port.
Result<Address> inet_address(std::string_view text, Address::Kind kind) {
    auto host = std::string_view();
    auto port = text;
    if (auto const [before, after] = halve(text, '@'); after) {
        port = before;
        host = *after;
    } else if (auto const [left, right] = halve_at_last(text, ':'); right) {
        host = left;
        port = *right;
    }
    auto const number = parse_number<std::uint16_t>(port);
    if (!number) return permanent(fmt::format("\"{}\" has no port number from 0 to 65535", printable(text)));
    host = without_brackets(host);
    if (kind == Address::Kind::inet && host.contains(':')) kind = Address::Kind::inet6;
    return Address{kind, {}, std::string(host), *number};
}

Result<> take_attribute(ListenAddress& into, std::string_view name, std::string_view value) {
    if (name == "mode") {
        auto const mode = parse_number<unsigned>(value, 8);
        if (!mode || *mode > 0777) return permanent(fmt::format("mode={} is not octal", printable(value)));
        into.mode = *mode;
    } else if (name == "owner" || name == "user") {
        into.owner = value;
    } else if (name == "group") {
        into.group = value;
    } else {
        return permanent(fmt::format("\"{}\" is none of mode=, owner=, group=", printable(name)));
    }
    return {};
}

} // namespace

std::string Address::to_string() const {
    switch (kind) {
    case Kind::unix_socket: return fmt::format("unix:{}", path);
    case Kind::systemd: return fmt::format("systemd:{}", path);
    case Kind::inet: return fmt::format("inet:{}:{}", host.empty() ? "*" : host, port);
    case Kind::inet6: return fmt::format("inet6:[{}]:{}", host.empty() ? "::" : host, port);
    }
    return {};
}

Result<Address> parse_address(std::string_view text) {
    text = trim(text);
    if (text.starts_with('/')) return unix_address(text);
    auto const [scheme, rest] = halve(text, ':');
    if (!rest)
        return permanent(
            fmt::format("\"{}\" is not an address (unix:/path, inet:port@host)", printable(text)));
    if (scheme == "unix" || scheme == "local") return unix_address(*rest);
    if (scheme == "inet") return inet_address(*rest, Address::Kind::inet);
    if (scheme == "inet6") return inet_address(*rest, Address::Kind::inet6);
    if (scheme == "systemd" && !rest->empty())
        return Address{Address::Kind::systemd, std::string(*rest), {}, 0};
    return permanent(fmt::format("\"{}\" is not an address (unix:/path, inet:port@host)", printable(text)));
}

Result<ListenAddress> parse_listen_address(std::string_view text) {
    auto const words = split_words(text, " \t");
    if (words.empty()) return permanent("an empty address");
    auto address = parse_address(words[0]);
    if (!address) return std::unexpected(address.error());
    ListenAddress listen{std::move(*address), std::nullopt, {}, {}};
    for (std::size_t i = 1; i < words.size(); ++i) {
        auto const [name, value] = halve(words[i], '=');
        if (auto taken = take_attribute(listen, name, value.value_or("")); !taken)
            return std::unexpected(taken.error());
    }
    return listen;
}

} // namespace postern::net
