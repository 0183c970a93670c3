// Asks for users.
#include "lmtp-deliver/userdb.h"

#include "common/base/text.h"

#include <fmt/format.h>

#include <limits>

namespace postern::lmtp_deliver {

namespace {

constexpr std::size_t max_idle = 16;

Result<unsigned> parse_id(std::string_view name, std::string_view text) {
    auto const id = parse_number<unsigned>(text);
    if (!id)
        return temporary(fmt::format("the user database's {} \"{}\" is no number", name, printable(text)));
    return *id;
}

Result<> take_field(User& user, std::string_view field) {
    auto const [name, raw] = halve(field, '=');
    auto const value = tab_unescape(raw.value_or(""));
    if (name == "uid" || name == "gid") {
        auto const id = parse_id(name, value);
        if (!id) return std::unexpected(id.error());
        (name == "uid" ? user.uid : user.gid) = *id;
    } else if (name == "home") {
        user.home = value;
    } else if (name == "mail") {
        user.mail = value;
    } else {
        user.fields[std::string(name)] = value;
    }
    return {};
}

std::string reason_of(std::vector<std::string_view> const& words) {
    for (auto const word : words)
        if (word.starts_with("reason=")) return ": " + printable(tab_unescape(word.substr(7)));
    return "";
}

} // namespace

std::string tab_escape(std::string_view text) {
    std::string out;
    for (char const c : text) {
        switch (c) {
        case '\0': out += "\0010"; break;
        case '\001': out += "\0011"; break;
        case '\t': out += "\001t"; break;
        case '\r': out += "\001r"; break;
        case '\n': out += "\001n"; break;
        default: out += c;
        }
    }
    return out;
}

std::string tab_unescape(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\001' || i + 1 == text.size()) {
            out += text[i];
            continue;
        }
        switch (text[++i]) {
        case '0': out += '\0'; break;
        case '1': out += '\001'; break;
        case 't': out += '\t'; break;
        case 'r': out += '\r'; break;
        case 'n': out += '\n'; break;
        default: out += text[i];
        }
    }
    return out;
}

Result<std::string> userdb_request(std::uint32_t id, std::string_view user, Origin const& origin) {
    auto line = fmt::format("USER\t{}\t{}\tservice=lmtp", id, tab_escape(user));
    if (!origin.remote_address.empty())
        line += fmt::format("\tlip={}\tlport={}\trip={}\trport={}", origin.local_address, origin.local_port,
                            origin.remote_address, origin.remote_port);
    line += '\n';
    if (line.size() > max_userdb_request) return temporary("the name is too long to ask for");
    return line;
}

Result<UserdbReply> parse_userdb_reply(std::string_view line, std::uint32_t id) {
    auto const words = split(line, '\t');
    auto const verb = words[0];
    UserdbReply reply;
    if (verb == "VERSION") {
        if (words.size() < 2 || words[1] != "1") return temporary("the user database speaks another version");
        return reply;
    }
    if (words.size() < 2 || parse_number<std::uint32_t>(words[1]) != id) return reply;
    if (verb == "FAIL") {
        reply.kind = UserdbReply::Kind::failed;
        reply.reason = "the user database failed" + reason_of(words);
    } else if (verb == "NOTFOUND") {
        reply.kind = UserdbReply::Kind::not_found;
    } else if (verb == "USER" && words.size() > 2) {
        reply.kind = UserdbReply::Kind::user;
        reply.user.name = tab_unescape(words[2]);
        for (std::size_t i = 3; i < words.size(); ++i)
            if (auto done = take_field(reply.user, words[i]); !done) return std::unexpected(done.error());
    }
    return reply;
}

UserdbClient::Held UserdbClient::take_idle() {
    std::lock_guard const lock(mutex_);
    if (idle_.empty()) return nullptr;
    auto connection = std::move(idle_.back());
    idle_.pop_back();
    return connection;
}

void UserdbClient::give_back(Held connection) {
    std::lock_guard const lock(mutex_);
    if (idle_.size() < max_idle) idle_.push_back(std::move(connection));
}

Result<UserdbClient::Held> UserdbClient::open(Deadline deadline) {
    auto stream = net::connect(address_, deadline);
    if (!stream) return std::unexpected(stream.error());
    return std::make_unique<Connection>(std::move(*stream), 0);
}

// The greeting is not waited for: it comes before the answer, and waiting would hang on servers that wait
// too.
Result<UserdbReply> UserdbClient::ask(Connection& connection, std::string_view name, Origin const& origin,
                                      Deadline deadline) {
    auto const id = ++connection.last_id;
    auto request = userdb_request(id, name, origin);
    if (!request) return std::unexpected(request.error());
    if (id == 1) request->insert(0, "VERSION\t1\t0\n");
    if (auto sent = connection.stream.write(*request, deadline); !sent) return std::unexpected(sent.error());
    for (;;) {
        auto const line = connection.stream.read_line(max_userdb_reply, deadline);
        if (!line) return std::unexpected(line.error());
        auto reply = parse_userdb_reply(*line, id);
        if (!reply || reply->kind != UserdbReply::Kind::other) return reply;
    }
}

Result<UserdbReply> UserdbClient::ask_someone(std::string_view name, Origin const& origin,
                                              Deadline deadline) {
    // A connection kept from before may have died with its server: then a new one decides.
    while (auto kept = take_idle()) {
        auto answer = ask(*kept, name, origin, deadline);
        if (answer) give_back(std::move(kept));
        if (answer || deadline.expired()) return answer;
    }
    auto connection = open(deadline);
    if (!connection) return std::unexpected(connection.error());
    auto answer = ask(**connection, name, origin, deadline);
    if (!answer) return std::unexpected(std::move(answer.error()).within(address_.to_string()));
    give_back(std::move(*connection));
    return answer;
}

Result<std::optional<User>> UserdbClient::find(std::string_view name, Origin const& origin) {
    // Known before a connection is spent on it.
    constexpr auto longest_id = std::numeric_limits<std::uint32_t>::max();
    if (auto const fits = userdb_request(longest_id, name, origin); !fits)
        return std::unexpected(fits.error());
    auto answer = ask_someone(name, origin, Deadline::after(timeout_));
    if (!answer) return std::unexpected(answer.error());
    switch (answer->kind) {
    case UserdbReply::Kind::user: return std::move(answer->user);
    case UserdbReply::Kind::not_found: return std::nullopt;
    case UserdbReply::Kind::failed:
    case UserdbReply::Kind::other: break;
    }
    return temporary(std::move(answer->reason));
}

} // namespace postern::lmtp_deliver
