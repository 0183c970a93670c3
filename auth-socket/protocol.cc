// The lines of Dovecot's auth protocols.
#include "auth-socket/protocol.h"

#include "common/base/secret.h"
#include "common/base/text.h"

#include <arpa/inet.h>

#include <algorithm>
#include <span>

namespace postern::auth_socket {

std::string tab_escape(std::string_view text) {
    constexpr std::string_view escapes("\0\001\t\r\n", 5);
    if (text.find_first_of(escapes) == std::string_view::npos) return std::string(text);
    std::string escaped;
    escaped.reserve(text.size());
    for (char const c : text) {
        switch (c) {
        case '\0': escaped += "\0010"; break;
        case '\001': escaped += "\0011"; break;
        case '\t': escaped += "\001t"; break;
        case '\r': escaped += "\001r"; break;
        case '\n': escaped += "\001n"; break;
        default: escaped += c;
        }
    }
    return escaped;
}

std::string tab_unescape(std::string_view text) {
    if (!text.contains('\001')) return std::string(text);
    std::string plain;
    plain.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\001' || i + 1 == text.size()) {
            if (text[i] != '\001') plain += text[i];
            continue;
        }
        switch (char const letter = text[++i]) {
        case '0': plain += '\0'; break;
        case '1': plain += '\001'; break;
        case 't': plain += '\t'; break;
        case 'r': plain += '\r'; break;
        case 'n': plain += '\n'; break;
        default: plain += letter;
        }
    }
    return plain;
}

void LineDecoder::feed(std::string_view bytes) {
    if (taken_ != 0) {
        std::string rest = buffer_.substr(taken_);
        wipe(buffer_);
        buffer_ = std::move(rest);
        taken_ = 0;
    }
    if (buffer_.size() + bytes.size() > buffer_.capacity()) { // a growing string would leave a copy behind
        std::string larger;
        larger.reserve(std::max(2 * buffer_.capacity(), buffer_.size() + bytes.size()));
        larger = buffer_;
        wipe(buffer_);
        buffer_ = std::move(larger);
    }
    buffer_ += bytes;
}

Result<std::optional<std::string>> LineDecoder::next() {
    auto const end = buffer_.find('\n', taken_);
    auto const size = (end == std::string::npos ? buffer_.size() : end + 1) - taken_;
    if (size > limit_ || (size == limit_ && end == std::string::npos))
        return malformed("a line is longer than " + std::to_string(limit_) + " octets");
    if (end == std::string::npos) return std::nullopt;
    auto line = buffer_.substr(taken_, end - taken_);
    wipe(std::span(buffer_).subspan(taken_, size)); // not only when more comes: that may be tomorrow
    taken_ = end + 1;
    if (taken_ == buffer_.size()) {
        buffer_.clear();
        taken_ = 0;
    }
    return line;
}

std::vector<std::string> line_fields(std::string_view line) {
    std::vector<std::string> fields;
    for (auto const piece : split(line, '\t')) fields.push_back(tab_unescape(piece));
    return fields;
}

void wipe_fields(std::vector<std::string>& fields) {
    for (auto& field : fields) wipe(field);
}

Line& Line::add(std::string_view value) {
    text_ += '\t';
    text_ += tab_escape(value);
    return *this;
}

Line& Line::add(std::string_view name, std::string_view value) {
    text_ += '\t';
    text_ += name;
    text_ += '=';
    text_ += tab_escape(value);
    return *this;
}

Line& Line::add(Field const& field) {
    auto const name = tab_escape(field.name);
    return field.value ? add(name, *field.value) : add(field.name);
}

Line& Line::add(Fields const& fields) {
    for (auto const& field : fields) add(field);
    return *this;
}

Result<unsigned> version_minor(std::vector<std::string> const& fields) {
    if (fields.size() < 3 || fields[0] != "VERSION") return malformed("VERSION expected first");
    auto const major = parse_number<unsigned>(fields[1]);
    auto const minor = parse_number<unsigned>(fields[2]);
    if (!major || !minor) return malformed("VERSION without numbers");
    if (*major != protocol_major)
        return malformed("protocol version " + std::to_string(*major) + ", not " +
                         std::to_string(protocol_major));
    return *minor;
}

std::optional<std::uint32_t> any_id(std::string_view text) { return parse_number<std::uint32_t>(text); }

std::optional<std::uint32_t> request_id(std::string_view text) {
    auto const id = any_id(text);
    return id == 0U ? std::nullopt : id;
}

namespace {

bool is_ip_address(std::string const& text) {
    in6_addr address{};
    return inet_pton(AF_INET, text.c_str(), &address) == 1 ||
           inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

bool is_port(std::string const& text) { return parse_number<std::uint16_t>(text).has_value(); }

struct NamedText {
    std::string_view name;
    std::string ClientInfo::* member;
    bool (*accepts)(std::string const&);
};

constexpr NamedText named_texts[] = {
    {"service", &ClientInfo::service, nullptr},
    {"protocol", &ClientInfo::service, nullptr}, // 2.4's word for it
    {"lip", &ClientInfo::local_ip, is_ip_address},
    {"rip", &ClientInfo::remote_ip, is_ip_address},
    {"lport", &ClientInfo::local_port, is_port},
    {"rport", &ClientInfo::remote_port, is_port},
    {"real_lip", &ClientInfo::real_local_ip, is_ip_address},
    {"real_rip", &ClientInfo::real_remote_ip, is_ip_address},
    {"real_lport", &ClientInfo::real_local_port, is_port},
    {"real_rport", &ClientInfo::real_remote_port, is_port},
    {"local_name", &ClientInfo::local_name, nullptr},
    {"session", &ClientInfo::session, nullptr},
    {"client_id", &ClientInfo::client_id, nullptr},
    {"cert_username", &ClientInfo::certificate_user, nullptr},
    {"forward_fields", &ClientInfo::forward_fields, nullptr},
};

struct NamedFlag {
    std::string_view name;
    bool ClientInfo::* member;
};

constexpr NamedFlag named_flags[] = {
    {"secured", &ClientInfo::secured},       {"valid-client-cert", &ClientInfo::valid_client_certificate},
    {"no-penalty", &ClientInfo::no_penalty}, {"final-resp-ok", &ClientInfo::final_response_ok},
    {"debug", &ClientInfo::debug},
};

void read_one(std::string_view name, std::optional<std::string_view> value, ClientInfo& info) {
    for (auto const& flag : named_flags)
        if (flag.name == name) info.*flag.member = true;
    if (name == "secured" && value == "tls") info.secured_by_tls = true;
    for (auto const& text : named_texts) {
        if (text.name != name || !value) continue;
        std::string taken(*value);
        if (text.member == &ClientInfo::service) info.has_service = true;
        if (text.accepts == nullptr || text.accepts(taken)) info.*text.member = std::move(taken);
    }
}

} // namespace

std::optional<std::size_t> read_client_info(std::vector<std::string> const& fields, std::size_t first,
                                            ClientInfo& info) {
    for (std::size_t i = first; i < fields.size(); ++i) {
        if (fields[i].starts_with("resp=")) return i;
        auto const [name, value] = halve(fields[i], '=');
        read_one(name, value, info);
    }
    return std::nullopt;
}

Result<AuthCommand> auth_command(std::vector<std::string> const& fields, unsigned client_minor) {
    if (fields.size() < 3) return malformed("AUTH without an id and a mechanism");
    auto const id = request_id(fields[1]);
    if (!id) return malformed("AUTH with a bad id");
    AuthCommand command{.id = *id, .mechanism = to_upper(fields[2]), .client = {}, .response = {}};
    auto const at = read_client_info(fields, 3, command.client);
    if (at && *at + 1 != fields.size()) return malformed("AUTH with fields after resp=");
    if (!command.client.has_service) return malformed("AUTH without a service");
    if (at) {
        auto const response = std::string_view(fields[*at]).substr(5);
        if (response == "=")
            command.response = "";
        else if (!response.empty() || client_minor >= 2)
            command.response = response;
    }
    return command;
}

} // namespace postern::auth_socket
