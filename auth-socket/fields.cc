// Named values in order.
#include "auth-socket/fields.h"

#include <algorithm>

namespace postern::auth_socket {

Field const* Fields::find(std::string_view name) const {
    auto const at = std::ranges::find(fields_, name, &Field::name);
    return at == fields_.end() ? nullptr : &*at;
}

std::string Fields::value(std::string_view name) const {
    auto const* field = find(name);
    return field == nullptr ? std::string() : field->value.value_or("");
}

void Fields::set(std::string_view name, std::optional<std::string> value) {
    auto const at = std::ranges::find(fields_, name, &Field::name);
    if (at == fields_.end())
        fields_.push_back({std::string(name), std::move(value)});
    else
        at->value = std::move(value);
}

void Fields::set_default(std::string_view name, std::optional<std::string> value) {
    if (!has(name)) set(name, std::move(value));
}

void Fields::remove(std::string_view name) {
    std::erase_if(fields_, [name](Field const& field) { return field.name == name; });
}

void Fields::merge(Fields const& later) {
    for (auto const& [name, value] : later) set(name, value);
}

} // namespace postern::auth_socket
