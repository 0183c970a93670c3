// 2.4's expressions: names, arguments in parentheses, quotes with escapes, one operator behind each call.
#include "auth-socket/users/expression.h"

#include "common/base/text.h"

namespace postern::auth_socket {

namespace {

inline constexpr std::size_t most_calls = 64;

constexpr bool begins_name(char c) { return is_alpha(c) || (c & 0x80) != 0; }
constexpr bool continues_name(char c) {
    return is_alnum(c) || (c & 0x80) != 0 || std::string_view("_/;:.-").contains(c);
}

class ExpressionParser {
  public:
    explicit ExpressionParser(std::string_view text) : rest_(text) {}

    Result<std::vector<Call>> parse() {
        while (true) {
            skip_blanks();
            if (!rest_.empty() && rest_[0] != '|')
                if (auto done = call(); !done) return std::unexpected(std::move(done.error()));
            if (calls_.size() > most_calls) return permanent("too many filters");
            skip_blanks();
            if (rest_.empty()) return std::move(calls_);
            if (!take('|')) return permanent("\"" + printable(rest_, 40) + "\" where | or } was expected");
        }
    }

  private:
    void skip_blanks() {
        while (!rest_.empty() && is_blank(rest_[0])) rest_.remove_prefix(1);
    }
    bool take(char c) {
        skip_blanks();
        if (!rest_.starts_with(c)) return false;
        rest_.remove_prefix(1);
        return true;
    }

    std::string name() {
        std::size_t size = 0;
        if (!rest_.empty() && begins_name(rest_[0]))
            while (size < rest_.size() && continues_name(rest_[size])) ++size;
        std::string found(rest_.substr(0, size));
        rest_.remove_prefix(size);
        return found;
    }

    std::string digits() {
        std::size_t size = !rest_.empty() && rest_[0] == '-' ? 1 : 0;
        while (size < rest_.size() && is_digit(rest_[size])) ++size;
        std::string found(rest_.substr(0, size));
        rest_.remove_prefix(size);
        return found == "-" ? std::string() : found;
    }

    Result<> call() {
        Call found{name(), {}};
        if (found.name.empty())
            return permanent("\"" + printable(rest_, 40) + "\" where a name was expected");
        if (take('('))
            if (auto done = arguments(found.arguments); !done) return done;
        calls_.push_back(std::move(found));
        skip_blanks();
        if (rest_.empty() || !std::string_view("+-*/%").contains(rest_[0])) return {};
        Call calculation{"calculate", {{"", Argument::Kind::text, std::string(1, rest_[0])}}};
        rest_.remove_prefix(1);
        skip_blanks();
        auto operand = value();
        if (!operand) return std::unexpected(std::move(operand.error()));
        calculation.arguments.push_back(std::move(*operand));
        calls_.push_back(std::move(calculation));
        return {};
    }

    Result<> arguments(std::vector<Argument>& found) {
        do {
            skip_blanks();
            auto argument = value();
            if (argument && argument->kind == Argument::Kind::variable && take('=')) {
                auto name = to_lower(argument->value);
                skip_blanks();
                argument = value();
                if (argument) argument->name = std::move(name);
            }
            if (!argument) return std::unexpected(std::move(argument.error()));
            found.push_back(std::move(*argument));
        } while (take(','));
        if (!take(')')) return permanent("( without )");
        return {};
    }

    Result<Argument> value() {
        using enum Argument::Kind;
        if (rest_.starts_with("'") || rest_.starts_with("\"")) {
            auto text_value = quoted();
            if (!text_value) return std::unexpected(std::move(text_value.error()));
            return Argument{"", text, std::move(*text_value)};
        }
        if (auto found = digits(); !found.empty()) return Argument{"", number, std::move(found)};
        if (auto found = name(); !found.empty()) return Argument{"", variable, std::move(found)};
        return permanent("\"" + printable(rest_, 40) + "\" where a value was expected");
    }

    Result<std::string> quoted() {
        auto const quote = rest_[0];
        rest_.remove_prefix(1);
        std::string found;
        while (!rest_.empty() && rest_[0] != quote) {
            auto const c = rest_[0];
            rest_.remove_prefix(1);
            if (c != '\\')
                found += c;
            else if (auto done = escape(found); !done)
                return std::unexpected(std::move(done.error()));
        }
        if (!take(quote)) return permanent("a quote that does not end");
        return found;
    }

    Result<> escape(std::string& found) {
        if (rest_.empty()) return permanent("a lone backslash");
        auto const c = rest_[0];
        auto const numeric = [&](std::size_t skip, std::size_t size, int base) -> Result<> {
            auto const number = parse_number<unsigned>(rest_.substr(skip, size), base);
            if (!number || *number > 255) return permanent("an odd escape in quotes");
            found += static_cast<char>(*number);
            rest_.remove_prefix(skip + size);
            return {};
        };
        if (c == 'x') return rest_.size() < 3 ? permanent("an odd escape in quotes") : numeric(1, 2, 16);
        if (is_digit(c)) {
            std::size_t size = 1;
            while (size < 3 && size < rest_.size() && is_digit(rest_[size])) ++size;
            return numeric(0, size, 8);
        }
        static constexpr std::string_view letters = "trn\\\"'", meanings = "\t\r\n\\\"'";
        auto const at = letters.find(c);
        if (at == std::string_view::npos) return permanent("an odd escape in quotes");
        found += meanings[at];
        rest_.remove_prefix(1);
        return {};
    }

    std::string_view rest_;
    std::vector<Call> calls_;
};

} // namespace

Result<std::vector<Call>> parse_expression(std::string_view inside) {
    return ExpressionParser(inside).parse();
}

} // namespace postern::auth_socket
