// What a message is: its client, envelope and header.
#include "milter-dkim/lua/functions.h"

#include "common/base/text.h"
#include "milter-dkim/message/sender.h"
#include "milter-dkim/tables/hosts.h"

#include <fmt/format.h>

#include <array>

namespace postern::milter_dkim::lua {

namespace {

Answer client_host(ScriptMessage& message, Arguments const&) {
    return one(Value::text(message.facts.client_name));
}
Answer client_ip(ScriptMessage& message, Arguments const&) {
    return one(Value::text(message.facts.client_address));
}
Answer envelope_from(ScriptMessage& message, Arguments const&) {
    return one(Value::text(message.envelope_from));
}
Answer from_domain(ScriptMessage& message, Arguments const&) {
    return one(Value::text(message.sender_domain));
}

// Counted from 0, or with -1 from the last.
Answer header(ScriptMessage& message, Arguments const& arguments) {
    if (arguments.size() != 3) return raise(wrong_count);
    if (!arguments.is_text(1) || !arguments.is_number(2)) return raise(wrong_type);
    auto const index = find_field(*message.headers, arguments.text(1), arguments.integer(2));
    return index ? one(Value::text((*message.headers)[*index].second)) : nil();
}

Answer mta_symbol(ScriptMessage& message, Arguments const& arguments) {
    if (arguments.size() != 2) return raise(wrong_count);
    if (!arguments.is_text(1)) return raise(wrong_type);
    auto value = message.facts.macro(arguments.text(1));
    return value ? one(Value::text(std::move(*value))) : nil();
}

Answer recipient(ScriptMessage& message, Arguments const& arguments) {
    if (arguments.size() != 2) return raise(wrong_count);
    if (!arguments.is_number(1)) return raise(wrong_type);
    auto const index = arguments.number(1);
    auto const& all = message.facts.recipients;
    if (!(index >= 0 && index < static_cast<double>(all.size()))) return nil();
    return one(Value::text(all[static_cast<std::size_t>(index)]));
}

Answer recipients(ScriptMessage& message, Arguments const&) {
    List list;
    for (auto const& each : message.facts.recipients) list.push_back(Value::text(each));
    return one(Value::list(std::move(list)));
}

Answer recipient_count(ScriptMessage& message, Arguments const&) {
    return one(Value::number(static_cast<double>(message.facts.recipients.size())));
}

Answer internal_ip(ScriptMessage& message, Arguments const&) {
    auto const internal = lists_client(*message.configuration->internal_hosts, message.facts.client_name,
                                       message.facts.client_address);
    if (!internal) return raise(internal.error().text);
    return one(Value::number(*internal ? 1 : 0));
}

Answer log(ScriptMessage& message, Arguments const& arguments) {
    if (arguments.size() != 2) return raise(wrong_count);
    if (!arguments.is_text(1)) return raise(wrong_type);
    message.log->info("{}", printable(arguments.text(1), 1000));
    return nil();
}

Answer export_values(ScriptMessage& message, Arguments const& arguments) {
    if (arguments.size() < 3 || arguments.size() % 2 != 1) return raise(wrong_count);
    for (std::size_t i = 1; i + 1 < arguments.size(); i += 2) {
        if (!arguments.is_text(i) || arguments.is_handle(i + 1)) return raise(wrong_type);
        auto name = arguments.text(i);
        message.exported_octets +=
            name.size() + (arguments.is_text(i + 1) ? arguments.text(i + 1).size() : 0);
        if (message.exported.size() >= max_exported || message.exported_octets > max_exported_octets)
            return raise("too many values");
        message.exported.emplace_back(std::move(name), arguments.at(i + 1));
    }
    return nothing();
}

// The user and domain of a field's address.
Answer parse_field(ScriptMessage&, Arguments const& arguments) {
    if (arguments.size() != 1) return raise(wrong_count);
    if (!arguments.is_text(0)) return raise(wrong_type);
    auto const mailbox = sender_of(arguments.text(0));
    if (!mailbox) return nil();
    return std::vector<Value>{Value::text(mailbox->local_part), Value::text(mailbox->domain)};
}

// POP before SMTP is not to be had, which OpenDKIM says by nil.
Answer check_popauth(ScriptMessage&, Arguments const&) { return nil(); }

constexpr std::array common{
    NamedFunction{"get_envfrom", envelope_from},
    NamedFunction{"get_fromdomain", from_domain},
    NamedFunction{"get_header", header},
    NamedFunction{"get_mtasymbol", mta_symbol},
    NamedFunction{"get_rcpt", recipient},
    NamedFunction{"get_rcptarray", recipients},
    NamedFunction{"rcpt_count", recipient_count},
    NamedFunction{"internal_ip", internal_ip},
    NamedFunction{"log", log},
    NamedFunction{"export", export_values},
    NamedFunction{"parse_field", parse_field, false},
};

constexpr std::array client{
    NamedFunction{"get_clienthost", client_host},
    NamedFunction{"get_clientip", client_ip},
    NamedFunction{"check_popauth", check_popauth},
};

} // namespace

std::span<NamedFunction const> message_functions() { return common; }
std::span<NamedFunction const> client_functions() { return client; }

} // namespace postern::milter_dkim::lua
