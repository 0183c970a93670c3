// Writes Authentication-Results.
#include "milter-dkim/results/results.h"

#include "common/mail/auth_results.h"

#include <fmt/format.h>

namespace postern::milter_dkim {

namespace {

constexpr std::size_t margin = 75;
constexpr std::size_t name_columns = 25; // OpenDKIM counts "Authentication-Results" and three more
constexpr std::size_t max_listed = 50;   // results in one field; readers take 100 at most

std::string piece_of(SignatureResult const& result, bool no_header_b) {
    auto out = fmt::format("dkim={}", to_string(result.kind));
    if (!result.reason.empty()) out += fmt::format(" reason=\"{}\"", result.reason);
    if (result.key_bits > 0)
        out += fmt::format(" ({}-bit key{}{})", result.key_bits, result.dnssec.empty() ? "" : "; ",
                           result.dnssec);
    auto const add = [&](std::string_view name, std::string const& value) {
        if (!value.empty())
            out += fmt::format(" header.{}={}", name, mail::auth_results_property_value(value));
    };
    add("d", result.domain);
    add("i", result.identity);
    add("a", result.algorithm);
    add("s", result.selector);
    // Base64 stands bare, as OpenDKIM writes it and readers expect it.
    if (!no_header_b && !result.signature.empty()) out += " header.b=" + result.signature;
    return out;
}

} // namespace

std::string_view to_string(SignatureResult::Kind kind) {
    switch (kind) {
    case SignatureResult::Kind::pass: return "pass";
    case SignatureResult::Kind::fail: return "fail";
    case SignatureResult::Kind::policy: return "policy";
    case SignatureResult::Kind::neutral: return "neutral";
    case SignatureResult::Kind::temperror: return "temperror";
    case SignatureResult::Kind::permerror: return "permerror";
    }
    return "neutral";
}

std::string results_text(ResultsStyle const& style, std::vector<SignatureResult> const& results) {
    std::vector<std::string> pieces{style.authserv_id + ";"};
    for (auto const& each : results)
        if (pieces.size() <= max_listed) pieces.push_back(piece_of(each, style.no_header_b) + ";");
    if (results.empty()) pieces.emplace_back("dkim=none;");
    // Debian builds OpenDKIM with ATPS (RFC 6541), which always has its say.
    pieces.push_back(fmt::format("dkim-atps={}", style.atps));
    std::string out = pieces.front();
    auto column = name_columns + out.size() + (style.leading_space ? 1 : 0);
    for (std::size_t i = 1; i < pieces.size(); ++i) {
        bool const folds = column + pieces[i].size() >= margin;
        out += folds ? "\n\t" : " ";
        if (folds) column = 8;
        out += pieces[i];
        column += pieces[i].size();
    }
    return out;
}

std::string malformed_text(std::string_view authserv_id) {
    return fmt::format("{}; dkim=permerror (bad message/signature format)", authserv_id);
}

} // namespace postern::milter_dkim
