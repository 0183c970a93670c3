// Numbers and text stand for each other.
#include "milter-dkim/lua/value.h"

#include "common/base/text.h"

#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <optional>

namespace postern::milter_dkim::lua {

namespace {

std::optional<double> read_number(std::string_view text) {
    double value = 0;
    auto const* end = text.data() + text.size();
    auto const [stop, error] = std::from_chars(text.data(), end, value);
    if (text.empty() || error != std::errc{} || stop != end) return std::nullopt;
    return value;
}

} // namespace

bool Arguments::is_text(std::size_t index) const { return holds<std::string>(index) || holds<double>(index); }

bool Arguments::is_number(std::size_t index) const {
    if (holds<double>(index)) return true;
    return holds<std::string>(index) &&
           read_number(trim(std::get<std::string>(values_[index].is))).has_value();
}

std::string Arguments::text(std::size_t index) const {
    if (holds<double>(index)) return fmt::format("{:.14g}", std::get<double>(values_[index].is));
    return std::get<std::string>(values_.at(index).is);
}

double Arguments::number(std::size_t index) const {
    if (holds<double>(index)) return std::get<double>(values_[index].is);
    return read_number(trim(std::get<std::string>(values_.at(index).is))).value_or(0);
}

int Arguments::integer(std::size_t index) const {
    using Limit = std::numeric_limits<int>;
    auto const value = number(index);
    if (value <= Limit::min()) return Limit::min();
    if (value < Limit::max()) return static_cast<int>(value);
    return Limit::max(); // not a number compares as nothing
}

} // namespace postern::milter_dkim::lua
