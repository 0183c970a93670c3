// One connection from an MTA, versions 2 to 6 of the milter protocol: packets in, packets out.
#pragma once

#include "common/base/log.h"
#include "common/milter/macro_table.h"
#include "common/milter/packets.h"
#include "common/milter/session.h"

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace postern::milter {

// What all conversations of a milter share.
struct Terms {
    Negotiation negotiation; // as of when the connection came
    Factory const& factory;
    Log& log;
    std::atomic<bool> const& stopping; // from then on every message is a temporary failure
};

// An exception in a session is logged and becomes a temporary failure, and so does every stage when there is
// no session because the factory failed.
class Conversation {
  public:
    explicit Conversation(Terms terms) : terms_(std::move(terms)) {}
    ~Conversation(); // a message that is not at its end is aborted
    Conversation(Conversation const&) = delete;
    Conversation& operator=(Conversation const&) = delete;

    // Octets in pieces of any size; gives back what is to be sent. An error (malformed: not the milter
    // protocol, or a command where it has no place; closed: not to be served) ends the connection, after
    // unsent() was sent.
    Result<std::string> receive(std::string_view bytes);
    std::string unsent() { return std::exchange(out_, {}); }
    // The MTA has said that it goes.
    bool finished() const { return finished_; }
    // From MAIL until the message is over.
    bool in_message() const { return in_message_; }

  private:
    enum class Answered { yes, no };

    Result<> take(Packet const& packet);
    Result<> take_in_message(Packet const& packet);
    Result<> negotiate(std::string_view data);
    Result<> grant(std::uint32_t version, std::uint32_t actions, std::uint32_t steps);
    Result<> macros(std::string_view data);
    Result<> connect(std::string_view data);
    Result<> mail_from(std::string_view data);
    Result<> recipient(std::string_view data);
    Result<> header(std::string_view data);
    void end_of_headers();
    void body(std::string_view chunk);
    void end_of_message(std::string_view last_chunk);
    void abort();
    void next_connection();

    void open_session();
    template <class Call>
    Verdict run(std::string_view stage, Call const& call);
    void answer(Verdict const& verdict);
    // A verdict that the rest of the message does not change.
    void answer_for_message(Verdict const& verdict);
    void end_message();
    void trace(char direction, Packet const& packet) const;

    Terms terms_;
    Decoder decoder_;
    MacroTable macros_;
    std::string out_;
    std::unique_ptr<Session> session_; // absent: the factory failed, or nothing is negotiated yet
    std::uint32_t actions_ = 0;
    std::uint32_t steps_ = 0;
    bool negotiated_ = false;
    bool finished_ = false;
    bool in_message_ = false;
    // For this message:
    bool body_skipped_ = false;             // where the MTA knows no skip
    std::optional<Verdict> header_verdict_; // where the MTA waits for none
};

} // namespace postern::milter
