// Authentication-Results (RFC 8601).
#include "common/mail/auth_results.h"

#include "common/base/text.h"
#include "common/mail/scanner.h"

#include <algorithm>

namespace postern::mail {

namespace {

// RFC 2045 5.1.
bool is_token_char(char c) {
    return c > 0x20 && c < 0x7f && !std::string_view("()<>@,;:\\\"/[]?=").contains(c);
}

bool is_keyword_char(char c) { return is_alnum(c) || c == '-' || c == '_'; }

// A bare value as honest software writes it: anything that cannot end or hide something.
bool is_bare_value_char(char c) {
    return (static_cast<unsigned char>(c) > 0x20 && c != 0x7f) && !std::string_view("();\"\\").contains(c);
}

// A value: bare pieces and quoted strings without blanks between ("a b"@example.com).
Result<std::string> take_value(Scanner& scanner) {
    std::string value;
    auto const start = scanner.position();
    while (true) {
        if (scanner.peek() == '"') {
            auto text = scanner.quoted_string();
            if (!text) return text;
            value += *text;
        } else if (auto const bare = scanner.take_while(is_bare_value_char); !bare.empty()) {
            value += bare;
        } else if (scanner.position() == start) {
            return malformed("value missing");
        } else {
            return value;
        }
    }
}

class Reader {
  public:
    explicit Reader(std::string_view value) : scanner_(value) {}

    Result<AuthResults> read() {
        AuthResults all;
        auto id = authserv_id();
        if (!id) return std::unexpected(std::move(id.error()));
        all.authserv_id = std::move(*id);
        while (true) {
            if (auto skipped = scanner_.skip_cfws(); !skipped)
                return std::unexpected(std::move(skipped.error()));
            if (scanner_.at_end()) return all;
            if (scanner_.take(';')) continue;
            if (all.results.size() >= max_auth_results) return malformed("too many results");
            auto one = result();
            if (!one) return std::unexpected(std::move(one.error()));
            if (!one->method.empty()) all.results.push_back(std::move(*one));
        }
    }

    // [CFWS] authserv-id [ CFWS version ] up to the first ";". Without one (a result stands there instead)
    // empty.
    Result<std::string> authserv_id() {
        if (auto skipped = scanner_.skip_cfws(); !skipped) return std::unexpected(std::move(skipped.error()));
        Scanner const before = scanner_;
        auto id = take_value(scanner_);
        if (!id) return id;
        if (auto skipped = scanner_.skip_cfws(); !skipped) return std::unexpected(std::move(skipped.error()));
        bool const quoted_id = before.peek() == '"';
        if (!quoted_id && (id->contains('=') || scanner_.peek() == '=')) {
            scanner_ = before;
            return std::string();
        }
        scanner_.take_while(is_digit);
        if (auto skipped = scanner_.skip_cfws(); !skipped) return std::unexpected(std::move(skipped.error()));
        if (!scanner_.at_end() && scanner_.peek() != ';') return malformed("text behind the authserv-id");
        return id;
    }

  private:
    // "none", or method [ "/" version ] "=" result, then reason and properties up to ";".
    Result<AuthResult> result() {
        AuthResult one;
        one.method = to_lower(scanner_.take_while(is_keyword_char));
        if (one.method.empty()) return malformed("method missing");
        if (auto skipped = scanner_.skip_cfws(); !skipped) return std::unexpected(std::move(skipped.error()));
        if (one.method == "none" && (scanner_.at_end() || scanner_.peek() == ';')) return AuthResult{};
        if (auto begun = method_version_and_equals(); !begun)
            return std::unexpected(std::move(begun.error()));
        one.result = to_lower(scanner_.take_while(is_keyword_char));
        if (one.result.empty()) return malformed("result missing");
        while (true) {
            auto const end_of_word = scanner_.position();
            if (auto skipped = scanner_.skip_cfws(&one.comment); !skipped)
                return std::unexpected(std::move(skipped.error()));
            if (scanner_.at_end() || scanner_.peek() == ';') return one;
            if (scanner_.position() == end_of_word) return malformed("text behind a value");
            if (auto taken = property(one); !taken) return std::unexpected(std::move(taken.error()));
        }
    }

    Result<> method_version_and_equals() {
        if (scanner_.take('/')) {
            if (auto skipped = scanner_.skip_cfws(); !skipped) return skipped;
            if (scanner_.take_while(is_digit).empty()) return malformed("method version missing");
            if (auto skipped = scanner_.skip_cfws(); !skipped) return skipped;
        }
        return equals();
    }

    Result<> equals() {
        if (auto skipped = scanner_.skip_cfws(); !skipped) return skipped;
        if (!scanner_.take('=')) return malformed("= missing");
        return scanner_.skip_cfws();
    }

    // reason=value, or ptype "." property "=" value.
    Result<> property(AuthResult& one) {
        AuthProperty property{to_lower(scanner_.take_while(is_keyword_char)), {}, {}};
        if (property.type.empty()) return malformed("property missing");
        if (auto skipped = scanner_.skip_cfws(); !skipped) return skipped;
        if (scanner_.take('.')) {
            if (auto skipped = scanner_.skip_cfws(); !skipped) return skipped;
            property.name = to_lower(scanner_.take_while(is_keyword_char));
            if (property.name.empty()) return malformed("property missing");
        }
        if (auto taken = equals(); !taken) return taken;
        auto value = take_value(scanner_);
        if (!value) return std::unexpected(std::move(value.error()));
        if (property.name.empty()) { // "reason", or a word like policy=... that some software writes
            if (property.type == "reason") one.reason = std::move(*value);
            return {};
        }
        if (one.properties.size() >= max_auth_properties) return malformed("too many properties");
        property.value = std::move(*value);
        one.properties.push_back(std::move(property));
        return {};
    }

    Scanner scanner_;
};

// Pieces joined by blanks, folded before the column.
class Folder {
  public:
    Folder(std::string text, std::size_t column) : text_(std::move(text)), column_(column) {
        // The field's name and ": " stand before it on the first line.
        width_ = text_.size() + auth_results_name.size() + 2;
    }
    void add(std::string_view piece) {
        if (column_ != 0 && width_ + 1 + piece.size() > column_) {
            text_ += "\n\t";
            width_ = 8;
        } else {
            text_ += ' ';
            ++width_;
        }
        text_ += piece;
        width_ += piece.size();
    }
    void end_element() { text_ += ';', ++width_; }
    std::string take() { return std::move(text_); }

  private:
    std::string text_;
    std::size_t column_;
    std::size_t width_ = 0;
};

} // namespace

std::optional<std::string_view> AuthResult::property(std::string_view type, std::string_view name) const {
    std::optional<std::string_view> found;
    for (auto const& each : properties) {
        if (each.type != type || each.name != name) continue;
        if (found && *found != each.value) return std::nullopt;
        found = each.value;
    }
    return found;
}

Result<AuthResults> read_auth_results(std::string_view value) { return Reader(value).read(); }

std::optional<std::string> authserv_id_of(std::string_view value) {
    auto id = Reader(value).authserv_id();
    if (id && !id->empty()) return std::move(*id);
    if (id) return std::nullopt;
    // Broken behind the id, perhaps: what a careless reader would still take for it.
    Scanner scanner(value);
    if (!scanner.skip_cfws()) return std::nullopt;
    auto careless = take_value(scanner);
    if (!careless || careless->empty()) return std::nullopt;
    return std::move(*careless);
}

bool same_authserv_id(std::string_view a, std::string_view b) {
    return equals_ignoring_case(halve(a, '/').before, halve(b, '/').before);
}

bool might_claim_authserv_id(std::string_view value, std::string_view ours) {
    auto const id = authserv_id_of(value);
    if (id && same_authserv_id(*id, ours)) return true;
    if (read_auth_results(value)) return false;
    return to_lower(unfolded(value)).contains(to_lower(ours));
}

std::string auth_results_value(std::string_view value) {
    bool const bare = !value.empty() && std::ranges::all_of(value, is_token_char);
    return bare ? std::string(value) : quoted(value);
}

std::string auth_results_property_value(std::string_view value) {
    // pvalue is a value or [[local-part] "@"] domain-name; a local part is bare only as a dot-atom.
    auto const [local, domain] = halve_at_last(value, '@');
    auto const is_dot_atom_char = [](char c) { return is_atext(c) || c == '.'; };
    bool const bare_address = domain && !domain->empty() && std::ranges::all_of(local, is_dot_atom_char) &&
                              std::ranges::all_of(*domain, is_dot_atom_char);
    return bare_address ? std::string(value) : auth_results_value(value);
}

std::string make_auth_results(AuthResults const& results, std::size_t fold_column) {
    Folder folder(auth_results_value(results.authserv_id) + ";", fold_column);
    if (results.results.empty()) folder.add("none");
    for (auto const& one : results.results) {
        if (&one != &results.results.front()) folder.end_element();
        folder.add(one.method + "=" + one.result);
        if (!one.comment.empty()) folder.add(comment_of(one.comment));
        if (!one.reason.empty()) folder.add("reason=" + auth_results_value(one.reason));
        for (auto const& each : one.properties)
            folder.add(each.type + "." + each.name + "=" + auth_results_property_value(each.value));
    }
    return folder.take();
}

} // namespace postern::mail
