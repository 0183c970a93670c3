// A connection on an auth client or login socket: Postfix, Exim, Dovecot's login processes.
#pragma once

#include "auth-socket/completions.h"
#include "auth-socket/mechanisms/mechanism.h"
#include "auth-socket/protocol.h"
#include "auth-socket/surroundings.h"
#include "common/net/server.h"

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace postern::auth_socket {

// Requests of one connection that are not finished. Dovecot's login processes share one connection between
// many clients; Postfix has one request at a time.
inline constexpr std::size_t requests_per_connection = 1024;

// What a client sees of what could not be found out.
enum class TemporaryFailure { is_told, closes, closes_for_minor_0 };

// What the client protocol takes from the configuration.
struct ClientSettings {
    unsigned protocol_minor = client_protocol_minor; // what is announced
    std::vector<std::string> mechanisms{"PLAIN"};    // in capitals, known ones only
    std::chrono::milliseconds failure_delay{2000};
    MechanismContext mechanism;
    bool user_from_certificate = false; // auth_ssl_username_from_cert: EXTERNAL works
    bool requires_certificate = false;  // auth_ssl_require_client_cert
    bool login_role = false;            // finished logins are kept for the master socket
    bool token_role = false;            // DOVECOT-TOKEN is the only mechanism
    // Postfix and Exim take every FAIL for a wrong password (535); a lost connection is their 454 and 435.
    TemporaryFailure temporary_failure = TemporaryFailure::is_told;
};

class ClientSession final : public net::Session {
  public:
    ClientSession(ClientSettings settings, std::shared_ptr<Authority const> authority,
                  Surroundings& surroundings, net::Waker waker);
    ~ClientSession() override;

    std::string greeting() override;
    Result<std::string> receive(std::string_view bytes) override;
    // What was answered before the line that breaks the protocol.
    std::string farewell(Error const&) override { return wake().value_or(""); }
    bool finished() const override { return finished_; }
    std::optional<Deadline> wakes_at() const override;
    Result<std::string> wake() override;
    bool busy() const override { return !requests_.empty() || !delayed_.empty(); }

  private:
    using TimePoint = Deadline::Clock::time_point;
    enum class Phase { waiting_out_penalty, waiting_for_client, working };
    struct Pending {
        std::uint64_t serial = 0; // tells a job's answer from that of an older request with the same id
        Phase phase = Phase::waiting_out_penalty;
        TimePoint started;
        TimePoint begins;     // when the penalty is over
        TimePoint last_heard; // the client's latest line: from here on it waits for an answer
        std::optional<std::string> initial_response;
        std::optional<Step> held;     // until the user's penalty is over
        std::optional<Step> question; // what was asked, where it may have to be asked again
        std::string account;          // Authority::account() of the user who is tried
        std::shared_ptr<Mechanism> mechanism;
        bool plaintext = false;
        Request request;
        std::optional<Outcome> outcome; // of NeedSecret, until the mechanism is through
        bool is_refused = false;        // the client has been told why; outcome stands, whatever it answers
        std::string final_data;
    };
    struct Delayed {
        std::uint32_t id;
        TimePoint due;
        std::string text;
    };
    struct Done { // from a worker
        std::uint32_t id;
        std::uint64_t serial;
        Request request;
        Outcome outcome;
        bool secret_only; // the mechanism goes on with it
    };

    MechanismKind const* mechanism_named(std::string_view name) const;
    Result<> handle_lines();
    Result<> handle(std::string& line);
    Result<> hello(std::vector<std::string> const& fields);
    Result<> begin(std::vector<std::string> const& fields);
    Pending& add_pending(AuthCommand& command, MechanismKind const& kind);
    Result<> go_on(std::vector<std::string> const& fields);
    Result<> cancel(std::vector<std::string> const& fields);
    void start(std::uint32_t id);
    void take_step(std::uint32_t id, Step step);
    bool waits_for_user(std::uint32_t id, std::string const& user, Step& step);
    void work(std::uint32_t id, std::function<Outcome(Request&)> job, bool secret_only);
    void refuse_for_now(std::uint32_t id);
    void finish(std::uint32_t id, Outcome const& outcome);
    void succeed(std::uint32_t id, Outcome const& outcome, std::string const& final_data);
    void fail(std::uint32_t id, Outcome const& outcome);
    void note_failure(Pending const& pending, Outcome const& outcome);
    void tell_refusal(std::uint32_t id, Outcome const& outcome, Challenge const& challenge);
    void check(std::uint32_t id, CheckPassword const& check);
    void ask_for_secret(std::uint32_t id, NeedSecret const& need);
    void trust(std::uint32_t id, Trusted const& trusted);
    void conclude(std::uint32_t id, Outcome const& outcome);
    void wait_first(std::uint32_t id, std::chrono::milliseconds span);
    void prove(std::uint32_t id, Proven const& proven);
    void refuse(std::uint32_t id, Refused const& refused);
    bool closes_on_temporary() const;
    void collect();
    void pass_time();
    std::string take_output();

    ClientSettings settings_; // mechanism also has what the latest request brought
    std::shared_ptr<Authority const> const authority_;
    Surroundings& surroundings_;
    std::shared_ptr<Completions<Done>> const completions_;
    LineDecoder lines_{client_line_limit};
    std::string const cookie_;
    std::string output_;
    std::optional<unsigned> client_minor_;
    std::optional<std::uint32_t> client_pid_;
    std::map<std::uint32_t, Pending> requests_;
    std::vector<Delayed> delayed_;
    std::uint64_t serial_ = 0;
    bool finished_ = false;
};

} // namespace postern::auth_socket
