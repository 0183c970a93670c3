// A milter as one object per connection: each step of a message is a member function.
#pragma once

#include "common/base/error.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postern::milter {

// What a callback decides. reply: an SMTP reply "550 5.7.1 text" for reject and tempfail; empty: the MTA's
// own.
struct Verdict {
    enum class Action { next, accept, reject, discard, tempfail, skip };
    Action action = Action::next;
    std::string code;     // "550", "451"; empty: none
    std::string enhanced; // "5.7.1"
    std::string text;

    static Verdict next() { return {}; }
    static Verdict accept() { return {Action::accept, {}, {}, {}}; }
    static Verdict skip() { return {Action::skip, {}, {}, {}}; }
    static Verdict discard() { return {Action::discard, {}, {}, {}}; }
    static Verdict reject(std::string code, std::string enhanced, std::string text);
    static Verdict tempfail(std::string code, std::string enhanced, std::string text);
    static Verdict tempfail() { return {Action::tempfail, {}, {}, {}}; }
};

// The client as the MTA sees it.
struct Client {
    std::string host;    // the name, or "[192.0.2.1]" when it has none
    std::string address; // "192.0.2.1", "2001:db8::1"; empty: unknown or local
};

// The MTA's macros at this stage: "i" (queue id), "j", "{auth_type}", "{daemon_name}".
class Macros {
  public:
    virtual ~Macros() = default;
    virtual std::optional<std::string> get(std::string_view name) const = 0;
};

// Changes to the message, only at end_of_message(). Names without colon; values without the leading space,
// lines joined with "\n\t" as they are to appear.
class Editor {
  public:
    virtual ~Editor() = default;
    virtual Result<> insert_header(int index, std::string_view name, std::string_view value) = 0;
    virtual Result<> add_header(std::string_view name, std::string_view value) = 0;
    // index counts from 1 among the headers of that name; an empty value deletes.
    virtual Result<> change_header(std::string_view name, int index, std::string_view value) = 0;
    virtual Result<> quarantine(std::string_view reason) = 0;
    virtual Result<> add_recipient(std::string_view recipient) = 0;
    virtual Result<> delete_recipient(std::string_view recipient) = 0;
};

// One SMTP connection, several messages. Called by one thread at a time. An exception becomes a temporary
// failure. After a verdict of skip body() is not called again for that message; after one on a header field
// where fields are not answered (no_header_reply) header() is not, and the verdict is given at the end of the
// header.
class Session {
  public:
    virtual ~Session() = default;
    virtual Verdict connect(Client const&, Macros const&) { return Verdict::next(); }
    virtual Verdict helo(std::string_view /*name*/, Macros const&) { return Verdict::next(); }
    // path as the client gave it, with angle brackets; arguments are the ESMTP parameters.
    virtual Verdict mail_from(std::string_view /*path*/, std::vector<std::string> const& /*arguments*/,
                              Macros const&) {
        return Verdict::next();
    }
    virtual Verdict recipient(std::string_view /*path*/, Macros const&) { return Verdict::next(); }
    // value with its leading space when the negotiation got it (leading_space below); lines joined with "\n".
    virtual Verdict header(std::string_view /*name*/, std::string_view /*value*/, Macros const&) {
        return Verdict::next();
    }
    virtual Verdict end_of_headers(Macros const&) { return Verdict::next(); }
    virtual Verdict body(std::string_view /*chunk*/) { return Verdict::next(); }
    virtual Verdict end_of_message(Editor&, Macros const&) { return Verdict::next(); }
    // The message is over without end_of_message; the connection may go on.
    virtual void abort() {}
};

// What is asked of the MTA, in the bits of the milter protocol (libmilter's mfdef.h names them).
struct Negotiation {
    std::uint32_t actions = 0;      // SMFIF_*; needed, else the connection is refused
    std::uint32_t wanted_steps = 0; // SMFIP_NO*, _SKIP, _HDR_LEADSPC, _NR_HDR: taken if the MTA offers them
    // The macro list for a stage, by SMFIM_* number, if the filter wants its own ("i j {auth_type}").
    std::vector<std::pair<int, std::string>> macros;
    int debug_level = 0; // MilterDebug: above 0 what goes over the wire is logged
};

// True when header values keep their leading space on this connection; inserted ones then get one, too.
struct Offered {
    bool leading_space = false;
};

using Factory = std::function<std::unique_ptr<Session>(Offered)>;

// The bits of the negotiation that the milters need.
namespace bits {
inline constexpr std::uint32_t add_headers = 0x01, change_body = 0x02, add_recipients = 0x04,
                               delete_recipients = 0x08, change_headers = 0x10, quarantine = 0x20,
                               change_from = 0x40, set_macro_list = 0x100;
inline constexpr std::uint32_t no_connect = 0x01, no_helo = 0x02, no_mail = 0x04, no_recipient = 0x08,
                               no_body = 0x10, no_headers = 0x20, no_end_of_headers = 0x40,
                               no_unknown = 0x100, no_data = 0x200, skip = 0x400, leading_space = 0x100000;
// Header fields are not answered one by one; what header() says reaches the MTA at the end of the header.
inline constexpr std::uint32_t no_header_reply = 0x80;
inline constexpr int macros_connect = 0, macros_helo = 1, macros_mail = 2, macros_recipient = 3,
                     macros_data = 4, macros_end_of_message = 5, macros_end_of_headers = 6;
} // namespace bits

} // namespace postern::milter
