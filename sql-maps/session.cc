// Requests to lookups to replies.
#include "sql-maps/session.h"

#include "common/base/text.h"

#include <fmt/format.h>

namespace postern::sql_maps {

namespace {

// Keys are looked up whole, and the client has folded them (DICT_FLAG_FIXED).
constexpr unsigned fixed_flag = 16;

std::string status_text(ProxyStatus status) { return std::to_string(static_cast<int>(status)); }

// The attributes that a client waits for differ by request; a missing one would make it hang up and try again
// without end.
std::string refusal(std::string_view what, ProxyStatus status) {
    Attributes reply{{"status", status_text(status)}};
    if (what == "open") reply.emplace_back("flags", "0");
    if (what == "sequence") reply.emplace_back("key", "");
    if (what == "lookup" || what == "sequence") reply.emplace_back("value", "");
    return encode(reply);
}

// Feeds a decoder and answers each whole request in turn.
template <class Decoder, class Reply>
Result<std::string> answer_all(Decoder& decoder, std::string_view bytes, Reply reply) {
    decoder.feed(bytes);
    std::string out;
    while (true) {
        auto request = decoder.next();
        if (!request) return std::unexpected(std::move(request).error());
        if (!*request) return out;
        Result<std::string> answer = reply(**request);
        if (!answer) return answer;
        out += *answer;
    }
}

} // namespace

std::string ProxymapSession::greeting() {
    return greets_ ? encode({{"protocol", "proxymap_protocol"}}) : std::string();
}

Result<std::string> ProxymapSession::receive(std::string_view bytes) {
    return answer_all(decoder_, bytes, [this](Attributes const& request) { return reply_to(request); });
}

Result<std::variant<std::string, LookupRequest>> ProxymapSession::take(std::string_view bytes) {
    decoder_.feed(bytes);
    auto request = decoder_.next();
    if (!request) return std::unexpected(std::move(request).error());
    if (!*request) return std::string();
    auto const table = value_of(**request, "table");
    bool const is_lookup = value_of(**request, "request") == "lookup" && parse_table_name(table) &&
                           parse_number<unsigned>(value_of(**request, "flags"));
    if (maps_ && is_lookup && decoder_.empty())
        return LookupRequest{std::string(table), std::string(value_of(**request, "key"))};
    auto first = reply_to(**request);
    if (!first) return std::unexpected(std::move(first).error());
    auto rest = receive({});
    if (!rest) return std::unexpected(std::move(rest).error());
    return *first + *rest;
}

std::string ProxymapSession::lookup_reply(Result<Answer> const& answer) {
    if (!answer || (*answer && (*answer)->contains('\0'))) return refusal("lookup", ProxyStatus::retry);
    if (!*answer) return refusal("lookup", ProxyStatus::no_key);
    return encode({{"status", status_text(ProxyStatus::ok)}, {"value", **answer}});
}

Result<std::string> ProxymapSession::reply_to(Attributes const& request) {
    auto const what = value_of(request, "request");
    auto const table = value_of(request, "table");
    if (what != "open" && what != "lookup" && what != "update" && what != "delete" && what != "sequence") {
        log_.warning("proxymap: unrecognized request: '{}'", printable(what, 64));
        return encode({{"status", status_text(ProxyStatus::bad)}});
    }
    return parse_table_name(table) ? sql_reply(what, request) : stock_reply(what, request);
}

std::string ProxymapSession::sql_reply(std::string_view what, Attributes const& request) const {
    auto const flags = parse_number<unsigned>(value_of(request, "flags"));
    if (what != "open" && what != "lookup") {
        log_.warning("proxymap: request={} table={} refused: SQL tables are read only", what,
                     printable(value_of(request, "table")));
        return refusal(what, ProxyStatus::bad);
    }
    if (!flags) return refusal(what, ProxyStatus::bad);
    // A table that cannot be used is opened all the same and fails at each lookup: a refusal here would end
    // the process that asks, and with it mail that has nothing to do with this table.
    if (what == "open")
        return encode(
            {{"status", status_text(ProxyStatus::ok)}, {"flags", std::to_string(*flags | fixed_flag)}});
    return lookup_reply(lookup_(value_of(request, "table"), value_of(request, "key")));
}

// While the stock proxymap is away the connection is closed: that is how its own clients see it, and they try
// again.
Result<std::string> ProxymapSession::stock_reply(std::string_view what, Attributes const& request) {
    auto const reply = stock_->ask(request);
    if (reply) return encode(*reply);
    log_.warning("proxymap: request={} table={} cannot be passed on: {}", what,
                 printable(value_of(request, "table")), reply.error().text);
    if (reply.error().kind == ErrorKind::permanent) return refusal(what, ProxyStatus::deny);
    return closed("the stock proxymap does not answer");
}

Result<Answer> NamedLookup::operator()(std::string_view name, std::string_view key) const {
    auto const map = maps_->find(name);
    if (map == maps_->end()) return permanent("unknown map");
    // No table holds a NUL, and PostgreSQL cannot be asked for one.
    if (key.contains('\0')) return Answer();
    return search(key, map->second.map_class, rules_,
                  [&](std::string_view candidate) { return lookup_(map->second.table, candidate); });
}

Result<std::string> SocketmapSession::receive(std::string_view bytes) {
    return answer_all(decoder_, bytes, [this](std::string const& request) { return reply_to(request); });
}

std::string SocketmapSession::reply_to(std::string_view request) const {
    auto const [name, key] = halve(request, ' ');
    if (!key) return netstring("PERM a request is a map's name, a blank and a key");
    auto const answer = lookup_(name, *key);
    if (!answer && answer.error().text == "unknown map") {
        log_.warning("socketmap: map={} is not configured: add map_{} to sql-maps.conf", printable(name, 64),
                     printable(name, 64));
        return netstring("PERM unknown map");
    }
    return socketmap_reply(answer);
}

Result<std::string> TcpTableSession::receive(std::string_view bytes) {
    return answer_all(decoder_, bytes, [this](std::string const& line) { return reply_to(line); });
}

std::string TcpTableSession::reply_to(std::string_view line) const {
    if (!line.starts_with("get ")) return "500 only%20get%20is%20known\n";
    auto const key = tcp_unquoted(line.substr(4));
    return key ? tcp_reply(lookup_(map_, *key)) : "500 bad%20quoting\n";
}

} // namespace postern::sql_maps
