// What the auth-socket fuzz targets share: an authority that knows two users, work done at once, a clock that
// stands.
#pragma once

#include "auth-socket/schemes/scheme.h"
#include "auth-socket/session.h"
#include "common/base/log.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <string_view>

namespace postern::auth_socket::fuzz {

class TwoUsers final : public Authority {
  public:
    std::string account(Request const&, std::string_view name) const override { return std::string(name); }
    Outcome check_password(Request& request, std::string_view, Secret const& password) const override {
        return known(request, password.reveal() == "secret" ? Verdict::ok : Verdict::password_mismatch);
    }
    Outcome find_secret(Request& request, std::string_view,
                        std::span<std::string const> wanted) const override {
        auto outcome = known(request, Verdict::ok);
        auto const stored =
            wanted[0].starts_with("SCRAM")
                ? "{SCRAM-SHA-256}4096,xjFaXrH27tIx6PA2u6toqA==,4YuEjH6+oJUZxtuXyvtk0Ftdv3PiXMnEMYIk10fJ1+k=,"
                  "E1rPYgBGslsZ2vp5JW81idx2AMHWqEkOSM6Vrip+oc8="
                : "{PLAIN}secret";
        outcome.credential = read_stored_password(stored, "PLAIN").value();
        return outcome;
    }
    Outcome find_login(Request& request, std::string_view) const override {
        return known(request, Verdict::ok);
    }
    UserOutcome find_user(Request& request, Outcome const*) const override {
        request.user = request.original_user;
        if (request.user == "away") return {};
        UserOutcome outcome{UserVerdict::not_found, request.user, {}, ""};
        if (request.user != "alice") return outcome;
        outcome.verdict = UserVerdict::found;
        outcome.fields.set("home", "/home/a\tb");
        return outcome;
    }
    Result<> list_users(Request const&, std::string_view,
                        std::function<void(std::string_view)> const& each) const override {
        each("alice");
        return {};
    }
    void log_mismatch(Request const&, std::string_view) const override {}

  private:
    static Outcome known(Request& request, Verdict verdict) {
        request.user = request.original_user;
        Outcome outcome;
        outcome.user = request.user;
        if (request.user != "away")
            outcome.verdict = request.user == "alice" ? verdict : Verdict::unknown_user;
        return outcome;
    }
};

class AtOnce final : public Executor {
  public:
    using Executor::submit;
    bool submit(std::string_view, std::unique_ptr<Job>&& job) override {
        auto const mine = std::move(job);
        mine->run();
        return true;
    }
};

struct World {
    NullLog log;
    AtOnce executor;
    TimeSource clock = [] { return Deadline::Clock::time_point(); };
    Logins logins{clock};
    Penalties penalties{{}, clock};
    std::atomic<std::uint32_t> ids{0};
    Metrics metrics;
    LoginCounts counts{metrics};
    Surroundings surroundings{executor, logins, penalties, log, clock, 1, ids, counts};
    std::shared_ptr<Authority const> authority = std::make_shared<TwoUsers const>();
};

// Everything a session sends behind its greeting, fed in pieces of that size.
template <class Session>
std::string replies(Session& session, std::string_view text, std::size_t piece) {
    std::string out;
    session.greeting();
    while (!text.empty() && !session.finished()) {
        auto answer = session.receive(text.substr(0, piece));
        text.remove_prefix(std::min(piece, text.size()));
        if (!answer) return out + session.farewell(answer.error()) + "<closed>";
        out += *answer;
    }
    return session.finished() ? out + "<closed>" : out;
}

// Whole lines, each beginning with one of the commands; "<closed>" may stand at the end.
inline bool are_lines(std::string_view text, std::initializer_list<std::string_view> commands) {
    if (text.ends_with("<closed>")) text.remove_suffix(8);
    while (!text.empty()) {
        auto const end = text.find('\n');
        if (end == std::string_view::npos) return false;
        auto const line = text.substr(0, end);
        if (std::ranges::none_of(commands, [line](auto each) { return line.starts_with(each); }))
            return false;
        if (line.contains('\0') || line.contains('\r')) return false;
        text.remove_prefix(end + 1);
    }
    return true;
}

} // namespace postern::auth_socket::fuzz
