// Finds the sender in OpenDKIM's order.
#include "milter-dkim/message/sender.h"

#include "common/base/text.h"

namespace postern::milter_dkim {

namespace {

// The text between the last "<" and the next ">", or the first word with an "@".
std::optional<mail::Mailbox> searched(std::string_view value) {
    auto candidate = value;
    if (auto const open = value.rfind('<'); open != std::string_view::npos)
        candidate = value.substr(open + 1, value.find('>', open) - open - 1);
    for (auto const word : split_words(candidate, " \t\r\n,;()\"")) {
        auto const halves = halve_at_last(word, '@');
        if (!halves.after || halves.before.empty() || halves.after->empty()) continue;
        return mail::Mailbox{{}, std::string(halves.before), std::string(*halves.after)};
    }
    return std::nullopt;
}

} // namespace

std::string const* find_header(HeaderList const& headers, std::string_view name) {
    for (auto const& [each, value] : headers)
        if (equals_ignoring_case(each, name)) return &value;
    return nullptr;
}

std::optional<std::size_t> find_field(HeaderList const& headers, std::string_view name, int index) {
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < headers.size(); ++i)
        if (equals_ignoring_case(headers[i].first, name)) places.push_back(i);
    auto const count = static_cast<int>(places.size());
    if (index < 0) index += count;
    if (index < 0 || index >= count) return std::nullopt;
    return places[static_cast<std::size_t>(index)];
}

SenderText sender_text(std::string_view macro, std::vector<std::string> const& fields,
                       MessageFacts const& facts) {
    if (!macro.empty())
        if (auto value = facts.macro(macro); value && !value->empty())
            return {"macro " + std::string(macro), std::move(*value)};
    for (auto const& name : fields)
        if (auto const* value = find_header(*facts.headers, name)) return {name, *value};
    auto const* from = find_header(*facts.headers, "From");
    return {"From", from == nullptr ? "" : *from};
}

std::optional<mail::Mailbox> sender_of(std::string_view value) {
    if (auto const parsed = mail::parse_mailboxes(value))
        for (auto const& mailbox : *parsed)
            if (!mailbox.domain.empty()) return mailbox;
    return searched(value);
}

} // namespace postern::milter_dkim
