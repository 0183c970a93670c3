// Values that go into and come out of a script.
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace postern::milter_dkim::lua {

struct Value;
using List = std::vector<Value>;

// nil, a boolean, a number, text, a handle (light userdata), an array.
struct Value {
    std::variant<std::monostate, bool, double, std::string, void const*, List> is;

    Value() = default;
    static Value number(double value) { return {value}; }
    static Value text(std::string value) { return {std::move(value)}; }
    static Value handle(void const* value) { return {value}; }
    static Value flag(bool value) { return {value}; }
    static Value list(List value) { return {std::move(value)}; }

  private:
    template <class T>
    Value(T value) : is(std::move(value)) {}
};

// What a function gives back, or the error that the script gets.
using Answer = std::expected<std::vector<Value>, std::string>;

inline Answer nothing() { return std::vector<Value>(); }
inline Answer nil() { return std::vector<Value>(1); }
inline Answer one(Value value) { return std::vector<Value>{std::move(value)}; }

// What a function was called with. A number may stand for text and text for a number, as in Lua.
class Arguments {
  public:
    explicit Arguments(std::vector<Value> values = {}) : values_(std::move(values)) {}

    std::size_t size() const { return values_.size(); }
    Value const& at(std::size_t index) const { return values_.at(index); }
    bool is_text(std::size_t index) const;   // or a number
    bool is_number(std::size_t index) const; // or text that is one
    bool is_flag(std::size_t index) const { return holds<bool>(index); }
    bool is_true_number(std::size_t index) const { return holds<double>(index); }
    bool is_handle(std::size_t index) const { return holds<void const*>(index); }
    std::string text(std::size_t index) const;
    double number(std::size_t index) const;
    // The number without its fraction; one that fits no int, or is none, is the nearest or the largest int.
    int integer(std::size_t index) const;
    bool flag(std::size_t index) const { return std::get<bool>(values_.at(index).is); }
    void const* handle(std::size_t index) const { return std::get<void const*>(values_.at(index).is); }

  private:
    template <class T>
    bool holds(std::size_t index) const {
        return index < values_.size() && std::holds_alternative<T>(values_[index].is);
    }
    std::vector<Value> values_;
};

} // namespace postern::milter_dkim::lua
