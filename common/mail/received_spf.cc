// The Received-SPF header field (RFC 7208 9.1).
#include "common/mail/received_spf.h"

#include "common/base/text.h"
#include "common/mail/scanner.h"

#include <algorithm>
#include <array>

namespace postern::mail {

namespace {

inline constexpr std::array<std::string_view, 7> known_results = {"pass", "fail",      "softfail", "neutral",
                                                                  "none", "temperror", "permerror"};

bool is_key_char(char c) { return is_alnum(c) || c == '-' || c == '_' || c == '.'; }

bool is_bare_value_char(char c) {
    return static_cast<unsigned char>(c) > 0x20 && c != 0x7f && !std::string_view("();\"\\").contains(c);
}

// Bare octets and quoted strings without blanks between ("a b"@example.com).
Result<std::string> take_value(Scanner& scanner) {
    std::string value;
    while (true) {
        if (scanner.peek() == '"') {
            auto text = scanner.quoted_string();
            if (!text) return text;
            value += *text;
        } else if (auto const bare = scanner.take_while(is_bare_value_char); !bare.empty()) {
            value += bare;
        } else {
            return value;
        }
    }
}

Result<> take_pair(Scanner& scanner, ReceivedSpf& field) {
    if (field.pairs.size() >= max_received_spf_pairs) return malformed("too many pairs");
    auto key = to_lower(scanner.take_while(is_key_char));
    if (key.empty()) return malformed("key missing");
    if (auto skipped = scanner.skip_cfws(); !skipped) return skipped;
    if (!scanner.take('=')) return malformed("= missing");
    if (auto skipped = scanner.skip_cfws(); !skipped) return skipped;
    auto value = take_value(scanner);
    if (!value) return std::unexpected(std::move(value.error()));
    if (auto skipped = scanner.skip_cfws(); !skipped) return skipped;
    if (!scanner.at_end() && scanner.peek() != ';') return malformed("text behind a value");
    field.pairs.emplace_back(std::move(key), std::move(*value));
    return {};
}

} // namespace

std::optional<std::string_view> ReceivedSpf::value(std::string_view key) const {
    std::optional<std::string_view> found;
    for (auto const& [name, value] : pairs) {
        if (name != key) continue;
        if (found && *found != value) return std::nullopt;
        found = value;
    }
    return found;
}

Result<ReceivedSpf> read_received_spf(std::string_view value) {
    ReceivedSpf field;
    Scanner scanner(value);
    if (auto skipped = scanner.skip_cfws(); !skipped) return std::unexpected(std::move(skipped.error()));
    field.result = to_lower(scanner.take_while(is_alpha));
    if (std::ranges::find(known_results, field.result) == known_results.end())
        return malformed("unknown result");
    if (auto skipped = scanner.skip_cfws(&field.comment); !skipped)
        return std::unexpected(std::move(skipped.error()));
    while (!scanner.at_end()) {
        if (!scanner.take(';'))
            if (auto taken = take_pair(scanner, field); !taken)
                return std::unexpected(std::move(taken.error()));
        if (auto skipped = scanner.skip_cfws(); !skipped) return std::unexpected(std::move(skipped.error()));
    }
    return field;
}

std::string make_received_spf(ReceivedSpf const& field) {
    std::string out = field.result;
    if (!out.empty()) out[0] = upper(out[0]);
    if (!field.comment.empty()) out += " " + comment_of(field.comment);
    for (auto const& [key, value] : field.pairs) {
        out += (&key == &field.pairs.front().first ? " " : "; ") + key + "=";
        out += std::ranges::all_of(value, is_bare_value_char) ? value : quoted(value);
    }
    return out;
}

} // namespace postern::mail
