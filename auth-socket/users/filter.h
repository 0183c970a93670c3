// What a filter of Dovecot 2.4 is, for those that implement or call one.
#pragma once

#include "auth-socket/users/expression.h"
#include "auth-socket/users/filters.h"

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::auth_socket {

struct Value {
    std::optional<std::string> text; // absent: there is none, as after a filter that failed
    bool is_binary = false;          // a digest: told in hex at the end
};

// The arguments of one call; variables among them are looked up when they are asked for.
class Arguments {
  public:
    Arguments(std::vector<Argument> const& all, VariableLookup const& lookup) : all_(all), lookup_(lookup) {}

    std::size_t placed() const; // those without a name
    // Permanent error when there are other arguments than these.
    Result<> only(std::size_t least, std::size_t most, std::initializer_list<std::string_view> names) const;
    Result<std::string> text(std::size_t place) const;
    Result<long long> number(std::size_t place) const;
    Result<std::string> named(std::string_view name, std::string fallback) const;
    Result<long long> named_number(std::string_view name, long long fallback) const;
    bool has(std::string_view name) const;

  private:
    Result<std::string> value_of(Argument const& argument) const;

    std::vector<Argument> const& all_;
    VariableLookup const& lookup_;
};

struct Filter {
    std::string_view name;
    Result<Value> (*apply)(std::string const& input, Arguments const& arguments);
    std::size_t least = 0, most = 0; // arguments without a name
    std::initializer_list<std::string_view> names = {};
    bool needs_input = true;
    bool stays_binary = false; // a piece of a digest is in hex at the end, too
};

// Null: there is none of that name.
Filter const* find_filter(std::string_view name);

} // namespace postern::auth_socket
