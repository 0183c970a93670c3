// An LMTP session with a user table and a delivery that keeps what it was given.
#pragma once

#include "lmtp-deliver/session.h"
#include "tests/unit/support/replay.h"
#include "tests/unit/support/test_log.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace postern::test {

using namespace postern::lmtp_deliver;

class TableOfUsers final : public Users {
  public:
    Result<std::optional<User>> find(std::string_view name, Origin const&) override {
        asked.emplace_back(name);
        if (down) return temporary("the database is away");
        if (auto const found = users.find(name); found != users.end()) return found->second;
        return std::nullopt;
    }
    void add(std::string const& name) { users[name].name = name; }

    std::map<std::string, User, std::less<>> users;
    std::vector<std::string> asked;
    bool down = false;
};

class KeepingDelivery final : public Delivery {
  public:
    struct Copy {
        std::string user;
        std::string detail;
        std::string session_id;
        std::string message;
    };
    std::optional<Outcome> refusal(Destination const& destination) override {
        if (full_at_rcpt != destination.user.name) return std::nullopt;
        return Outcome{Outcome::Kind::over_quota, "Quota exceeded (mailbox for user is full)"};
    }
    std::vector<Outcome> deliver(Spool& message, std::span<Destination const> destinations) override {
        std::string text;
        auto const whole = message.read([&](std::string_view octets) {
            text += octets;
            return Result<>();
        });
        std::vector<Outcome> outcomes;
        for (auto const& destination : destinations) {
            if (!whole || fails) {
                outcomes.push_back({});
            } else if (destination.user.name == full) {
                outcomes.push_back(
                    {full_for_now ? Outcome::Kind::over_quota_for_now : Outcome::Kind::over_quota,
                     "Quota exceeded (mailbox for user is full)"});
            } else {
                copies.push_back({destination.user.name, destination.detail, destination.session_id, text});
                outcomes.push_back({Outcome::Kind::saved, ""});
            }
        }
        last_size = message.size();
        return outcomes;
    }

    std::vector<Copy> copies;
    MessageSize last_size;
    std::string full;
    bool full_for_now = false;
    std::string full_at_rcpt;
    bool fails = false;
};

inline constexpr char const* session_id = "wTU8KVcxAWviJgAAg+zDdQ";

struct SessionFixture {
    SessionFixture() {
        for (auto const* name : {"alice@example.com", "bob@example.com", "quota@example.com"})
            users.add(name);
        settings->hostname = "mx.example.com";
        settings->greeting = "Dovecot (Debian) ready.";
        settings->max_message_size = 50000000;
        settings->save_to_detail_mailbox = true;
        context.now = [] { return std::int64_t{1795240279}; };
        context.new_id = [] { return std::string(session_id); };
    }
    std::unique_ptr<net::Session> make() {
        return std::make_unique<lmtp_deliver::Session>(settings, context, peer);
    }
    std::string replay_whole(std::string_view input) { return replay(*make(), input); }
    std::string replay_all(std::string_view input) {
        return replay_in_all_pieces([this] { return make(); }, input);
    }

    TestLog log;
    Metrics metrics;
    TableOfUsers users;
    KeepingDelivery delivery;
    Concurrency concurrency;
    SessionContext context{users, delivery, concurrency, log, metrics, {}, {}};
    std::shared_ptr<SessionSettings> settings = std::make_shared<SessionSettings>();
    net::Peer peer{"unix", 0, "", 0, {}};
};

} // namespace postern::test
