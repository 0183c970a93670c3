// One LMTP connection (RFC 2033): commands in, replies out, one reply for each recipient after the data.
#pragma once

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/mail/reply.h"
#include "common/net/server.h"
#include "lmtp-deliver/concurrency.h"
#include "lmtp-deliver/delivery.h"
#include "lmtp-deliver/path.h"
#include "lmtp-deliver/protocol.h"
#include "lmtp-deliver/spool.h"
#include "lmtp-deliver/trace.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::lmtp_deliver {

struct SessionSettings {
    std::string hostname = "localhost";
    std::string greeting = "Postern ready."; // login_greeting
    std::string recipient_delimiter = "+";   // any of these octets
    bool save_to_detail_mailbox = false;     // lmtp_save_to_detail_mailbox
    bool add_received = true;                // lmtp_add_received_header
    DeliveredTo delivered_to = DeliveredTo::final_address;
    std::uint64_t max_message_size = 0; // octets as the client sends them; 0: no limit
    std::size_t max_recipients = 1000;  // of one transaction; 452 4.5.3 beyond it (RFC 5321 4.5.3.1.10)
    std::size_t user_concurrency = 0;   // lmtp_user_concurrency_limit; 0: no limit
    SpoolLimits spool;
};

// Bad commands in a row before the connection is closed with 421.
inline constexpr unsigned max_bad_commands = 10;

// Outlives its sessions and is shared by them.
struct SessionContext {
    Users& users;
    Delivery& delivery;
    Concurrency& concurrency;
    Log& log;
    Metrics& metrics;
    std::function<std::int64_t()> now = unix_time;
    std::function<std::string()> new_id; // 22 characters of base64; absent: from the kernel's generator
};

class Session final : public net::Session {
  public:
    Session(std::shared_ptr<SessionSettings const> settings, SessionContext& context, net::Peer const& peer);

    std::string greeting() override;
    Result<std::string> receive(std::string_view bytes) override;
    std::string farewell(Error const& error) override;
    bool finished() const override { return finished_; }

  private:
    struct Recipient {
        Address address; // as RCPT TO had it
        std::string session_id;
        Destination destination;
        Concurrency::Slot slot;
        std::size_t same_as; // index of the first recipient with this address; its own when it is the first
    };
    // From MAIL to the end of its data or RSET.
    struct Transaction {
        Address mail_from;
        std::string id;
        unsigned recipients_asked = 0;
        std::vector<Recipient> recipients;
        std::optional<Spool> spool; // from DATA or the first BDAT on
        std::uint64_t octets = 0;   // of the data so far, line ends counted as CRLF
        bool too_large = false;
        bool chunks_failed = false;
    };
    enum class Mode { command, data, chunk };
    // What a command is answered with: one wire reply, several lines of it, or nothing yet.
    using Handler = std::string (Session::*)(Command const&);

    static Handler handler(std::string_view name);
    std::string answer(Command const& command);
    std::string bad_command(mail::Reply const& reply);
    std::string lhlo(Command const& command);
    std::string mail(Command const& command);
    std::string rcpt(Command const& command);
    std::string data(Command const& command);
    std::string bdat(Command const& command);
    std::string rset(Command const& command);
    std::string noop(Command const& command);
    std::string vrfy(Command const& command);
    std::string starttls(Command const& command);
    std::string xclient(Command const& command);
    std::string quit(Command const& command);

    mail::Reply add_recipient(Address address);
    mail::Reply look_up_recipient(Address address, std::string session_id);
    std::optional<mail::Reply> chunk_refusal() const;
    void begin_message();
    void take(std::string_view octets);
    std::string receive_data();
    std::string receive_chunk();
    std::string message_end();
    std::vector<Outcome> deliver_copies();
    mail::Reply outcome_reply(Recipient const& recipient, Outcome const& outcome) const;
    void count(std::string_view what, std::string_view result) const;

    std::shared_ptr<SessionSettings const> settings_;
    SessionContext& context_;
    Origin origin_;
    Decoder decoder_;
    Mode mode_ = Mode::command;
    std::string id_;
    std::string lhlo_name_;
    struct Chunk {
        std::uint64_t size = 0;
        bool last = false;
        std::optional<mail::Reply> refusal; // its octets are dropped, then this is said
    };
    Chunk chunk_;
    std::optional<Transaction> transaction_;
    unsigned transactions_ = 0;
    unsigned bad_commands_ = 0;
    bool finished_ = false;
};

} // namespace postern::lmtp_deliver
