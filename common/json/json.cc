// JSON through nlohmann-json's event interface, which lets limits be kept while reading.
#include "common/json/json.h"

#include <algorithm>
#include <limits>

#if POSTERN_JSON
#include <nlohmann/json.hpp>
#endif

namespace postern::json {

Value const* Value::find(std::string_view name) const {
    auto const* members = object();
    if (members == nullptr) return nullptr;
    auto const at = std::ranges::find(*members, name, &Member::name);
    return at == members->end() ? nullptr : &at->value;
}

std::optional<std::string> Value::scalar() const {
    if (auto const* value = text()) return *value;
    if (auto const* value = boolean()) return *value ? "true" : "false";
    if (auto const* value = integer()) return std::to_string(*value);
    if (fraction() != nullptr) return write(*this);
    return std::nullopt;
}

bool Value::operator==(Value const&) const = default;

#if POSTERN_JSON

bool is_available() { return true; }

namespace {

using Foreign = nlohmann::ordered_json;

class Reader final : public nlohmann::json_sax<nlohmann::json> {
  public:
    explicit Reader(std::size_t depth) : depth_(depth) {}

    bool null() override { return put(Value()); }
    bool boolean(bool value) override { return put(Value(value)); }
    bool number_integer(number_integer_t value) override { return put(Value(std::int64_t{value})); }
    bool number_unsigned(number_unsigned_t value) override {
        if (value <= static_cast<number_unsigned_t>(std::numeric_limits<std::int64_t>::max()))
            return put(Value(static_cast<std::int64_t>(value)));
        return put(Value(static_cast<double>(value)));
    }
    bool number_float(number_float_t value, string_t const&) override { return put(Value(value)); }
    bool string(string_t& value) override { return put(Value(std::move(value))); }
    bool binary(binary_t&) override { return fail("binary data"); }
    bool start_object(std::size_t) override { return open(Value(Value::Object())); }
    bool start_array(std::size_t) override { return open(Value(Value::Array())); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }
    bool key(string_t& name) override {
        if (open_.back()->find(name) != nullptr) return fail("a name stands twice in an object");
        open_.back()->object()->push_back({std::move(name), Value()});
        return true;
    }
    bool parse_error(std::size_t octet, std::string const&, nlohmann::detail::exception const&) override {
        return fail("broken at octet " + std::to_string(octet));
    }

    Value root;
    std::string problem;

  private:
    bool fail(std::string text) {
        problem = std::move(text);
        return false;
    }
    Value& place(Value value) {
        if (open_.empty()) return root = std::move(value);
        if (auto* array = open_.back()->array()) return array->emplace_back(std::move(value));
        return open_.back()->object()->back().value = std::move(value);
    }
    bool put(Value value) {
        place(std::move(value));
        return true;
    }
    // The pointers stay good: only the innermost one grows.
    bool open(Value value) {
        if (open_.size() >= depth_) return fail("nested too deeply");
        open_.push_back(&place(std::move(value)));
        return true;
    }
    bool close() {
        open_.pop_back();
        return true;
    }

    std::size_t depth_;
    std::vector<Value*> open_;
};

Foreign foreign(Value const& value) {
    if (auto const* boolean = value.boolean()) return *boolean;
    if (auto const* integer = value.integer()) return *integer;
    if (auto const* fraction = value.fraction()) return *fraction;
    if (auto const* text = value.text()) return *text;
    if (auto const* array = value.array()) {
        auto made = Foreign::array();
        for (auto const& each : *array) made.push_back(foreign(each));
        return made;
    }
    if (auto const* object = value.object()) {
        auto made = Foreign::object();
        for (auto const& [name, inner] : *object) made[name] = foreign(inner);
        return made;
    }
    return nullptr;
}

} // namespace

Result<Value> parse(std::string_view text, Limits limits) {
    if (text.size() > limits.octets)
        return malformed("JSON of more than " + std::to_string(limits.octets) + " octets");
    Reader reader(limits.depth);
    if (!nlohmann::json::sax_parse(text, &reader)) return malformed("JSON: " + reader.problem);
    return std::move(reader.root);
}

std::string write(Value const& value) {
    return foreign(value).dump(-1, ' ', false, Foreign::error_handler_t::replace);
}

#else

bool is_available() { return false; }
Result<Value> parse(std::string_view, Limits) { return permanent("built without nlohmann-json"); }
std::string write(Value const&) { return {}; }

#endif

} // namespace postern::json
