// Plays the MTA for one message in a file: what the daemon's own session does with it, with nothing sent.
#pragma once

#include "common/base/error.h"
#include "common/base/log.h"
#include "common/milter/session.h"
#include "milter-dkim/session.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postern::milter_dkim {

inline constexpr std::size_t max_rehearsed = std::size_t{64} * 1024 * 1024; // octets of a message

// As an MTA hands it over: line ends are LF inside fields and CRLF in the body, whatever the file has.
struct RehearsedMessage {
    HeaderList headers;
    std::vector<std::size_t> lines; // where each field begins, from 1
    std::string body;

    static Result<RehearsedMessage> parse(std::string_view text);
};
// A path, or "-" for standard input.
Result<std::string> read_message_file(std::string const& path);

struct Envelope {
    std::string client_name = "localhost";
    std::string client_address = "127.0.0.1";
    std::string mail_from = "sender@example.org";
    std::vector<std::string> recipients{"recipient@example.com"};
    std::string auth_type;   // empty: not logged in
    std::string daemon_name; // {daemon_name}; empty: none
    std::string host_name;   // {j}
    std::string job_id;      // {i}
};

struct Rehearsal {
    enum class Stage { connect, mail_from, recipient, header, end_of_headers, body, end_of_message };
    struct Step {
        Stage stage;
        std::size_t line; // of a header field
        milter::Verdict verdict;
    };
    struct Change {
        enum class Kind { insert, add, change, remove, hold, add_recipient, remove_recipient } kind;
        int index = 0;
        std::string name;
        std::string value;
    };
    std::vector<Step> steps; // until a verdict ended it
    std::vector<Change> changes;
    std::vector<std::pair<LogLevel, std::string>> log;

    milter::Verdict const& verdict() const { return steps.back().verdict; }
    bool reached_end() const { return steps.back().stage == Stage::end_of_message; }
};

// The session is made anew and lives as long as one connection with one message.
Rehearsal rehearse(std::shared_ptr<Generation const> const& generation, RehearsedMessage const& message,
                   Envelope const& envelope);

} // namespace postern::milter_dkim
