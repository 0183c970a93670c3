// The texts that others read: header fields, rejections and the words in them, as python policyd-spf writes
// them.
#pragma once

#include "common/spf/check.h"
#include "policyd-spf/settings.h"

#include <string>
#include <string_view>

namespace postern::policyd_spf {

enum class Scope { helo, mail_from };

// What is printed of a request, in lower case. The client's address is as Postfix gave it.
struct Subject {
    std::string client;
    std::string helo;
    std::string sender; // empty: the null sender
    std::string receiver;
};

struct Finding {
    Scope scope = Scope::helo;
    spf::Verdict verdict = spf::Verdict::none;
    std::string explanation;
};

struct Answer {
    enum class Kind { dunno, prepend, reject, defer, result_only };
    Kind kind = Kind::dunno;
    std::string text;      // the header field, the reply's text or the action
    bool is_error = false; // of a permerror or temperror
    bool operator==(Answer const&) const = default;
};

std::string verdict_word(spf::Verdict verdict); // "Pass", "Softfail", "Permerror"
std::string_view scope_word(Scope scope);       // "helo", "mailfrom"
// "identity=mailfrom; client-ip=...; helo=...; envelope-from=...; receiver=... " with its blank at the end.
std::string details(Scope scope, Subject const& subject);
// "Received-SPF: ..." or "Authentication-Results: ...", as Header_Type says.
std::string header_field(Finding const& finding, Subject const& subject, Settings const& settings);
// "X-Comment: ..." or "Authentication-Results: ...; none (...)"; reason: "SPF check N/A for local connections
// - ".
std::string skip_field(std::string_view reason, Subject const& subject, Settings const& settings);
// Reason_Message with its three names replaced; kind is reject or defer.
std::string refusal_text(Answer::Kind kind, Finding const& finding, Subject const& subject,
                         Settings const& settings);

// "550 5.7.23", "defer_if_permit 4.7.24" and their forms without enhanced codes.
std::string_view refusal_code(Answer const& answer, Settings const& settings);
// The action that Postfix gets, without "action=".
std::string action_of(Answer const& answer, Settings const& settings);
// The line of debugLevel 1, without the queue id; empty when there is none.
std::string log_line_of(Answer const& answer, Settings const& settings);

} // namespace postern::policyd_spf
