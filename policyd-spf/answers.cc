// The texts of answers.
#include "policyd-spf/answers.h"

#include "common/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace postern::policyd_spf {

namespace {

// Stock writes every value bare. What could end a value early and begin another field's is quoted instead
// (RFC 7208 9.1), so that nobody writes our results for us.
std::string field_value(std::string_view value) {
    bool const plain = std::ranges::none_of(value, [](char c) {
        return static_cast<unsigned char>(c) <= ' ' || c == 0x7f || std::string_view(";()\"\\,").contains(c);
    });
    if (plain) return std::string(value);
    std::string out = "\"";
    for (char const c : value) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

// Comments nest (RFC 5322 3.2.2): parentheses that pair off stay as stock writes them, others are escaped.
bool is_balanced(std::string_view text) {
    int depth = 0;
    for (char const c : text) {
        depth += c == '(' ? 1 : c == ')' ? -1 : 0;
        if (depth < 0 || c == '\\') return false;
    }
    return depth == 0;
}

std::string comment_text(std::string_view text) {
    if (is_balanced(text)) return std::string(text);
    std::string out;
    for (char const c : text) {
        if (c == '(' || c == ')' || c == '\\') out += '\\';
        out += c;
    }
    return out;
}

// A property's value: a token or an address is bare, anything else quoted (RFC 8601 2.2).
std::string property_value(std::string_view value) {
    bool const bare = !value.empty() && std::ranges::none_of(value, [](char c) {
        return c <= ' ' || c >= 0x7f || std::string_view("()<>,;:\\\"/[]?=").contains(c);
    });
    if (bare) return std::string(value);
    return fmt::format("\"{}\"", replace_all(replace_all(value, "\\", "\\\\"), "\"", "\\\""));
}

std::string shown_sender(Subject const& subject) { return subject.sender.empty() ? "<>" : subject.sender; }

std::string comment_details(Subject const& subject, std::string_view sender) {
    return fmt::format("client-ip={}; helo={}; envelope-from={}; receiver={}", comment_text(subject.client),
                       comment_text(subject.helo), comment_text(sender), comment_text(subject.receiver));
}

std::string comment_of(Finding const& finding) {
    // Stock puts the identity's name where the explanation of a MAIL FROM check belongs.
    return finding.scope == Scope::helo ? comment_text(finding.explanation) : "mailfrom";
}

} // namespace

std::string verdict_word(spf::Verdict verdict) {
    std::string word(spf::to_string(verdict));
    word.front() = upper(word.front());
    return word;
}

std::string_view scope_word(Scope scope) { return scope == Scope::helo ? "helo" : "mailfrom"; }

std::string details(Scope scope, Subject const& subject) {
    return fmt::format("identity={}; client-ip={}; helo={}; envelope-from={}; receiver={} ",
                       scope_word(scope), field_value(subject.client), field_value(subject.helo),
                       field_value(shown_sender(subject)), field_value(subject.receiver));
}

std::string header_field(Finding const& finding, Subject const& subject, Settings const& settings) {
    if (settings.header_type != HeaderType::ar)
        return fmt::format("Received-SPF: {} ({}) {}", verdict_word(finding.verdict), comment_of(finding),
                           details(finding.scope, subject));
    bool const helo = finding.scope == Scope::helo;
    auto const domain = spf::split_sender(subject.sender, subject.helo).domain;
    return fmt::format("Authentication-Results: {}; spf={}{} smtp.{}={} ({})", settings.authserv_id,
                       spf::to_string(finding.verdict),
                       finding.explanation.empty() ? ""
                                                   : fmt::format(" ({})", comment_text(finding.explanation)),
                       scope_word(finding.scope), property_value(helo ? subject.helo : domain),
                       comment_details(subject, shown_sender(subject)));
}

std::string skip_field(std::string_view reason, Subject const& subject, Settings const& settings) {
    if (settings.header_type == HeaderType::ar)
        return fmt::format("Authentication-Results: {}; none ({} {})", settings.authserv_id, reason,
                           comment_details(subject, subject.sender));
    return fmt::format("X-Comment: {}client-ip={}; helo={}; envelope-from={}; receiver={} ", reason,
                       field_value(subject.client), field_value(subject.helo), field_value(subject.sender),
                       field_value(subject.receiver));
}

std::string refusal_text(Answer::Kind kind, Finding const& finding, Subject const& subject,
                         Settings const& settings) {
    bool const helo = finding.scope == Scope::helo;
    auto const url = fmt::format("http://www.openspf.net/Why?s={};id={};ip={};r={}", helo ? "helo" : "mfrom",
                                 helo ? subject.helo : subject.sender, subject.client, subject.receiver);
    std::array<std::pair<std::string_view, std::string_view>, 5> const names = {
        {{"{rejectdefer}", kind == Answer::Kind::defer ? "deferred" : "rejected"},
         {"{spf}", finding.explanation},
         {"{url}", url},
         {"{{", "{"},
         {"}}", "}"}}};
    std::string out;
    std::string_view rest = settings.reason_message;
    while (!rest.empty()) { // one pass: what a stranger wrote is not looked at again
        auto const* const name =
            std::ranges::find_if(names, [&](auto const& each) { return rest.starts_with(each.first); });
        out += name == names.end() ? rest.substr(0, 1) : name->second;
        rest.remove_prefix(name == names.end() ? 1 : name->first.size());
    }
    return out;
}

std::string_view refusal_code(Answer const& answer, Settings const& settings) {
    bool const defer = answer.kind == Answer::Kind::defer;
    if (!settings.enhanced_status_codes) return defer ? "defer_if_permit" : "550";
    if (defer) return "defer_if_permit 4.7.24";
    return answer.is_error ? "550 5.7.24" : "550 5.7.23"; // RFC 7372
}

std::string action_of(Answer const& answer, Settings const& settings) {
    switch (answer.kind) {
    case Answer::Kind::dunno: return "dunno";
    case Answer::Kind::prepend:
        if (!settings.prospective.empty() || settings.header_type == HeaderType::none) return "dunno";
        return "prepend " + answer.text;
    case Answer::Kind::reject:
    case Answer::Kind::defer: return fmt::format("{} {}", refusal_code(answer, settings), answer.text);
    case Answer::Kind::result_only: return answer.text;
    }
    return "dunno";
}

std::string log_line_of(Answer const& answer, Settings const& settings) {
    switch (answer.kind) {
    case Answer::Kind::dunno: return {};
    case Answer::Kind::prepend:
        if (!settings.prospective.empty()) return {};
        if (settings.header_type == HeaderType::none) return "Header field not prepended: " + answer.text;
        return "prepend " + answer.text;
    case Answer::Kind::reject:
    case Answer::Kind::defer: return action_of(answer, settings);
    case Answer::Kind::result_only: return "result_only " + answer.text;
    }
    return {};
}

} // namespace postern::policyd_spf
