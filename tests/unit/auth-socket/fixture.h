// Users in memory, work at once or on demand, and a clock that stands still: what session tests need.
#pragma once

#include "auth-socket/session.h"
#include "auth-socket/users/authenticator.h"
#include "auth-socket/users/files.h"
#include "tests/unit/support/test_log.h"

#include <map>
#include <memory>
#include <new>
#include <string>
#include <vector>

namespace postern::auth_socket::test {

// Does its work at once, or when run() is called.
class HandExecutor final : public Executor {
  public:
    bool at_once = true;
    bool full = false;
    bool breaks = false;
    std::vector<std::string> keys;

    using Executor::submit;
    bool submit(std::string_view key, std::unique_ptr<Job>&& job) override {
        keys.emplace_back(key);
        if (full) return false;
        if (breaks) throw std::bad_alloc();
        if (at_once)
            job->run();
        else
            waiting_.push_back(std::move(job));
        return true;
    }
    void run() {
        for (auto const jobs = std::exchange(waiting_, {}); auto const& job : jobs) job->run();
    }

  private:
    std::vector<std::unique_ptr<Job>> waiting_;
};

// Rows by user; a user that is not there is unknown. fails: the database is away.
class MemoryUsers final : public Passdb, public Userdb {
  public:
    std::map<std::string, std::vector<Fields>, std::less<>> rows;
    std::map<std::string, Fields, std::less<>> users;
    bool fails = false;
    mutable int asked = 0;

    Result<std::vector<Fields>> lookup(Request const& request) const override {
        ++asked;
        if (fails) return temporary("the database is away");
        auto const at = rows.find(request.user);
        return at == rows.end() ? std::vector<Fields>{} : at->second;
    }
    Result<std::optional<Fields>> lookup_after(Outcome const*, Request const& request) const override {
        if (fails) return temporary("the database is away");
        auto const at = users.find(request.user);
        if (at == users.end()) return std::nullopt;
        return at->second;
    }
    Result<bool> list(std::function<void(std::string_view)> const& each) const override {
        if (fails) return temporary("the database is away");
        for (auto const& [name, fields] : users) each(name);
        return true;
    }
};

inline Fields fields(std::vector<Field> const& list) {
    Fields all;
    for (auto const& [name, value] : list) all.set(name, value);
    return all;
}

inline ConfiguredPassdb passdb(std::shared_ptr<Passdb const> database, std::string const& name = "sql") {
    ConfiguredPassdb made;
    made.block.driver = made.block.name = name;
    made.database = std::move(database);
    return made;
}

inline ConfiguredUserdb userdb(std::shared_ptr<Userdb const> database, std::string const& name = "sql") {
    ConfiguredUserdb made;
    made.block.driver = made.block.name = name;
    made.database = std::move(database);
    return made;
}

// The users of the captured transcripts: all have the password "secret".
struct House {
    postern::test::TestLog log;
    HandExecutor executor;
    Deadline::Clock::time_point now{};
    TimeSource clock = [this] { return now; };
    Logins logins{clock};
    PenaltySettings penalty_settings;
    Penalties penalties{penalty_settings, clock};
    std::atomic<std::uint32_t> connection_ids{0};
    Metrics metrics;
    LoginCounts counts{metrics};
    Surroundings surroundings{executor, logins, penalties, log, clock, 17633, connection_ids, counts};
    Hashing hashing{2, metrics};
    std::shared_ptr<MemoryUsers> users = std::make_shared<MemoryUsers>();
    ClientSettings client = [] {
        ClientSettings settings;
        settings.mechanisms = {"PLAIN", "LOGIN", "EXTERNAL"};
        settings.failure_delay = std::chrono::milliseconds(0);
        return settings;
    }();

    House() {
        users->rows["alice@example.com"] = {
            fields({{"user", "alice@example.com"},
                    {"password",
                     "{SHA512-CRYPT}$6$rounds=1000$MPeWgaNyLNo7HkDl$ATY5XHVuoMJvqcxeBWu4SJIurcLfsHj05YQb0"
                     "Jzhhqdqti/Q95joUhbnNvJWATXNWKcQr4gdMef2NOl/E5Eqm/"}})};
        users->rows["plain@example.com"] = {fields({{"password", "{PLAIN}secret"}})};
        users->users["alice@example.com"] =
            fields({{"home", "/srv/try/mail/example.com/alice"}, {"uid", "65534"}, {"gid", "65534"}});
    }

    std::shared_ptr<Authenticator const> authority() {
        return std::make_shared<Authenticator>(AuthenticatorSettings{}, std::vector{passdb(users)},
                                               std::vector{userdb(users)}, hashing, log);
    }
    std::unique_ptr<ClientSession> session(net::Waker waker = {}) {
        connection_ids = 0;
        return std::make_unique<ClientSession>(client, authority(), surroundings, std::move(waker));
    }
};

// What was sent after the handshake.
inline std::string after_handshake(std::string const& sent) {
    auto const done = sent.find("DONE\n");
    return done == std::string::npos ? sent : sent.substr(done + 5);
}

} // namespace postern::auth_socket::test
