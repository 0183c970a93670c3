// What Dovecot 2.4 writes between the braces of a variable, taken apart: name | filter('a', b=1) % 5.
#pragma once

#include "common/base/error.h"

#include <string>
#include <string_view>
#include <vector>

namespace postern::auth_socket {

struct Argument {
    enum class Kind { text, number, variable };
    std::string name; // empty: told by its place
    Kind kind = Kind::text;
    std::string value; // a variable's name, or what is meant
};

struct Call {
    std::string name;
    std::vector<Argument> arguments;
};

// "user | username % 5" is three calls, the last one "calculate" with an operator and a number. The first may
// be a variable's name. Permanent error: a mistake in the text.
Result<std::vector<Call>> parse_expression(std::string_view inside);

} // namespace postern::auth_socket
