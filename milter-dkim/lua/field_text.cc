// Looks at each octet.
#include "milter-dkim/lua/field_text.h"

#include "common/base/text.h"

#include <algorithm>

namespace postern::milter_dkim::lua {

bool is_field_name(std::string_view name) {
    return !name.empty() && name.size() <= max_field_name &&
           std::ranges::all_of(name, [](char c) { return c > 0x20 && c < 0x7f && c != ':'; });
}

bool is_field_value(std::string_view value) {
    if (value.size() > max_field_value || value.contains('\0') || value.contains('\r')) return false;
    for (std::size_t i = 0; i < value.size(); ++i)
        if (value[i] == '\n' && (i + 1 == value.size() || !is_blank(value[i + 1]))) return false;
    return true;
}

} // namespace postern::milter_dkim::lua
