// The lines of Dovecot's auth protocols: tab-separated fields, their escaping, AUTH and CONT, and the
// replies.
#pragma once

#include "auth-socket/fields.h"
#include "common/base/error.h"
#include "common/base/secret.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postern::auth_socket {

// What a client may send in one line, the LF included. Dovecot's own limit; Postfix needs 12.4 kB of it.
inline constexpr std::size_t client_line_limit = 16384;
// On the master socket. Dovecot 2.3 takes 1024; newer mail processes may send more.
inline constexpr std::size_t master_line_limit = 8192;

// NUL, 0x01, TAB, CR and LF become 0x01 and a letter.
std::string tab_escape(std::string_view text);
std::string tab_unescape(std::string_view text);

// Cuts a stream of octets into lines. Wiped when it goes: passwords pass through it.
class LineDecoder {
  public:
    explicit LineDecoder(std::size_t limit) : limit_(limit) {}
    LineDecoder(LineDecoder const&) = delete;
    LineDecoder& operator=(LineDecoder const&) = delete;
    ~LineDecoder() { wipe(buffer_); }

    void feed(std::string_view bytes);
    // The next whole line without its LF; absent: more is needed. Malformed when a line passes the limit.
    Result<std::optional<std::string>> next();

  private:
    std::size_t limit_;
    std::string buffer_;
    std::size_t taken_ = 0; // octets of buffer_ that were given out
};

// The fields of a line, unescaped; the first is the command.
std::vector<std::string> line_fields(std::string_view line);
// Wipes what line_fields() made: AUTH and CONT carry passwords.
void wipe_fields(std::vector<std::string>& fields);

// A line that is being made: Line("OK", 7).add("user", "alice").text().
class Line {
  public:
    explicit Line(std::string_view command) : text_(command) {}
    Line(std::string_view command, std::uint32_t id) : Line(command) { add(std::to_string(id)); }

    Line& add(std::string_view value); // escaped
    Line& add(std::string_view name, std::string_view value);
    Line& add(Field const& field);
    Line& add(Fields const& fields);
    std::string text() const { return text_ + '\n'; }

  private:
    std::string text_;
};

// "VERSION<TAB>major<TAB>minor": the minor; an error for another major or a malformed line.
inline constexpr unsigned protocol_major = 1;
inline constexpr unsigned client_protocol_minor = 2;           // Dovecot 2.3's
inline constexpr unsigned dovecot24_client_protocol_minor = 4; // 3: channel binding; 4: CANCELLED
inline constexpr unsigned master_protocol_minor = 1;
Result<unsigned> version_minor(std::vector<std::string> const& fields);

// A request's number: decimal, 1 to 4294967295, leading zeros allowed.
std::optional<std::uint32_t> request_id(std::string_view text);
// Any number that fits, 0 too: the master protocol's ids are arbitrary.
std::optional<std::uint32_t> any_id(std::string_view text);

// What a client says about itself and its user; every variable of a query template comes from here. Addresses
// that do not parse are left out.
struct ClientInfo {
    std::string service;
    std::string local_ip, remote_ip, real_local_ip, real_remote_ip;
    std::string local_port, remote_port, real_local_port, real_remote_port;
    std::string local_name, session, client_id, certificate_user;
    std::string forward_fields; // as sent, still escaped once
    bool has_service = false;   // which may be empty
    bool secured = false;       // by TLS or because the connection stays on the machine
    bool secured_by_tls = false;
    bool valid_client_certificate = false;
    bool no_penalty = false;
    bool final_response_ok = false;
    bool debug = false;
};

// Reads fields[first...] of AUTH, USER, PASS or LIST. Unknown names are ignored. A field "resp=" ends it: its
// index is given back; absent when there is none.
std::optional<std::size_t> read_client_info(std::vector<std::string> const& fields, std::size_t first,
                                            ClientInfo& info);

struct AuthCommand {
    std::uint32_t id = 0;
    std::string mechanism; // in capitals
    ClientInfo client;
    std::optional<std::string> response; // base64, or empty; absent: none was sent
};

// Malformed (the connection is closed without an answer): a bad id, no service, fields after resp=.
// client_minor decides what an empty "resp=" means: below 2 the same as none.
Result<AuthCommand> auth_command(std::vector<std::string> const& fields, unsigned client_minor);

} // namespace postern::auth_socket
