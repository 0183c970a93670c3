// Commands in the order that a message has them, each turned into a call of the session and its reply.
#include "common/milter/conversation.h"

#include "common/base/text.h"
#include "common/milter/edits.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <utility>

namespace postern::milter {

namespace {

using namespace std::string_view_literals;

constexpr std::uint32_t oldest_version = 2;
constexpr std::uint32_t newest_version = 6;
constexpr std::size_t negotiation_octets = 12;
// What an MTA that offers nothing means (version 1 of the protocol).
constexpr std::uint32_t first_actions = 0x0f;
constexpr std::uint32_t first_steps = 0x3f;

constexpr auto message_commands = "RTLNBE"sv;

// "2001:db8::1" as inet_ntop(3) writes it; absent: no such address.
std::optional<std::string> canonical_address(char family, std::string_view text) {
    constexpr auto prefix = "IPv6:"sv;
    int const kind = family == '6' ? AF_INET6 : AF_INET;
    if (family == '6' && equals_ignoring_case(text.substr(0, prefix.size()), prefix))
        text.remove_prefix(prefix.size());
    std::array<unsigned char, sizeof(in6_addr)> octets{};
    std::array<char, INET6_ADDRSTRLEN> out{};
    if (::inet_pton(kind, std::string(text).c_str(), octets.data()) != 1) return std::nullopt;
    ::inet_ntop(kind, octets.data(), out.data(), out.size());
    return std::string(out.data());
}

// "host\0" and a family: U, or L, 4, 6 with two octets of port and "address\0".
Result<Client> client_in(std::string_view data) {
    auto const end = data.find('\0');
    if (end == std::string_view::npos || end + 1 == data.size())
        return malformed("a client without its family");
    Client client{std::string(data.substr(0, end)), {}};
    char const family = data[end + 1];
    if (family == 'U' || family == 'L') return client;
    constexpr std::size_t port_octets = 2;
    auto const rest = data.substr(end + 2);
    if (rest.size() <= port_octets || rest.back() != '\0') return malformed("a client without its address");
    auto address = canonical_address(family, up_to_nul(rest.substr(port_octets)));
    if (!address || (family != '4' && family != '6'))
        return malformed("a client with a malformed address: " + printable(rest.substr(port_octets)));
    client.address = std::move(*address);
    return client;
}

// At least so many strings, each ended by a NUL.
Result<std::vector<std::string_view>> strings_in(std::string_view data, std::size_t least,
                                                 std::string_view what) {
    auto strings = nul_terminated(data);
    if (strings && strings->size() < least) return malformed(fmt::format("{} without its text", what));
    return strings;
}

} // namespace

Conversation::~Conversation() { abort(); }

Result<std::string> Conversation::receive(std::string_view bytes) {
    decoder_.feed(bytes);
    while (!finished_) {
        auto const packet = decoder_.next();
        if (!packet) return std::unexpected(packet.error());
        if (!*packet) break;
        trace('<', **packet);
        if (auto taken = take(**packet); !taken) return std::unexpected(taken.error());
    }
    return unsent();
}

Result<> Conversation::take(Packet const& packet) {
    if (packet.letter == 'O') return negotiate(packet.data);
    if (packet.letter == 'Q') {
        finished_ = true;
        return {};
    }
    if (!negotiated_) return malformed("a milter command before the negotiation");
    if (message_commands.contains(packet.letter)) return take_in_message(packet);
    switch (packet.letter) {
    case 'D': return macros(packet.data);
    case 'C': return connect(packet.data);
    case 'H':
        answer(run("helo", [&](Session& session) { return session.helo(up_to_nul(packet.data), macros_); }));
        return {};
    case 'M': return mail_from(packet.data);
    case 'A': abort(); return {};
    case 'K': next_connection(); return {};
    case 'U': answer(Verdict::next()); return {};
    default: return malformed("an unknown milter command: " + printable({&packet.letter, 1}));
    }
}

Result<> Conversation::take_in_message(Packet const& packet) {
    if (!in_message_)
        return malformed("a milter command outside of a message: " + printable({&packet.letter, 1}));
    switch (packet.letter) {
    case 'R': return recipient(packet.data);
    case 'L': return header(packet.data);
    case 'T': answer(Verdict::next()); break;
    case 'N': end_of_headers(); break;
    case 'B': body(packet.data); break;
    default: end_of_message(packet.data);
    }
    return {};
}

// ---- The connection -------------------------------------------------------------------------------------

Result<> Conversation::negotiate(std::string_view data) {
    if (negotiated_ || data.size() < negotiation_octets)
        return malformed("a milter negotiation out of place");
    auto const version = number_in(data);
    auto const actions = number_in(data.substr(4));
    auto const steps = number_in(data.substr(8));
    if (version < oldest_version)
        return malformed(fmt::format("the MTA speaks version {} of the milter protocol", version));
    return grant(std::min(version, newest_version), actions == 0 ? first_actions : actions,
                 steps == 0 ? first_steps : steps);
}

Result<> Conversation::grant(std::uint32_t version, std::uint32_t offered_actions,
                             std::uint32_t offered_steps) {
    auto const& asked = terms_.negotiation;
    // A list of macros is a wish; the other actions are needed.
    if (auto const missing = asked.actions & ~offered_actions & ~bits::set_macro_list; missing != 0) {
        terms_.log.error("the MTA does not allow the milter actions {:#x}; connection refused", missing);
        return closed("");
    }
    actions_ = asked.actions & offered_actions;
    steps_ = asked.wanted_steps & offered_steps;
    negotiated_ = true;
    std::string lists;
    if ((actions_ & bits::set_macro_list) != 0)
        for (auto const& [stage, names] : asked.macros)
            lists += number_octets(static_cast<std::uint32_t>(stage)) + names + '\0';
    append_packet(out_, 'O', {number_octets(version), number_octets(actions_), number_octets(steps_), lists});
    open_session();
    return {};
}

void Conversation::open_session() {
    if (terms_.stopping) return;
    try {
        session_ = terms_.factory({(steps_ & bits::leading_space) != 0});
    } catch (std::exception const& failure) {
        terms_.log.error("negotiation: internal error: {}", failure.what());
    }
}

Result<> Conversation::macros(std::string_view data) {
    if (data.empty()) return malformed("milter macros without a command");
    auto const pairs = nul_terminated(data.substr(1));
    if (!pairs) return std::unexpected(pairs.error());
    macros_.set(data.front(), *pairs);
    return {};
}

Result<> Conversation::connect(std::string_view data) {
    auto const client = client_in(data);
    if (!client) return std::unexpected(client.error());
    answer(run("connect", [&](Session& session) { return session.connect(*client, macros_); }));
    return {};
}

// QUIT_NC: the MTA uses the connection for another client.
void Conversation::next_connection() {
    abort();
    macros_.forget_all();
    session_.reset();
    open_session();
}

// ---- A message ------------------------------------------------------------------------------------------

Result<> Conversation::mail_from(std::string_view data) {
    auto const strings = strings_in(data, 1, "mail");
    if (!strings) return std::unexpected(strings.error());
    if (in_message_) abort();
    in_message_ = true;
    std::vector<std::string> const parameters(strings->begin() + 1, strings->end());
    answer_for_message(run(
        "mail", [&](Session& session) { return session.mail_from(strings->front(), parameters, macros_); }));
    return {};
}

// A refusal is of this recipient only, unless nothing goes on any more.
Result<> Conversation::recipient(std::string_view data) {
    auto const strings = strings_in(data, 1, "rcpt");
    if (!strings) return std::unexpected(strings.error());
    auto const verdict =
        run("rcpt", [&](Session& session) { return session.recipient(strings->front(), macros_); });
    bool const whole = terms_.stopping || verdict.action == Verdict::Action::accept ||
                       verdict.action == Verdict::Action::discard;
    whole ? answer_for_message(verdict) : answer(verdict);
    return {};
}

Result<> Conversation::header(std::string_view data) {
    auto const strings = strings_in(data, 2, "header");
    if (!strings) return std::unexpected(strings.error());
    if (header_verdict_) return {};
    auto verdict = run(
        "header", [&](Session& session) { return session.header((*strings)[0], (*strings)[1], macros_); });
    if ((steps_ & bits::no_header_reply) == 0)
        answer_for_message(verdict);
    else if (verdict.action != Verdict::Action::next)
        header_verdict_ = std::move(verdict);
    return {};
}

void Conversation::end_of_headers() {
    answer_for_message(run("eoh", [&](Session& session) {
        return header_verdict_ ? *header_verdict_ : session.end_of_headers(macros_);
    }));
}

void Conversation::body(std::string_view chunk) {
    auto verdict =
        run("body", [&](Session& session) { return body_skipped_ ? Verdict::next() : session.body(chunk); });
    if (verdict.action == Verdict::Action::skip && (steps_ & bits::skip) == 0) {
        body_skipped_ = true;
        verdict = Verdict::next();
    }
    answer_for_message(verdict);
}

// Its packet may carry the last chunk of the body.
void Conversation::end_of_message(std::string_view last_chunk) {
    auto const verdict = run("eom", [&](Session& session) {
        if (!last_chunk.empty() && !body_skipped_) {
            auto const at_chunk = session.body(last_chunk);
            bool const goes_on =
                at_chunk.action == Verdict::Action::next || at_chunk.action == Verdict::Action::skip;
            if (!goes_on) return at_chunk;
        }
        Edits edits(out_, actions_, (steps_ & bits::leading_space) != 0);
        return session.end_of_message(edits, macros_);
    });
    end_message();
    answer(verdict);
}

void Conversation::abort() {
    if (!in_message_) return;
    run("abort", [](Session& session) {
        session.abort();
        return Verdict::next();
    });
    end_message();
}

void Conversation::end_message() {
    in_message_ = false;
    body_skipped_ = false;
    header_verdict_.reset();
    macros_.forget_message();
}

// ---- Calls and answers ----------------------------------------------------------------------------------

template <class Call>
Verdict Conversation::run(std::string_view stage, Call const& call) {
    if (!session_ || terms_.stopping) return Verdict::tempfail();
    try {
        return call(*session_);
    } catch (std::exception const& failure) {
        terms_.log.error("{}: internal error, the message is refused for now: {}", stage, failure.what());
        return Verdict::tempfail();
    }
}

void Conversation::answer(Verdict const& verdict) {
    auto const begin = out_.size();
    append_verdict(out_, verdict);
    auto const sent = std::string_view(out_).substr(begin);
    trace('>', {sent[4], sent.substr(5)});
}

void Conversation::answer_for_message(Verdict const& verdict) {
    bool const goes_on = verdict.action == Verdict::Action::next || verdict.action == Verdict::Action::skip;
    if (!goes_on) end_message();
    answer(verdict);
}

// MilterDebug: what the MTA says and is told; of a body only its size.
void Conversation::trace(char direction, Packet const& packet) const {
    if (terms_.negotiation.debug_level == 0) return;
    bool const is_body = packet.letter == 'B' || packet.letter == 'E';
    terms_.log.info("milter {} {} {}", direction, printable({&packet.letter, 1}),
                    is_body ? fmt::format("{} octets", packet.data.size()) : printable(packet.data));
}

} // namespace postern::milter
