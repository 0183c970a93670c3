// The machine that sends a variable's value through 2.4's filters.
#include "auth-socket/users/filters.h"

#include "auth-socket/users/expression.h"
#include "auth-socket/users/filter.h"
#include "common/base/encoding.h"
#include "common/base/text.h"

#include <algorithm>
#include <cstdint>

namespace postern::auth_socket {

std::size_t Arguments::placed() const {
    return static_cast<std::size_t>(std::ranges::count(all_, "", &Argument::name));
}

Result<> Arguments::only(std::size_t least, std::size_t most,
                         std::initializer_list<std::string_view> names) const {
    if (placed() < least) return permanent("an argument is missing");
    if (placed() > most) return permanent("too many arguments");
    for (auto const& each : all_)
        if (!each.name.empty() && std::ranges::find(names, each.name) == names.end())
            return permanent("unknown argument \"" + printable(each.name, 20) + "\"");
    return {};
}

bool Arguments::has(std::string_view name) const {
    return std::ranges::find(all_, name, &Argument::name) != all_.end();
}

Result<std::string> Arguments::value_of(Argument const& argument) const {
    if (argument.kind != Argument::Kind::variable) return argument.value;
    auto found = lookup_(argument.value);
    if (!found) return std::unexpected(std::move(found.error()));
    if (!*found) return permanent("unknown variable " + printable(argument.value, 40));
    return std::move(**found);
}

Result<std::string> Arguments::text(std::size_t place) const {
    for (auto const& each : all_)
        if (each.name.empty() && place-- == 0) return value_of(each);
    return permanent("an argument is missing");
}

Result<std::string> Arguments::named(std::string_view name, std::string fallback) const {
    auto const at = std::ranges::find(all_, name, &Argument::name);
    return at == all_.end() ? Result<std::string>(std::move(fallback)) : value_of(*at);
}

namespace {

Result<long long> as_number(Result<std::string> const& text) {
    if (!text) return std::unexpected(text.error());
    auto const number = parse_number<long long>(*text);
    if (!number) return temporary("\"" + printable(*text, 20) + "\" is not a number");
    return *number;
}

} // namespace

Result<long long> Arguments::number(std::size_t place) const { return as_number(text(place)); }
Result<long long> Arguments::named_number(std::string_view name, long long fallback) const {
    return as_number(named(name, std::to_string(fallback)));
}

namespace {

Result<long long> calculated(long long left, char operation, long long right) {
    long long value = 0;
    auto overflows = false;
    switch (operation) {
    case '+': overflows = __builtin_add_overflow(left, right, &value); break;
    case '-': overflows = __builtin_sub_overflow(left, right, &value); break;
    case '*': overflows = __builtin_mul_overflow(left, right, &value); break;
    default:
        if (right == 0) return temporary("a division by zero");
        if (right == -1) return operation == '/' ? calculated(0, '-', left) : Result<long long>(0);
        value = operation == '/' ? left / right : left % right;
    }
    if (overflows) return temporary("a number out of bounds");
    return value;
}

// The last eight octets of a digest.
std::uint64_t digest_number(std::string_view digest) {
    std::uint64_t number = 0;
    for (auto const c : digest.substr(digest.size() - std::min<std::size_t>(8, digest.size())))
        number = number << 8 | static_cast<unsigned char>(c);
    return number;
}

// "+ 5": what stands behind a call.
Result<Value> calculate(Value const& input, Arguments const& arguments) {
    auto const operation = arguments.text(0);
    auto const right = arguments.number(1);
    if (!operation || !right) return std::unexpected(operation ? right.error() : operation.error());
    if (input.is_binary && *operation == "%") {
        if (*right <= 0) return temporary("a division by zero");
        return Value{std::to_string(digest_number(*input.text) % static_cast<std::uint64_t>(*right))};
    }
    auto const left = parse_number<long long>(*input.text);
    if (!left) return temporary("\"" + printable(*input.text, 20) + "\" is not a number");
    auto const value = calculated(*left, operation->at(0), *right);
    if (!value) return std::unexpected(value.error());
    return Value{std::to_string(*value)};
}

class Machine {
  public:
    explicit Machine(VariableLookup const& lookup) : lookup_(lookup) {}

    Result<std::string> run(std::vector<Call> const& calls) {
        for (auto const& call : calls) {
            auto next = step(call, &call == &calls.front());
            if (next) {
                value_ = std::move(*next);
                continue;
            }
            if (next.error().kind == ErrorKind::permanent)
                return std::unexpected(std::move(next.error()).within(printable(call.name, 40)));
            if (!first_error_) first_error_ = std::move(next.error()).within(printable(call.name, 40));
            value_ = {};
        }
        if (calls.empty()) return std::string();
        if (!value_.text) return std::unexpected(*first_error_);
        return value_.is_binary ? hex_encode(*value_.text) : std::move(*value_.text);
    }

  private:
    Result<Value> step(Call const& call, bool is_first) {
        if (is_first && call.arguments.empty()) {
            auto found = lookup_(call.name);
            if (!found) return std::unexpected(std::move(found.error()));
            if (*found) return Value{std::move(**found)};
        }
        Arguments const arguments(call.arguments, lookup_);
        if (call.name == "default") return with_default(arguments);
        if (call.name == "lookup") return looked_up(arguments);
        auto const* filter = find_filter(call.name);
        auto const is_calculation = call.name == "calculate";
        if (filter == nullptr && !is_calculation)
            return permanent(is_first ? "unknown variable" : "unknown filter");
        if (filter != nullptr)
            if (auto const known = arguments.only(filter->least, filter->most, filter->names); !known)
                return std::unexpected(known.error());
        auto const needs_input = is_calculation || filter->needs_input;
        if (needs_input && is_first) return permanent("a filter without a value");
        if (needs_input && !value_.text) return temporary("no value");
        if (is_calculation) return calculate(value_, arguments);
        auto made = filter->apply(value_.text.value_or(""), arguments);
        if (made && filter->stays_binary) made->is_binary = value_.is_binary;
        return made;
    }

    Result<Value> with_default(Arguments const& arguments) {
        if (auto const known = arguments.only(0, 1, {}); !known) return std::unexpected(known.error());
        if (value_.text && !value_.text->empty()) return value_;
        if (arguments.placed() == 0) return Value{""};
        auto text = arguments.text(0);
        if (!text) return std::unexpected(std::move(text.error()));
        return Value{std::move(*text)};
    }

    Result<Value> looked_up(Arguments const& arguments) {
        if (auto const known = arguments.only(1, 1, {}); !known) return std::unexpected(known.error());
        auto const name = arguments.text(0);
        if (!name) return std::unexpected(name.error());
        auto found = lookup_(*name);
        if (!found) return std::unexpected(std::move(found.error()));
        if (!*found) return temporary("unknown variable " + printable(*name, 40));
        return Value{std::move(**found)};
    }

    VariableLookup const& lookup_;
    Value value_;
    std::optional<Error> first_error_;
};

} // namespace

Result<std::string> evaluate(std::string_view inside, VariableLookup const& lookup) {
    auto const calls = parse_expression(inside);
    if (!calls) return std::unexpected(calls.error());
    return Machine(lookup).run(*calls);
}

std::string with_braces_only(std::string_view text) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        result += text[i];
        if (text[i] != '%' || text.substr(i + 1).starts_with("{")) continue;
        if (text.substr(i + 1).starts_with("%{")) ++i; // "%%{" means "%{" to both
        result += '%';
    }
    return result;
}

} // namespace postern::auth_socket
