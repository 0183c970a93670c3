// Deadlines, dates and spans of time.
#include "common/base/clock.h"

#include "common/base/text.h"

#include <fmt/format.h>

#include <array>
#include <climits>
#include <ctime>

namespace postern {

using std::chrono::milliseconds;

milliseconds Deadline::remaining() const {
    if (is_never()) return milliseconds::max();
    auto const left = std::chrono::ceil<milliseconds>(point_ - Clock::now());
    return left < milliseconds::zero() ? milliseconds::zero() : left;
}

int Deadline::poll_timeout() const {
    if (is_never()) return -1;
    auto const left = remaining().count();
    return left > INT_MAX ? INT_MAX : static_cast<int>(left);
}

Deadline Deadline::or_after(milliseconds span) const { return earlier(*this, after(span)); }

std::int64_t unix_time() {
    return std::chrono::duration_cast<std::chrono::seconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

std::string rfc5322_date(std::int64_t unix_seconds) {
    static constexpr std::array days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    std::time_t const seconds = unix_seconds;
    std::tm tm{};
    gmtime_r(&seconds, &tm);
    return fmt::format(
        "{}, {:02} {} {:04} {:02}:{:02}:{:02} +0000", days[static_cast<std::size_t>(tm.tm_wday)], tm.tm_mday,
        months[static_cast<std::size_t>(tm.tm_mon)], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

std::optional<milliseconds> parse_duration(std::string_view text, milliseconds default_unit) {
    text = trim(text);
    std::size_t digits = 0;
    while (digits < text.size() && is_digit(text[digits])) ++digits;
    auto const number = parse_number<std::int64_t>(text.substr(0, digits));
    if (!number || *number > 100'000'000) return std::nullopt;
    auto const unit = to_lower(trim(text.substr(digits)));
    struct Unit {
        std::string_view names;
        milliseconds length;
    };
    static constexpr std::array<Unit, 6> units{{
        {" ms msec msecs ", milliseconds(1)},
        {" s sec secs second seconds ", std::chrono::seconds(1)},
        {" m min mins minute minutes ", std::chrono::minutes(1)},
        {" h hour hours ", std::chrono::hours(1)},
        {" d day days ", std::chrono::hours(24)},
        {" w week weeks ", std::chrono::hours(24 * 7)},
    }};
    if (unit.empty()) return *number * default_unit;
    for (auto const& [names, length] : units)
        if (names.find(fmt::format(" {} ", unit)) != std::string_view::npos) return *number * length;
    return std::nullopt;
}

} // namespace postern
