// Key records as text.
#include "milter-dkim/tools/key_record.h"

#include "common/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace postern::milter_dkim::tools {

namespace {

// opendkim-genkey cuts the key after this many characters.
constexpr std::size_t key_piece = 250;
constexpr std::size_t longest_label = 63;
constexpr std::size_t longest_name = 253;

// RFC 6376 2.11: n= is a qp-section; blanks stay readable, what would end the tag or the string does not.
std::string quoted_printable(std::string_view text) {
    std::string out;
    for (char const c : text) {
        if (is_printable(c) && c != '=' && c != ';' && c != '"' && c != '\\')
            out += c;
        else
            fmt::format_to(std::back_inserter(out), "={:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

std::string flags(KeyRecord const& record) {
    std::vector<std::string> t;
    if (record.test_mode) t.emplace_back("y");
    if (record.no_subdomains) t.emplace_back("s");
    std::string out;
    if (!t.empty()) out += fmt::format("t={}; ", join(t, ":"));
    if (record.mail_only) out += "s=email; ";
    return out;
}

Result<> check_labels(std::string_view name, std::string_view what) {
    if (name.size() > longest_name)
        return permanent(fmt::format("{} is longer than {} octets", what, longest_name));
    for (auto const label : split(name, '.')) {
        bool const fits =
            !label.empty() && label.size() <= longest_label &&
            std::ranges::all_of(label, [](char c) { return is_alnum(c) || c == '-' || c == '_'; });
        if (!fits)
            return permanent(fmt::format("\"{}\" is no {}: labels of letters, digits, '-' and '_', "
                                         "joined by dots",
                                         printable(name), what));
    }
    return {};
}

} // namespace

std::string KeyRecord::before_key() const {
    std::string out = "v=DKIM1;";
    // The quotes are opendkim-genkey's: part of the note.
    if (note) out += fmt::format(" n=\"{}\";", quoted_printable(*note));
    if (!hash_algorithms.empty()) out += fmt::format(" h={};", hash_algorithms);
    return out + fmt::format(" k={}; ", to_string(type)) + flags(*this);
}

std::string KeyRecord::text() const { return before_key() + "p=" + public_key; }

std::string revoked_record(KeyType type) { return fmt::format("v=DKIM1; k={}; p=", to_string(type)); }

std::vector<std::string> txt_strings(std::string_view text) {
    std::vector<std::string> pieces;
    for (; text.size() > longest_txt_string; text.remove_prefix(longest_txt_string))
        pieces.emplace_back(text.substr(0, longest_txt_string));
    pieces.emplace_back(text);
    return pieces;
}

std::string zone_quoted(std::string_view text) {
    std::string out = "\"";
    for (char const c : text) {
        if (c == '"' || c == '\\')
            out += {'\\', c};
        else if (is_printable(c))
            out += c;
        else
            fmt::format_to(std::back_inserter(out), "\\{:03}", static_cast<unsigned char>(c));
    }
    return out + '"';
}

std::string zone_entry(KeyRecord const& record, std::string_view selector, std::string_view domain,
                       bool append_domain) {
    constexpr std::string_view next_line = "\n\t  ";
    auto out = fmt::format("{}._domainkey{}\tIN\tTXT\t( ", selector,
                           append_domain ? fmt::format(".{}.", domain) : std::string());
    for (auto const& piece : txt_strings(record.before_key()))
        out += zone_quoted(piece) + std::string(next_line);
    std::string_view key = record.public_key;
    out += zone_quoted("p=" + std::string(key.substr(0, key_piece)));
    for (key.remove_prefix(std::min(key_piece, key.size())); !key.empty();
         key.remove_prefix(std::min(key_piece, key.size())))
        out += std::string(next_line) + zone_quoted(key.substr(0, key_piece));
    out += " ) ";
    if (!domain.empty()) out += fmt::format(" ; ----- DKIM key {} for {}", selector, domain);
    return out + '\n';
}

Result<> check_selector(std::string_view selector) { return check_labels(selector, "selector"); }

Result<> check_domain(std::string_view domain) { return check_labels(domain, "domain name"); }

} // namespace postern::milter_dkim::tools
