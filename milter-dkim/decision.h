// Sign, verify or let pass: OpenDKIM's decision, and why.
#pragma once

#include "common/base/log.h"
#include "common/mail/address.h"
#include "milter-dkim/configuration.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postern::milter_dkim {

using HeaderList = std::vector<std::pair<std::string, std::string>>; // name, value as received; topmost first

// What is known of a message at the end of its header.
struct MessageFacts {
    std::string client_name;
    std::string client_address;          // "127.0.0.1" when the MTA told none
    std::vector<std::string> recipients; // without angle brackets
    HeaderList const* headers = nullptr;
    std::function<std::optional<std::string>(std::string_view name)> macro;
};

struct Decision {
    enum class Action {
        pass,      // let it through untouched
        sign,      // make requests
        verify,    //
        malformed, // no usable sender: permerror, or pass with IgnoreMalformedMail
        tempfail,  // it should be signed, and cannot be now
    };
    // A line for the log; why-lines are written only with LogWhy.
    struct Line {
        LogLevel level;
        std::string text;
        bool why = false;
    };
    Action action = Action::verify;
    std::vector<SigningRequest> requests;
    std::string sender_domain; // lower case; a parent of it with SubDomains
    bool internal = false;
    std::vector<Line> lines;
};

Decision decide(Configuration const& configuration, MessageFacts const& facts);

// Whether the message comes from where mail of our own comes from, by MTA, macros, client or authentication;
// no when that cannot be found out.
bool comes_from_us(Configuration const& configuration, MessageFacts const& facts);

// The first field of that name, or null.
std::string const* find_header(HeaderList const& headers, std::string_view name);
// The first mailbox of a From value, leniently: what RFC 5322 does not allow is searched for <user@domain>.
std::optional<mail::Mailbox> sender_of(std::string_view value);

} // namespace postern::milter_dkim
