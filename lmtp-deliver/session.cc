// Answers LMTP commands and hands whole messages to the delivery.
#include "lmtp-deliver/session.h"

#include "common/base/encoding.h"
#include "common/base/secret.h"
#include "common/base/text.h"
#include "lmtp-deliver/parameters.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace postern::lmtp_deliver {

namespace {

using Reply = postern::mail::Reply;

Reply const ok{250, "2.0.0", "OK"};
Reply const mail_needed{503, "5.5.0", "MAIL needed first"};
Reply const no_recipients{503, "5.5.0", "No valid recipients"};
Reply const invalid_parameters{501, "5.5.4", "Invalid parameters"};

std::string random_id() { return base64_encode(random_octets(16)).substr(0, 22); }

// The name goes into Received; what is no host name is not repeated there.
std::string shown_lhlo(std::string_view name) {
    constexpr std::size_t longest = 255;
    bool const fit = name.size() <= longest && std::ranges::all_of(name, [](char c) {
                         return is_alnum(c) || std::string_view("-._:[]").contains(c);
                     });
    return fit ? std::string(name) : "unknown";
}

Reply temporary_error(Address const& address) {
    return {451, "4.3.0", fmt::format("<{}> Temporary internal error", address.to_string())};
}

} // namespace

Session::Session(std::shared_ptr<SessionSettings const> settings, SessionContext& context,
                 net::Peer const& peer)
    : settings_(std::move(settings)), context_(context),
      id_(context.new_id ? context.new_id() : random_id()) {
    if (peer.address == "unix") return;
    origin_ = {peer.address, peer.port, peer.local_address, peer.local_port};
}

std::string Session::greeting() {
    return Reply{220, "", settings_->hostname + ' ' + settings_->greeting}.to_wire();
}

std::string Session::farewell(Error const& error) {
    if (error.kind == ErrorKind::closed) return {};
    return Reply{421, "4.3.2", settings_->hostname + " Closing the connection"}.to_wire();
}

Result<std::string> Session::receive(std::string_view bytes) {
    decoder_.feed(bytes);
    std::string out;
    while (!finished_) {
        if (mode_ == Mode::command) {
            auto const command = decoder_.next_command();
            if (!command) break;
            out += answer(*command);
            continue;
        }
        out += mode_ == Mode::data ? receive_data() : receive_chunk();
        if (mode_ != Mode::command) break;
    }
    return out;
}

Session::Handler Session::handler(std::string_view name) {
    static constexpr std::array<std::pair<std::string_view, Handler>, 11> handlers{{
        {"LHLO", &Session::lhlo},
        {"MAIL", &Session::mail},
        {"RCPT", &Session::rcpt},
        {"DATA", &Session::data},
        {"BDAT", &Session::bdat},
        {"RSET", &Session::rset},
        {"NOOP", &Session::noop},
        {"VRFY", &Session::vrfy},
        {"STARTTLS", &Session::starttls},
        {"XCLIENT", &Session::xclient},
        {"QUIT", &Session::quit},
    }};
    auto const* found = std::ranges::find(handlers, name, &std::pair<std::string_view, Handler>::first);
    return found == handlers.end() ? nullptr : found->second;
}

std::string Session::answer(Command const& command) {
    switch (command.form) {
    case Command::Form::garbage: return bad_command({500, "5.5.2", "Invalid command syntax"});
    case Command::Form::too_long: return bad_command({500, "5.5.2", "Line too long"});
    case Command::Form::verb: break;
    }
    auto const handle = handler(command.name);
    if (handle == nullptr) return bad_command({500, "5.5.1", "Unknown command"});
    bad_commands_ = 0;
    return (this->*handle)(command);
}

std::string Session::bad_command(mail::Reply const& reply) {
    if (++bad_commands_ <= max_bad_commands) return reply.to_wire();
    finished_ = true;
    context_.log.info("lmtp: Disconnect from {}: Too many invalid commands.",
                      origin_.remote_address.empty() ? "unix" : origin_.remote_address);
    return Reply{421, "4.7.0", settings_->hostname + " Too many invalid commands."}.to_wire();
}

std::string Session::lhlo(Command const& command) {
    if (command.parameters.empty()) return Reply{501, "", "Missing hostname"}.to_wire();
    transaction_.reset();
    lhlo_name_ = shown_lhlo(halve(command.parameters, ' ').before);
    auto const limit = settings_->max_message_size;
    return mail::multiline_reply(250, {settings_->hostname, "8BITMIME", "CHUNKING", "ENHANCEDSTATUSCODES",
                                       "PIPELINING", limit == 0 ? "SIZE" : fmt::format("SIZE {}", limit),
                                       "SMTPUTF8"});
}

std::string Session::mail(Command const& command) {
    if (transaction_) return Reply{503, "5.5.0", "MAIL already given"}.to_wire();
    if (!starts_with_ignoring_case(command.parameters, "FROM:")) return invalid_parameters.to_wire();
    auto const path = parse_path(std::string_view(command.parameters).substr(5));
    if (!path) return Reply{501, "5.5.4", fmt::format("Invalid FROM: {}", to_string(path.error()))}.to_wire();
    if (auto const refused = refused_mail_parameters(path->rest, settings_->max_message_size))
        return refused->to_wire();
    transaction_.emplace();
    transaction_->mail_from = path->address;
    transaction_->id = ++transactions_ == 1 ? id_ : fmt::format("{}:T{}", id_, transactions_);
    return Reply{250, "2.1.0", "OK"}.to_wire();
}

std::string Session::rcpt(Command const& command) {
    if (!transaction_) return mail_needed.to_wire();
    if (transaction_->spool) return Reply{503, "5.5.0", "Bad sequence of commands"}.to_wire();
    if (!starts_with_ignoring_case(command.parameters, "TO:")) return invalid_parameters.to_wire();
    auto path = parse_path(std::string_view(command.parameters).substr(3));
    if (path && path->address.is_null()) path = std::unexpected(PathMistake::null_path);
    if (!path) return Reply{501, "5.5.4", fmt::format("Invalid TO: {}", to_string(path.error()))}.to_wire();
    if (!path->rest.empty()) return Reply{555, "5.5.4", "Unsupported parameters"}.to_wire();
    return add_recipient(path->address).to_wire();
}

mail::Reply Session::add_recipient(Address address) {
    auto& transaction = *transaction_;
    auto const number = ++transaction.recipients_asked;
    if (transaction.recipients.size() >= settings_->max_recipients)
        return {452, "4.5.3", "Too many recipients"};
    for (auto const& known : transaction.recipients)
        if (known.address.is_same_as(address)) {
            Recipient again{std::move(address), known.session_id, {}, {}, known.same_as};
            transaction.recipients.push_back(std::move(again));
            return {250, "2.1.5", "OK"};
        }
    return look_up_recipient(std::move(address),
                             number == 1 ? transaction.id : fmt::format("{}:R{}", transaction.id, number));
}

mail::Reply Session::look_up_recipient(Address address, std::string session_id) {
    auto& recipients = transaction_->recipients;
    auto const [mailbox, detail] = split_detail(address, settings_->recipient_delimiter);
    auto user = context_.users.find(mailbox.user_name(), origin_);
    if (!user) {
        count("recipients", "temporary");
        context_.log.error("lmtp({})<{}>: user lookup failed: {}", printable(mailbox.user_name()), session_id,
                           user.error().text);
        return temporary_error(address);
    }
    if (!*user) {
        count("recipients", "unknown");
        return {550, "5.1.1",
                fmt::format("<{}> User doesn't exist: {}", address.to_string(), mailbox.user_name())};
    }
    auto slot = context_.concurrency.enter((*user)->name, settings_->user_concurrency);
    if (!slot)
        return {451, "4.3.0",
                fmt::format("<{}> Too many concurrent deliveries for user", address.to_string())};
    Recipient recipient{std::move(address), session_id, {}, std::move(*slot), recipients.size()};
    recipient.destination = {std::move(**user), settings_->save_to_detail_mailbox ? detail : "",
                             std::move(session_id), origin_};
    if (auto const refusal = context_.delivery.refusal(recipient.destination)) {
        count("recipients", "refused");
        return outcome_reply(recipient, *refusal);
    }
    count("recipients", "accepted");
    recipients.push_back(std::move(recipient));
    return {250, "2.1.5", "OK"};
}

std::string Session::data(Command const& command) {
    if (!command.parameters.empty()) return invalid_parameters.to_wire();
    if (!transaction_) return mail_needed.to_wire();
    if (transaction_->spool || transaction_->chunks_failed)
        return Reply{503, "5.5.0", "Bad sequence of commands"}.to_wire();
    if (transaction_->recipients.empty()) return no_recipients.to_wire();
    begin_message();
    decoder_.begin_data(command.bare_lf);
    mode_ = Mode::data;
    return Reply{354, "", "OK"}.to_wire();
}

std::optional<mail::Reply> Session::chunk_refusal() const {
    if (!transaction_) return mail_needed;
    if (transaction_->chunks_failed)
        return Reply{503, "5.5.0", "Previous data chunk failed, issue RSET first"};
    if (transaction_->recipients.empty()) return no_recipients;
    return std::nullopt;
}

std::string Session::bdat(Command const& command) {
    auto const [size_text, marker] = halve(command.parameters, ' ');
    auto const size = parse_number<std::uint64_t>(size_text);
    if (!size) return Reply{501, "5.5.4", "Invalid chunk size parameter"}.to_wire();
    if (marker && !equals_ignoring_case(*marker, "LAST"))
        return Reply{501, "5.5.4", "Invalid end marker parameter"}.to_wire();
    chunk_ = {*size, marker.has_value(), chunk_refusal()};
    if (transaction_ && chunk_.refusal) transaction_->chunks_failed = true;
    if (!chunk_.refusal && !transaction_->spool) begin_message();
    decoder_.begin_chunk(*size);
    mode_ = Mode::chunk;
    return {};
}

std::string Session::rset(Command const& command) {
    if (!command.parameters.empty()) return invalid_parameters.to_wire();
    transaction_.reset();
    decoder_.forget_chunks();
    return ok.to_wire();
}

std::string Session::noop(Command const&) { return ok.to_wire(); }

std::string Session::vrfy(Command const& command) {
    if (command.parameters.empty()) return invalid_parameters.to_wire();
    return Reply{252, "2.3.3", "Try RCPT instead"}.to_wire();
}

std::string Session::starttls(Command const&) {
    return Reply{502, "5.5.1", "TLS support is not enabled."}.to_wire();
}

std::string Session::xclient(Command const&) {
    if (transaction_) return Reply{503, "5.5.0", "XCLIENT not permitted during a mail transaction"}.to_wire();
    return Reply{550, "5.7.14", "You are not from trusted IP"}.to_wire();
}

std::string Session::quit(Command const& command) {
    if (!command.parameters.empty()) return invalid_parameters.to_wire();
    finished_ = true;
    return Reply{221, "2.0.0", "Bye"}.to_wire();
}

void Session::begin_message() {
    auto& transaction = *transaction_;
    transaction.spool.emplace(settings_->spool);
    decoder_.forget_chunks();
    Trace trace;
    trace.mail_from = transaction.mail_from;
    if (transaction.recipients.size() == 1) trace.recipient = transaction.recipients.front().address;
    trace.lhlo = lhlo_name_;
    trace.client_address = origin_.remote_address;
    trace.hostname = settings_->hostname;
    trace.transaction_id = transaction.id;
    trace.unix_seconds = context_.now();
    trace.delivered_to = settings_->delivered_to;
    trace.received = settings_->add_received;
    // A spool that fails says so again when it is read.
    static_cast<void>(transaction.spool->append(trace_header(trace)));
}

void Session::take(std::string_view octets) {
    auto& transaction = *transaction_;
    transaction.octets += octets.size() + static_cast<std::size_t>(std::ranges::count(octets, '\n'));
    auto const limit = settings_->max_message_size;
    if (limit != 0 && transaction.octets > limit && !transaction.too_large) {
        transaction.too_large = true;
        transaction.spool.emplace(settings_->spool); // the rest is read and dropped
    }
    if (!transaction.too_large) static_cast<void>(transaction.spool->append(octets));
}

std::string Session::receive_data() {
    auto const piece = decoder_.next_data();
    take(piece.octets);
    return piece.ended ? message_end() : "";
}

std::string Session::receive_chunk() {
    auto const piece = decoder_.next_chunk();
    if (!chunk_.refusal) take(piece.octets);
    if (!piece.ended) return {};
    mode_ = Mode::command;
    if (chunk_.refusal) return chunk_.refusal->to_wire();
    if (chunk_.last) {
        take(decoder_.end_of_chunks());
        return message_end();
    }
    if (transaction_->too_large) {
        transaction_->chunks_failed = true;
        return message_too_large.to_wire();
    }
    return Reply{250, "2.0.0", fmt::format("Added {} octets", chunk_.size)}.to_wire();
}

std::string Session::message_end() {
    mode_ = Mode::command;
    auto const& recipients = transaction_->recipients;
    std::string replies;
    if (transaction_->too_large) {
        for (std::size_t i = 0; i < recipients.size(); ++i) replies += message_too_large.to_wire();
    } else {
        auto const outcomes = deliver_copies();
        for (auto const& recipient : recipients)
            replies += outcome_reply(recipient, outcomes[recipient.same_as]).to_wire();
    }
    transaction_.reset();
    return replies;
}

// By recipient; those that repeat an address share the copy of the first.
std::vector<Outcome> Session::deliver_copies() {
    auto const& recipients = transaction_->recipients;
    std::vector<Destination> destinations;
    std::vector<std::size_t> owners;
    for (std::size_t i = 0; i < recipients.size(); ++i)
        if (recipients[i].same_as == i) {
            destinations.push_back(recipients[i].destination);
            owners.push_back(i);
        }
    auto const copies = context_.delivery.deliver(*transaction_->spool, destinations);
    std::vector<Outcome> outcomes(recipients.size());
    for (std::size_t i = 0; i < owners.size() && i < copies.size(); ++i) outcomes[owners[i]] = copies[i];
    return outcomes;
}

// The only place where what became of a copy turns into a reply.
mail::Reply Session::outcome_reply(Recipient const& recipient, Outcome const& outcome) const {
    auto const address = recipient.address.to_string();
    switch (outcome.kind) {
    case Outcome::Kind::saved:
        count("copies", "saved");
        return {250, "2.0.0", fmt::format("<{}> {} Saved", address, recipient.session_id)};
    case Outcome::Kind::over_quota:
        count("copies", "over_quota");
        return {552, "5.2.2", fmt::format("<{}> {}", address, outcome.text)};
    case Outcome::Kind::over_quota_for_now:
        count("copies", "over_quota");
        return {452, "4.2.2", fmt::format("<{}> {}", address, outcome.text)};
    case Outcome::Kind::failed: break;
    }
    count("copies", "failed");
    return temporary_error(recipient.address);
}

void Session::count(std::string_view what, std::string_view result) const {
    context_.metrics
        .counter(fmt::format("postern_lmtp_{}_total", what),
                 what == "copies" ? "Copies by what became of them" : "Recipients by how RCPT was answered",
                 fmt::format("result=\"{}\"", result))
        .add();
}

} // namespace postern::lmtp_deliver
