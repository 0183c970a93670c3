// What becomes of a message: its result and reply, and at its end changes of header and recipients.
#include "milter-dkim/lua/field_text.h"
#include "milter-dkim/lua/functions.h"

#include "common/base/text.h"

#include <algorithm>
#include <array>

namespace postern::milter_dkim::lua {

namespace {

using Action = milter::Verdict::Action;

constexpr std::size_t max_reply = 400; // of text; RFC 5321 4.5.3.1.5: a line of 512 octets

bool is_address(std::string_view text) {
    return !text.empty() && text.size() <= 320 &&
           std::ranges::all_of(text, [](char c) { return is_printable(c) && c != '<' && c != '>'; });
}

Answer done(ScriptMessage const& message, Result<> const& change) {
    if (change) return one(Value::number(1));
    message.log->error("{}", change.error().text);
    return nil();
}

Answer add_header(ScriptMessage& message, Arguments const& arguments) {
    if (arguments.size() != 3) return raise(wrong_count);
    if (!arguments.is_text(1) || !arguments.is_text(2)) return raise(wrong_type);
    if (!is_field_name(arguments.text(1)) || !is_field_value(arguments.text(2))) return nil();
    return done(message, message.editor->insert_header(0, arguments.text(1), arguments.text(2)));
}

// The nth of that name, from 0.
Answer delete_header(ScriptMessage& message, Arguments const& arguments) {
    if (arguments.size() != 3) return raise(wrong_count);
    if (!arguments.is_text(1) || !arguments.is_number(2)) return raise(wrong_type);
    auto const index = arguments.number(2);
    if (!is_field_name(arguments.text(1)) || !(index >= 0 && index < 100000)) return nil();
    return done(message, message.editor->change_header(arguments.text(1), static_cast<int>(index) + 1, ""));
}

Answer add_recipient(ScriptMessage& message, Arguments const& arguments) {
    if (arguments.size() != 2) return raise(wrong_count);
    if (!arguments.is_text(1)) return raise(wrong_type);
    if (!is_address(arguments.text(1))) return nil();
    return done(message, message.editor->add_recipient("<" + arguments.text(1) + ">"));
}

// Only one that the message has; the header tells of it.
Answer delete_recipient(ScriptMessage& message, Arguments const& arguments) {
    if (arguments.size() != 2) return raise(wrong_count);
    if (!arguments.is_text(1)) return raise(wrong_type);
    auto const wanted = arguments.text(1);
    auto const& all = message.facts.recipients;
    auto const found = std::ranges::find_if(
        all, [&](std::string const& each) { return equals_ignoring_case(each, wanted); });
    if (found == all.end()) return nil();
    if (auto deleted = message.editor->delete_recipient("<" + *found + ">"); !deleted)
        return done(message, deleted);
    return done(message, message.editor->add_header("Original-Recipient", "rfc822;" + printable(*found)));
}

Answer quarantine(ScriptMessage& message, Arguments const& arguments) {
    if (arguments.size() != 2) return raise(wrong_count);
    if (!arguments.is_text(1)) return raise(wrong_type);
    return done(message, message.editor->quarantine(printable(arguments.text(1), max_reply)));
}

// libmilter's SMFIS_* numbers.
Answer set_result(ScriptMessage& message, Arguments const& arguments) {
    if (arguments.size() != 2) return raise(wrong_count);
    if (!arguments.is_number(1)) return raise(wrong_type);
    switch (arguments.integer(1)) {
    case 1: message.result = Action::reject; break;
    case 2: message.result = Action::discard; break;
    case 3: message.result = Action::accept; break;
    case 4: message.result = Action::tempfail; break;
    default: return nil();
    }
    return one(Value::number(1));
}

bool is_code(std::string_view code) {
    return code.size() == 3 && (code[0] == '4' || code[0] == '5') && is_digit(code[1]) && is_digit(code[2]);
}

// RFC 3463: of the code's class, three numbers; or nothing.
bool is_enhanced(std::string_view enhanced, std::string_view code) {
    if (enhanced.empty()) return true;
    auto const parts = split(enhanced, '.');
    return parts.size() == 3 && parts[0] == code.substr(0, 1) &&
           std::ranges::all_of(parts, [](std::string_view part) {
               return !part.empty() && part.size() <= 3 && std::ranges::all_of(part, is_digit);
           });
}

Answer set_reply(ScriptMessage& message, Arguments const& arguments) {
    if (arguments.size() != 4) return raise(wrong_count);
    if (!arguments.is_text(1) || !arguments.is_text(2) || !arguments.is_text(3)) return raise(wrong_type);
    auto const code = arguments.text(1);
    auto const text = arguments.text(3);
    if (!is_code(code) || !is_enhanced(arguments.text(2), code) || text.size() > max_reply ||
        !std::ranges::all_of(text, is_printable))
        return nil();
    message.reply = {code, arguments.text(2), text};
    return one(Value::number(1));
}

// The octets of the A record of QUERY.ROOT, or nothing; nil when it could not be asked.
Answer rbl_check(ScriptMessage& message, Arguments const& arguments) {
    if (arguments.size() != 3 && arguments.size() != 4) return raise(wrong_count);
    if (!arguments.is_text(1) || !arguments.is_text(2) || (arguments.size() == 4 && !arguments.is_number(3)))
        return raise(wrong_type);
    if (++message.questions > max_questions) return raise("too many questions");
    auto wait = std::chrono::duration<double>(message.configuration->settings.dns_timeout);
    if (arguments.size() == 4 && arguments.number(3) >= 0)
        wait = std::min(wait, std::chrono::duration<double>(arguments.number(3)));
    auto const deadline = Deadline::after(std::chrono::duration_cast<std::chrono::milliseconds>(wait));
    auto const answer =
        message.resolver->lookup(arguments.text(1) + "." + arguments.text(2), dns::RecordType::a, deadline);
    if (!answer) return nil();
    if (!answer->found() || answer->records.front().data.size() != 4) return nothing();
    std::vector<Value> octets;
    for (char const c : answer->records.front().data)
        octets.push_back(Value::number(static_cast<unsigned char>(c)));
    return octets;
}

constexpr std::array delivery{
    NamedFunction{"add_header", add_header},  NamedFunction{"del_header", delete_header},
    NamedFunction{"add_rcpt", add_recipient}, NamedFunction{"del_rcpt", delete_recipient},
    NamedFunction{"quarantine", quarantine},  NamedFunction{"rbl_check", rbl_check},
    NamedFunction{"set_reply", set_reply},
};
constexpr std::array verdict{NamedFunction{"set_result", set_result}};

} // namespace

std::span<NamedFunction const> delivery_functions() { return delivery; }
std::span<NamedFunction const> verdict_functions() { return verdict; }

} // namespace postern::milter_dkim::lua
