// Reads a query template as the database's own lexer would, and binds it for one lookup.
#include "common/sql/template.h"

#include "common/base/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace postern::sql {

namespace {

bool is_word(char c) { return is_alnum(c) || c == '_' || static_cast<unsigned char>(c) >= 0x80; }

// What stands for "\c" in a literal with backslash escapes; MariaDB keeps the backslash of \% and \_, which
// mean something to LIKE. Octal, hexadecimal and Unicode escapes of PostgreSQL are left to plain text.
std::string unescaped(char c, Driver driver) {
    switch (c) {
    case 'n': return "\n";
    case 't': return "\t";
    case 'r': return "\r";
    case 'b': return "\b";
    case '%':
    case '_': return driver == Driver::mariadb ? std::string("\\") + c : std::string(1, c);
    case '0': return driver == Driver::mariadb ? std::string(1, '\0') : "0";
    case 'Z': return driver == Driver::mariadb ? "\x1a" : "Z";
    case 'f': return driver == Driver::postgresql ? "\f" : "f";
    default: return std::string(1, c);
    }
}

void remember(std::vector<std::string>& names, std::string const& name) {
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
}

} // namespace

class Template::Parser {
  public:
    Parser(std::string_view text, Driver driver, Scanner const& scanner)
        : text_(text), driver_(driver), scanner_(scanner) {}

    Result<Template> parse() {
        while (at_ < text_.size())
            if (auto done = step(); !done) return std::unexpected(std::move(done).error());
        return std::move(made_);
    }

  private:
    Result<> step();
    Result<> variable_or_percent();
    Result<> literal(bool backslashes);
    Result<> literal_piece(bool backslashes, char quote, Literal& collected, std::string& raw);
    Result<> dollar_quoted(std::string_view tag);
    Result<> identifier(char quote);
    Result<> comment(std::size_t length);
    std::optional<std::size_t> comment_length() const;
    std::size_t next_literal() const;
    std::string_view dollar_tag() const;
    Result<std::string> variable();
    std::string_view word_before() const;

    char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
    bool is_string_quote(char c) const { return c == '\'' || (c == '"' && driver_ != Driver::postgresql); }
    bool is_identifier_quote(char c) const { return driver_ == Driver::postgresql ? c == '"' : c == '`'; }
    void text(std::string_view more) {
        if (made_.parts_.empty() || !std::holds_alternative<Text>(made_.parts_.back()))
            made_.parts_.emplace_back(Text{});
        std::get<Text>(made_.parts_.back()).text += more;
    }
    static void append(Literal& literal, std::string_view more) {
        if (literal.pieces.empty() || !std::holds_alternative<Text>(literal.pieces.back()))
            literal.pieces.emplace_back(Text{});
        std::get<Text>(literal.pieces.back()).text += more;
    }
    static bool has_variable(Literal const& literal) {
        return std::ranges::any_of(literal.pieces,
                                   [](Piece const& p) { return std::holds_alternative<VariableUse>(p); });
    }

    std::string_view text_;
    Driver driver_;
    Scanner const& scanner_;
    std::size_t at_ = 0;
    Template made_;
};

Result<> Template::Parser::step() {
    char const c = peek();
    if (c == '%') return variable_or_percent();
    if (is_string_quote(c)) return literal(driver_ == Driver::mariadb);
    bool const starts_word = at_ == 0 || !is_word(text_[at_ - 1]);
    if (driver_ == Driver::postgresql && lower(c) == 'e' && peek(1) == '\'' && starts_word) {
        text(text_.substr(at_++, 1));
        return literal(true);
    }
    if (is_identifier_quote(c)) return identifier(c);
    if (auto const tag = dollar_tag(); !tag.empty() && starts_word) return dollar_quoted(tag);
    if (auto const length = comment_length()) return comment(*length);
    text(text_.substr(at_++, 1));
    return {};
}

// The name of the variable at the '%', and past it.
Result<std::string> Template::Parser::variable() {
    auto found = scanner_(text_.substr(at_ + 1));
    if (!found) return std::unexpected(std::move(found).error());
    at_ += 1 + found->length;
    remember(made_.variables_, found->name);
    return std::move(found->name);
}

Result<> Template::Parser::variable_or_percent() {
    if (peek(1) == '%') {
        text("%");
        at_ += 2;
        return {};
    }
    auto name = variable();
    if (!name) return std::unexpected(std::move(name).error());
    remember(made_.bare_, *name);
    made_.parts_.emplace_back(VariableUse{std::move(*name)});
    return {};
}

// The word that touches the literal's quote: "N" of N'x', "_utf8" of _utf8'x'.
std::string_view Template::Parser::word_before() const {
    auto start = at_;
    while (start > 0 && (is_word(text_[start - 1]) || text_[start - 1] == '&')) --start;
    return text_.substr(start, at_ - start);
}

// Literals that follow each other are one: in MariaDB with blanks between, in PostgreSQL with a line end
// between. Where the next one starts, or 0.
std::size_t Template::Parser::next_literal() const {
    auto next = text_.find_first_not_of(" \t\r\n", at_);
    if (next == std::string_view::npos || driver_ == Driver::sqlite) return 0;
    auto const between = text_.substr(at_, next - at_);
    bool const joined = driver_ == Driver::mariadb ? is_string_quote(text_[next])
                                                   : text_[next] == '\'' && between.contains('\n');
    return joined ? next : 0;
}

Result<> Template::Parser::literal(bool backslashes) {
    auto const prefix = std::string(word_before());
    Literal collected;
    std::string raw;
    do {
        char const quote = peek();
        raw += quote;
        ++at_;
        while (peek() != quote || peek(1) == quote)
            if (auto done = literal_piece(backslashes, quote, collected, raw); !done) return done;
        raw += quote;
        ++at_;
        if (auto const next = next_literal(); next != 0) {
            raw += text_.substr(at_, next - at_);
            at_ = next;
        } else
            break;
    } while (true);
    if (!has_variable(collected)) {
        text(raw);
        return {};
    }
    if (!prefix.empty()) {
        auto const word = to_lower(prefix);
        bool const plain = word == "n" || (driver_ == Driver::postgresql && word == "e");
        bool const introducer = driver_ == Driver::mariadb && word[0] == '_';
        if (introducer || word == "x" || word == "b" || word == "u&")
            return permanent(fmt::format("a variable in a {}'...' literal cannot be bound", prefix));
        if (plain) { // the prefix is in the text already
            auto& before = std::get<Text>(made_.parts_.back()).text;
            before.resize(before.size() - prefix.size());
        }
    }
    made_.parts_.emplace_back(std::move(collected));
    return {};
}

// One character, escape or variable inside a literal.
Result<> Template::Parser::literal_piece(bool backslashes, char quote, Literal& collected, std::string& raw) {
    if (at_ >= text_.size()) return permanent(fmt::format("a {} quote is not closed", quote));
    char const c = peek();
    if (c == quote && quote != '\0') { // doubled: the caller stops at a single one
        append(collected, std::string_view(&c, 1));
        raw.append(2, c);
        at_ += 2;
    } else if (c == '\\' && backslashes) {
        bool const percent = peek(1) == '%';
        if (at_ + 1 >= text_.size()) return permanent("a quote is not closed");
        if (percent && peek(2) != '%') return permanent("a backslash stands before a variable");
        append(collected, unescaped(peek(1), driver_));
        raw += c;
        raw += peek(1);
        at_ += percent ? 3 : 2;
    } else if (c == '%' && peek(1) == '%') {
        append(collected, "%");
        raw += '%';
        at_ += 2;
    } else if (c == '%') {
        auto name = variable();
        if (!name) return std::unexpected(std::move(name).error());
        collected.pieces.emplace_back(VariableUse{std::move(*name)});
    } else {
        append(collected, std::string_view(&c, 1));
        raw += c;
        ++at_;
    }
    return {};
}

// "$$" or "$tag$" at this place, or nothing.
std::string_view Template::Parser::dollar_tag() const {
    if (driver_ != Driver::postgresql || peek() != '$') return {};
    auto end = at_ + 1;
    while (end < text_.size() && is_word(text_[end])) ++end;
    bool const closed = end < text_.size() && text_[end] == '$' && !is_digit(peek(1));
    return closed ? text_.substr(at_, end + 1 - at_) : std::string_view{};
}

Result<> Template::Parser::dollar_quoted(std::string_view tag) {
    Literal collected;
    std::string raw(tag);
    at_ += tag.size();
    while (!text_.substr(at_).starts_with(tag))
        if (auto done = literal_piece(false, '\0', collected, raw); !done) return done;
    raw += tag;
    at_ += tag.size();
    if (has_variable(collected))
        made_.parts_.emplace_back(std::move(collected));
    else
        text(raw);
    return {};
}

Result<> Template::Parser::identifier(char quote) {
    do {
        if (peek() == '%' && peek(1) != '%') {
            auto name = variable();
            if (!name) return std::unexpected(std::move(name).error());
            remember(made_.bare_, *name);
            made_.parts_.emplace_back(VariableUse{std::move(*name), quote});
            continue;
        }
        text(text_.substr(at_, 1));
        at_ += peek() == '%' ? 2 : 1;
        if (at_ >= text_.size()) return permanent(fmt::format("a {} quote is not closed", quote));
    } while (peek() != quote);
    text(text_.substr(at_++, 1));
    return {};
}

// How long the comment at this place is; absent when there is none. MariaDB's "/*!" is code.
std::optional<std::size_t> Template::Parser::comment_length() const {
    auto const rest = text_.substr(at_);
    bool const mariadb = driver_ == Driver::mariadb;
    bool const dashes = rest.starts_with("--") && (!mariadb || rest.size() == 2 || is_space(rest[2]));
    if (dashes || (mariadb && rest.starts_with('#'))) return std::min(rest.find('\n'), rest.size());
    if (!rest.starts_with("/*") || (mariadb && (rest.starts_with("/*!") || rest.starts_with("/*M!"))))
        return std::nullopt;
    std::size_t at = 2;
    for (int depth = 1; depth > 0; ++at) {
        if (at + 1 >= rest.size()) return rest.size();
        bool const opens = rest[at] == '/' && rest[at + 1] == '*' && driver_ == Driver::postgresql;
        bool const closes = rest[at] == '*' && rest[at + 1] == '/';
        depth += opens ? 1 : closes ? -1 : 0;
        if (opens || closes) ++at;
    }
    return at;
}

// Its variables count as used, as in Postfix, but their values stay out: a comment can be left.
Result<> Template::Parser::comment(std::size_t length) {
    auto const end = at_ + length;
    while (at_ < end) {
        if (peek() == '%' && peek(1) != '%') {
            if (auto name = variable(); !name) return std::unexpected(std::move(name).error());
            continue;
        }
        text(text_.substr(at_, 1));
        at_ += peek() == '%' ? 2 : 1;
    }
    return {};
}

Result<Template> Template::parse(std::string_view text, Driver driver, Scanner const& scanner) {
    return Parser(text, driver, scanner).parse();
}

Result<Template::Bound> Template::bind(Lookup const& lookup,
                                       std::function<std::string(std::string_view)> const& escape) const {
    Bound bound;
    auto& fragments = bound.statement.fragments;
    for (auto const& part : parts_) {
        if (auto const* text = std::get_if<Text>(&part)) {
            fragments.back() += text->text;
        } else if (auto const* use = std::get_if<VariableUse>(&part)) {
            auto value = lookup(use->name);
            if (!value) return std::unexpected(std::move(value).error());
            auto const quote = std::string(1, use->identifier_quote);
            fragments.back() +=
                use->identifier_quote != 0 ? replace_all(*value, quote, quote + quote) : escape(*value);
        } else {
            std::string value;
            for (auto const& piece : std::get<Literal>(part).pieces) {
                if (auto const* fixed = std::get_if<Text>(&piece)) {
                    value += fixed->text;
                    continue;
                }
                auto found = lookup(std::get<VariableUse>(piece).name);
                if (!found) return std::unexpected(std::move(found).error());
                value += *found;
            }
            bound.values.push_back(std::move(value));
            fragments.emplace_back();
        }
    }
    return bound;
}

} // namespace postern::sql
