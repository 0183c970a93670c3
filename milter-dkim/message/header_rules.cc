// Counts, in OpenDKIM's order and words.
#include "milter-dkim/message/header_rules.h"

#include "common/base/text.h"
#include "milter-dkim/message/sender.h"

#include <algorithm>
#include <array>

namespace postern::milter_dkim {

namespace {

constexpr std::array<std::string_view, 2> exactly_once{"Date", "From"};
constexpr std::array<std::string_view, 9> at_most_once{
    "Sender", "Reply-To", "To", "Cc", "Bcc", "Message-Id", "In-Reply-To", "References", "Subject"};

auto count(HeaderList const& headers, std::string_view name) {
    return std::ranges::count_if(headers,
                                 [&](auto const& field) { return equals_ignoring_case(field.first, name); });
}

} // namespace

// Of several faults OpenDKIM tells the last, and it does not count Sender.
std::optional<std::string> required_headers_fault(HeaderList const& headers) {
    for (auto name = at_most_once.rbegin(); name != at_most_once.rend(); ++name)
        if (*name != "Sender" && count(headers, *name) > 1)
            return "message has multiple " + std::string(*name) + " fields";
    for (auto const name : exactly_once)
        if (count(headers, name) != 1)
            return "message does not have exactly one " + std::string(name) + " field";
    return std::nullopt;
}

std::optional<std::string> strict_headers_fault(HeaderList const& headers) {
    for (auto const name : exactly_once) {
        auto const found = count(headers, name);
        if (found == 0) return std::string(name) + ": header field absent";
        if (found > 1) return "multiple " + std::string(name) + ": header fields present";
    }
    auto const author = sender_of(*find_header(headers, "From"));
    if (!author || author->local_part.empty() || author->domain.empty())
        return "From: header field cannot be parsed";
    for (auto const name : at_most_once)
        if (count(headers, name) > 1) return "multiple " + std::string(name) + ": header fields present";
    return std::nullopt;
}

} // namespace postern::milter_dkim
