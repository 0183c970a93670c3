// JSON (RFC 8259) from strangers, read within limits, and JSON to them.
#pragma once

#include "common/base/error.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace postern::json {

struct Member;

class Value {
  public:
    using Array = std::vector<Value>;
    using Object = std::vector<Member>; // in their order; parse() lets a name occur once

    Value() = default; // null
    // Made behind Member: clang wants to know it whole where a Value could be given up half made.
    Value(bool value);
    Value(std::int64_t value);
    Value(double value);
    Value(std::string value);
    Value(char const* value);
    Value(Array value);
    Value(Object value);

    // Null where the value is of another kind.
    bool const* boolean() const { return std::get_if<bool>(&data_); }
    std::int64_t const* integer() const { return std::get_if<std::int64_t>(&data_); }
    double const* fraction() const { return std::get_if<double>(&data_); }
    std::string const* text() const { return std::get_if<std::string>(&data_); }
    Array const* array() const { return std::get_if<Array>(&data_); }
    Object const* object() const { return std::get_if<Object>(&data_); }
    Array* array() { return std::get_if<Array>(&data_); }
    Object* object() { return std::get_if<Object>(&data_); }

    // The member of that name; null when there is none, or this is no object.
    Value const* find(std::string_view name) const;
    // A text, number or boolean as text; absent for the other kinds.
    std::optional<std::string> scalar() const;
    bool operator==(Value const&) const;

  private:
    std::variant<std::monostate, bool, std::int64_t, double, std::string, Array, Object> data_;
};

struct Member {
    std::string name;
    Value value;
    bool operator==(Member const&) const = default;
};

inline Value::Value(bool value) : data_(value) {}
inline Value::Value(std::int64_t value) : data_(value) {}
inline Value::Value(double value) : data_(value) {}
inline Value::Value(std::string value) : data_(std::move(value)) {}
inline Value::Value(char const* value) : data_(std::string(value)) {}
inline Value::Value(Array value) : data_(std::move(value)) {}
inline Value::Value(Object value) : data_(std::move(value)) {}

struct Limits {
    std::size_t octets = 65536;
    std::size_t depth = 16; // arrays and objects within each other
};

// False: built without nlohmann-json. parse() then fails and write() gives nothing; a configuration that
// needs either is to be refused.
bool is_available();

// Malformed error: broken JSON or UTF-8, a name twice in an object, past a limit.
Result<Value> parse(std::string_view text, Limits limits = {});
// Without blanks. Octets that are no UTF-8 become U+FFFD.
std::string write(Value const& value);

} // namespace postern::json
