// Each change is a packet; a verdict is one or, with words of its own, an SMTP reply.
#include "common/milter/edits.h"

#include "common/base/text.h"
#include "common/milter/packets.h"

#include <fmt/format.h>

#include <algorithm>

namespace postern::milter {

namespace {

using namespace std::string_view_literals;

constexpr auto nul = "\0"sv;
constexpr std::size_t max_reply_text = 900; // Postfix and Sendmail take lines of about 980 with the codes

std::string index_octets(int index) { return number_octets(static_cast<std::uint32_t>(index)); }

// The MTA formats the text with printf's rules, and it is one line.
std::string reply_text(std::string_view text) {
    std::string out;
    for (char const c : text.substr(0, max_reply_text)) {
        if (c == '%') out += '%';
        out += is_printable(c) ? c : ' ';
    }
    return out;
}

bool is_number(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// RFC 3463: class.subject.detail, of the reply code's class.
bool is_enhanced_code(std::string_view enhanced, char reply_class) {
    auto const parts = split(enhanced, '.');
    return parts.size() == 3 && parts[0].size() == 1 && parts[0][0] == reply_class &&
           std::ranges::all_of(parts,
                               [](std::string_view part) { return is_number(part) && part.size() <= 3; });
}

bool has_reply(Verdict const& verdict, char reply_class) {
    return verdict.code.size() == 3 && is_number(verdict.code) && verdict.code[0] == reply_class &&
           (verdict.enhanced.empty() || is_enhanced_code(verdict.enhanced, reply_class));
}

void append_refusal(std::string& to, Verdict const& verdict, char reply_class, char letter) {
    if (!has_reply(verdict, reply_class)) return append_packet(to, letter);
    auto reply = verdict.code;
    if (!verdict.enhanced.empty()) reply += " " + verdict.enhanced;
    if (!verdict.text.empty()) reply += " " + reply_text(verdict.text);
    append_packet(to, 'y', {reply, nul});
}

} // namespace

Result<> Edits::granted(std::uint32_t action, std::string_view what, std::string_view of) const {
    if ((actions_ & action) != 0) return {};
    return temporary(fmt::format("the MTA does not take: {} {}", what, printable(of)));
}

Result<> Edits::insert_header(int index, std::string_view name, std::string_view value) {
    auto may = granted(bits::add_headers, "insert header", name);
    if (may)
        append_packet(to_, 'i', {index_octets(index), up_to_nul(name), nul, space_, up_to_nul(value), nul});
    return may;
}

Result<> Edits::add_header(std::string_view name, std::string_view value) {
    auto may = granted(bits::add_headers, "add header", name);
    if (may) append_packet(to_, 'h', {up_to_nul(name), nul, space_, up_to_nul(value), nul});
    return may;
}

Result<> Edits::change_header(std::string_view name, int index, std::string_view value) {
    auto may = granted(bits::change_headers, "change header", name);
    auto const space = value.empty() ? ""sv : space_;
    if (may)
        append_packet(to_, 'm', {index_octets(index), up_to_nul(name), nul, space, up_to_nul(value), nul});
    return may;
}

Result<> Edits::quarantine(std::string_view reason) {
    auto may = granted(bits::quarantine, "quarantine", {});
    if (may) append_packet(to_, 'q', {up_to_nul(reason), nul});
    return may;
}

Result<> Edits::add_recipient(std::string_view recipient) {
    auto may = granted(bits::add_recipients, "add recipient", recipient);
    if (may) append_packet(to_, '+', {up_to_nul(recipient), nul});
    return may;
}

Result<> Edits::delete_recipient(std::string_view recipient) {
    auto may = granted(bits::delete_recipients, "delete recipient", recipient);
    if (may) append_packet(to_, '-', {up_to_nul(recipient), nul});
    return may;
}

void append_verdict(std::string& to, Verdict const& verdict) {
    switch (verdict.action) {
    case Verdict::Action::next: return append_packet(to, 'c');
    case Verdict::Action::accept: return append_packet(to, 'a');
    case Verdict::Action::discard: return append_packet(to, 'd');
    case Verdict::Action::skip: return append_packet(to, 's');
    case Verdict::Action::reject: return append_refusal(to, verdict, '5', 'r');
    case Verdict::Action::tempfail: return append_refusal(to, verdict, '4', 't');
    }
}

} // namespace postern::milter
