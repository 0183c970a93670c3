// The counts of header fields that RFC 5322 3.6 wants.
#include "milter-dmarc/required_headers.h"

#include "common/base/text.h"
#include "common/mail/auth_results.h"
#include "common/mail/received_spf.h"

#include <algorithm>
#include <array>

namespace postern::milter_dmarc {

namespace {

inline constexpr std::array<std::string_view, 2> exactly_once{"From", "Date"};
inline constexpr std::array<std::string_view, 9> at_most_once{
    "Sender", "Reply-To", "To", "Cc", "Bcc", "Message-Id", "In-Reply-To", "References", "Subject"};

} // namespace

std::optional<std::string> requirement_error(mail::Headers const& headers) {
    for (auto const name : exactly_once)
        if (headers.count(name) != 1) return "not exactly one " + std::string(name) + " field";
    for (auto const name : at_most_once)
        if (headers.count(name) > 1) return "multiple " + std::string(name) + " fields";
    return std::nullopt;
}

bool is_kept_field(std::string_view name) {
    auto const is_this = [&](std::string_view each) { return equals_ignoring_case(trim_right(name), each); };
    return std::ranges::any_of(exactly_once, is_this) || std::ranges::any_of(at_most_once, is_this) ||
           is_this(mail::auth_results_name) || is_this(mail::received_spf_name) || is_this("X-Comment");
}

} // namespace postern::milter_dmarc
