// saslauthd's mux socket.
#include "auth-socket/mux_session.h"

#include "common/base/secret.h"
#include "common/base/text.h"

#include <algorithm>
#include <exception>

namespace postern::auth_socket {

namespace {

// Two octets of length, the higher one first, and the text.
std::string counted(std::string_view text) {
    std::string out;
    out += static_cast<char>(text.size() >> 8);
    out += static_cast<char>(text.size() & 0xff);
    return out.append(text);
}

} // namespace

MuxSession::MuxSession(std::chrono::milliseconds failure_delay, std::shared_ptr<Authority const> authority,
                       Surroundings& surroundings, net::Waker waker)
    : failure_delay_(failure_delay), authority_(std::move(authority)), surroundings_(surroundings),
      completions_(std::make_shared<Completions<Outcome>>(std::move(waker))),
      patience_ends_(surroundings.now() + mux_patience) {
    buffer_.reserve(4 * (mux_field_limit + 2)); // so that a password is never copied by growing
}

Result<std::optional<MuxSession::Fields4>> MuxSession::question() const {
    Fields4 fields;
    std::string_view rest = buffer_;
    for (auto& field : fields) {
        if (rest.size() < 2) return std::nullopt;
        auto const size = static_cast<std::size_t>(static_cast<unsigned char>(rest[0])) << 8 |
                          static_cast<unsigned char>(rest[1]);
        if (size > mux_field_limit) return malformed("a field of " + std::to_string(size) + " octets");
        if (rest.size() < 2 + size) return std::nullopt;
        field = rest.substr(2, size);
        rest.remove_prefix(2 + size);
    }
    if (!rest.empty()) return malformed("octets behind the question");
    return fields;
}

Result<std::string> MuxSession::receive(std::string_view bytes) {
    if (asked_) return malformed("octets behind the question");
    if (buffer_.size() + bytes.size() > 4 * (mux_field_limit + 2))
        return malformed("a question that is too long");
    buffer_ += bytes;
    auto fields = question();
    if (!fields) return std::unexpected(std::move(fields.error()));
    if (*fields) ask(std::move(**fields));
    return wake();
}

void MuxSession::ask(Fields4 fields) {
    asked_ = true;
    auto& [user, password, service, realm] = fields;
    request_ = std::make_shared<Request>();
    request_->original_user = realm.empty() || user.contains('@') ? user : user + "@" + realm;
    request_->mechanism = "PLAIN";
    request_->client.service = service;
    request_->password = Secret(std::move(password));
    account_ = authority_->account(*request_, request_->original_user);
    wipe(buffer_);
    begins_ = surroundings_.now() + surroundings_.penalties.delay("", account_);
}

void MuxSession::begin() {
    begins_.reset();
    auto const request = request_;
    request->answer_by = Deadline::at(surroundings_.now() + answer_limit);
    auto const queued = surroundings_.executor_for(*authority_, request->mechanism)
                            .submit(request->turn(), [completions = completions_, authority = authority_,
                                                      request, &log = surroundings_.log] {
                                Outcome outcome;
                                try {
                                    outcome = authority->check_password(*request, "", request->password);
                                } catch (std::exception const& exception) {
                                    log.error("auth: login{}: {}", request->log_name(), exception.what());
                                }
                                completions->add(std::move(outcome));
                                wipe_stack_below();
                            });
    if (!queued) completions_->add(Outcome{});
}

// Without an answer the client reports that it could not ask: there is no word for "try again later".
std::string MuxSession::answer(Outcome const& outcome) {
    if (outcome.wait_first.count() > 0) { // the policy server wants it slowed down
        begins_ =
            surroundings_.now() + std::min<std::chrono::milliseconds>(outcome.wait_first, answer_limit / 2);
        return {};
    }
    authority_->report(*request_, outcome);
    surroundings_.counts.count(request_->mechanism, outcome.verdict);
    if (outcome.verdict == Verdict::ok) surroundings_.penalties.succeeded("", account_);
    if (outcome.verdict == Verdict::password_mismatch || outcome.verdict == Verdict::unknown_user)
        surroundings_.penalties.failed("", account_, request_->password.reveal());
    if (outcome.verdict == Verdict::ok || outcome.verdict == Verdict::temporary) {
        finished_ = true;
        return outcome.verdict == Verdict::ok ? counted("OK") : std::string();
    }
    auto const delay = outcome.without_delay ? std::chrono::milliseconds(0) : failure_delay_;
    refusal_due_ = surroundings_.now() + std::min<std::chrono::milliseconds>(delay, answer_limit);
    return {};
}

Result<std::string> MuxSession::wake() {
    std::string sent;
    if (begins_ && *begins_ <= surroundings_.now()) begin();
    for (auto const& outcome : completions_->take()) sent += answer(outcome);
    if (refusal_due_ && *refusal_due_ <= surroundings_.now() && !finished_) {
        finished_ = true;
        sent += counted("NO authentication failed");
    }
    if (!asked_ && patience_ends_ <= surroundings_.now()) finished_ = true;
    return sent;
}

std::optional<Deadline> MuxSession::wakes_at() const {
    if (begins_) return Deadline::at(*begins_);
    if (refusal_due_) return Deadline::at(*refusal_due_);
    return asked_ ? std::nullopt : std::optional(Deadline::at(patience_ends_));
}

} // namespace postern::auth_socket
