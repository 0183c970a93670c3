// Checks the parameters of MAIL FROM.
#include "lmtp-deliver/parameters.h"

#include "common/base/text.h"

#include <fmt/format.h>

#include <set>
#include <string>

namespace postern::lmtp_deliver {

namespace {

using Value = std::optional<std::string_view>;

std::optional<mail::Reply> refused_size(Value value, std::uint64_t limit) {
    auto const size = parse_number<std::uint64_t>(value.value_or(""));
    if (!size) return mail::Reply{501, "5.5.4", "Invalid SIZE= parameter value"};
    if (limit != 0 && *size > limit) return message_too_large;
    return std::nullopt;
}

std::optional<mail::Reply> refused_body(Value value) {
    if (!value || value->empty()) return mail::Reply{501, "5.5.4", "Missing BODY= parameter value"};
    if (equals_ignoring_case(*value, "7BIT") || equals_ignoring_case(*value, "8BITMIME")) return std::nullopt;
    return mail::Reply{555, "5.5.4", "Unsupported mail BODY type"};
}

} // namespace

std::optional<mail::Reply> refused_mail_parameters(std::string_view parameters,
                                                   std::uint64_t max_message_size) {
    std::set<std::string> seen;
    for (auto const parameter : split_words(parameters, " ")) {
        auto const [name, value] = halve(parameter, '=');
        auto const keyword = to_upper(name);
        std::optional<mail::Reply> refused;
        if (keyword == "SIZE")
            refused = refused_size(value, max_message_size);
        else if (keyword == "BODY")
            refused = refused_body(value);
        else if (keyword != "SMTPUTF8" || value)
            refused = mail::Reply{555, "5.5.4", "Unsupported parameters"};
        if (!refused && !seen.insert(keyword).second)
            refused = mail::Reply{501, "5.5.4", fmt::format("Duplicate {}= parameter", keyword)};
        if (refused) return refused;
    }
    return std::nullopt;
}

} // namespace postern::lmtp_deliver
