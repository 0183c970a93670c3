// Writes Return-Path, Delivered-To and Received.
#include "lmtp-deliver/trace.h"

#include "common/base/clock.h"
#include "common/base/text.h"

#include <fmt/format.h>

namespace postern::lmtp_deliver {

namespace {

std::string received(Trace const& trace) {
    std::string out = "Received: from " + (trace.lhlo.empty() ? std::string("unknown") : trace.lhlo);
    if (!trace.client_address.empty()) out += fmt::format(" ([{}])", trace.client_address);
    out += fmt::format("\n\tby {} with LMTP\n\tid {}\n\t(envelope-from <{}>)", trace.hostname,
                       trace.transaction_id, trace.mail_from.to_string());
    if (trace.recipient) out += fmt::format("\n\tfor <{}>", trace.recipient->to_string());
    return out + "; " + rfc5322_date(trace.unix_seconds) + '\n';
}

} // namespace

std::string trace_header(Trace const& trace) {
    std::string out = fmt::format("Return-Path: <{}>\n", trace.mail_from.to_string());
    // Without ORCPT both kinds name what RCPT TO said.
    if (trace.recipient && trace.delivered_to != DeliveredTo::none)
        out += fmt::format("Delivered-To: {}\n", trace.recipient->to_string());
    if (trace.received) out += received(trace);
    return out;
}

std::string message_id(std::string_view beginning) {
    constexpr std::string_view field = "message-id:";
    while (!beginning.empty()) {
        auto const [line, rest] = halve(beginning, '\n');
        if (line.empty() || line == "\r") break;
        if (starts_with_ignoring_case(line, field)) {
            auto value = trim(line.substr(field.size()));
            if (value.empty() && rest) value = trim(halve(*rest, '\n').before); // folded after the name
            return value.empty() ? "unspecified" : printable(value);
        }
        beginning = rest.value_or("");
    }
    return "unspecified";
}

} // namespace postern::lmtp_deliver
