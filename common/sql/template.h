// Query templates with % variables, turned into statements with bound values.
#pragma once

#include "common/base/error.h"
#include "common/sql/database.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace postern::sql {

// A template is parsed once. Each SQL string literal that has a variable in it ('%s', 'x-%u@%d', '%%%s')
// becomes one bound value: the literal's expansion. A variable in a quoted identifier becomes text that
// cannot leave the quotes. A variable outside quotes becomes escaped text, and bare_variables() names it so
// that the configuration check can warn. A variable in a comment is dropped.
//
// Literals are read as the driver's server reads them: '' doubling everywhere; backslashes and "..." as
// strings in MariaDB; E'...', $$...$$ and nested comments in PostgreSQL; "..." with a variable is a string in
// SQLite, whose fallback for unknown identifiers administrators rely on. N'...' is a plain string; a variable
// in a literal with another prefix (X'', B'', U&'', _utf8'') is an error, as is an unfinished literal.
//
// The caller owns the % language: scan() is given the text after '%' and says how long the variable is, or
// refuses.
class Template {
  public:
    // What a scanner gives back for the text that follows a '%': the length of the variable without the '%'
    // and its name; "%%" is done here. An error's text says what is wrong.
    struct Variable {
        std::size_t length;
        std::string name;
    };
    using Scanner = std::function<Result<Variable>(std::string_view after_percent)>;
    // The value of a variable for this lookup; the error ends the expansion (suppression, unknown name).
    using Lookup = std::function<Result<std::string>(std::string_view name)>;

    static Result<Template> parse(std::string_view text, Driver driver, Scanner const& scanner);

    struct Bound {
        Statement statement;
        std::vector<std::string> values;
    };
    // escape is used for variables outside quotes only.
    Result<Bound> bind(Lookup const& lookup,
                       std::function<std::string(std::string_view)> const& escape) const;

    std::vector<std::string> const& variables() const { return variables_; } // in order, each once
    std::vector<std::string> const& bare_variables() const { return bare_; }

  private:
    class Parser;
    struct Text {
        std::string text;
    };
    struct VariableUse {
        std::string name;
        char identifier_quote = 0; // the quotes it stands in; 0: outside quotes
    };
    using Piece = std::variant<Text, VariableUse>;
    struct Literal { // one quoted string with at least one variable
        std::vector<Piece> pieces;
    };
    using Part = std::variant<Text, VariableUse, Literal>;
    std::vector<Part> parts_;
    std::vector<std::string> variables_;
    std::vector<std::string> bare_;
};

} // namespace postern::sql
