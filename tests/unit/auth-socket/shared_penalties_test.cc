// Penalties told to other machines and heard from them.
#include "auth-socket/shared_penalties.h"

#include "tests/unit/support/catch.h"
#include "tests/unit/support/test_log.h"

#include <latch>

using namespace postern;
using namespace postern::auth_socket;
using namespace std::chrono_literals;

namespace {

redis::Reply text(std::string value) { return {redis::Reply::Kind::text, 0, std::move(value), {}}; }
redis::Reply array(std::vector<redis::Reply> values) {
    return {redis::Reply::Kind::array, 0, {}, std::move(values)};
}

redis::Reply as_reply(std::vector<std::string> const& fields) {
    std::vector<redis::Reply> values;
    for (auto const& field : fields) values.push_back(text(field));
    return array(std::move(values));
}

struct Machine {
    Deadline::Clock::time_point now{};
    Penalties penalties{{.shared = true}, [this] { return now; }};
    std::vector<PenaltyEvent> told;

    Machine() {
        penalties.tell([this](PenaltyEvent const& event) { told.push_back(event); });
    }
    std::chrono::milliseconds delay() const { return penalties.delay("192.0.2.1", "ann"); }
};

} // namespace

TEST_CASE("an event is the same after its way through Redis") {
    for (auto const& event :
         {PenaltyEvent{"192.0.2.1", "ann", 17, false}, PenaltyEvent{"", "a b\tc", {}, false},
          PenaltyEvent{"2001:db8::1", "ann", {}, true}}) {
        auto const read = read_event(as_reply(event_fields(event, "me")));
        REQUIRE(read.has_value());
        CHECK(read->event == event);
        CHECK(read->origin == "me");
    }
}

TEST_CASE("what is no event of ours is passed over, and a long text at the limit is not") {
    CHECK(!read_event({}));
    CHECK(!read_event(as_reply({"from", "x", "what", "maybe", "user", "ann"})));
    CHECK(!read_event(as_reply({"what", "ok", "user", "ann"})));
    CHECK(!read_event(as_reply({"from", "x", "what", "ok", "guess", "many"})));
    CHECK(!read_event(as_reply({"from", "x", "what"})));
    CHECK(read_event(as_reply({"from", "x", "what", "ok", "user", std::string(longest_event_text, 'u')})));
    CHECK(
        !read_event(as_reply({"from", "x", "what", "ok", "user", std::string(longest_event_text + 1, 'u')})));
}

TEST_CASE("an entry with a text that was too long to read is passed over") {
    auto fields = as_reply(event_fields({"192.0.2.1", "ann", 17, false}, "me"));
    REQUIRE(read_event(fields).has_value());
    fields.array.back() = {redis::Reply::Kind::too_long, 0, {}, {}};
    CHECK(!read_event(fields));
}

TEST_CASE("guesses on two machines add up, the same guess counts once, and a success clears both") {
    Machine one, two;
    auto const pass_on = [](Machine& from, Machine& to) {
        for (auto const& event : std::exchange(from.told, {})) to.penalties.apply(event);
    };
    one.penalties.failed("192.0.2.1", "ann", "guess 1");
    pass_on(one, two);
    two.penalties.failed("192.0.2.1", "ann", "guess 1"); // a mail program that tries the other server
    pass_on(two, one);
    CHECK(one.delay() == 0ms);
    CHECK(two.delay() == 0ms);
    two.penalties.failed("192.0.2.1", "ann", "guess 2");
    pass_on(two, one);
    CHECK(one.delay() == 1000ms);
    CHECK(two.delay() == 1000ms);
    CHECK(one.told.empty()); // what was heard is not told again
    one.penalties.succeeded("192.0.2.1", "ann");
    pass_on(one, two);
    CHECK(two.delay() == 0ms);
}

TEST_CASE("no more than twelve bits of a wrong password are told") {
    Machine machine;
    for (int i = 0; i < 50; ++i) machine.penalties.failed("", "ann", "guess " + std::to_string(i));
    for (auto const& event : machine.told) CHECK(event.guess.value() <= 0xfff);
}

TEST_CASE("an XREAD reply gives others' events and the id to go on from") {
    PenaltyEvent const event{"192.0.2.1", "ann", 1, false};
    auto const entry = [&](char const* id, char const* origin) {
        return array({text(id), as_reply(event_fields(event, origin))});
    };
    std::vector<PenaltyEvent> heard;
    auto const take = [&](PenaltyEvent const& each) { heard.push_back(each); };
    auto const reply = array({array({text("key"), array({entry("1-0", "other"), entry("2-0", "me"),
                                                         array({text("3-0"), array({text("junk")})})})})});
    CHECK(take_entries(reply, "me", take) == "3-0");
    CHECK(heard == std::vector<PenaltyEvent>{event});
    CHECK(take_entries({}, "me", take) == std::nullopt); // the time was over
    CHECK(take_entries(array({text("odd"), array({})}), "me", take) == std::nullopt);
}

namespace {

// A replica that may not be written to: what is told is refused, what is heard is heard, once.
struct ReadOnlyRedis {
    std::latch refused{1}, heard{1};

    struct Connection final : redis::Connection {
        explicit Connection(ReadOnlyRedis& of) : server(of) {}
        ~Connection() override {
            if (has_refused) server.refused.count_down(); // after the log line
        }
        Result<redis::Reply> command(std::span<std::string const> words, Deadline) override {
            if (words[0] == "XADD") {
                has_refused = true;
                return permanent("READONLY You can't write against a read only replica.");
            }
            server.refused.wait();
            if (++heard == 2) server.heard.count_down();
            return redis::Reply{};
        }
        ReadOnlyRedis& server;
        bool has_refused = false;
        int heard = 0;
    };
};

} // namespace

TEST_CASE("a server that takes nothing and still gives is told once, not each time the other half works") {
    postern::test::TestLog log;
    Deadline::Clock::time_point now{};
    Penalties penalties{{.shared = true}, [&now] { return now; }};
    ReadOnlyRedis server;
    SharedPenalties shared(
        penalties,
        [&server]() -> Result<std::unique_ptr<redis::Connection>> {
            return std::make_unique<ReadOnlyRedis::Connection>(server);
        },
        "key", log);
    shared.start();
    penalties.failed("192.0.2.1", "ann", "guess");
    server.heard.wait();
    shared.stop();
    CHECK(log.expect("Redis: READONLY"));
    CHECK(!log.contains("answers again"));
}

namespace {

// Its stream holds an entry that no reader can take.
struct PoisonedRedis {
    std::latch read_again{1};
    std::vector<std::string> from;

    struct Connection final : redis::Connection {
        explicit Connection(PoisonedRedis& of) : server(of) {}
        Result<redis::Reply> command(std::span<std::string const> words, Deadline) override {
            server.from.push_back(words.back());
            if (server.from.size() == 1) return malformed("a reply beyond its limits");
            if (server.from.size() == 2) server.read_again.count_down();
            return redis::Reply{};
        }
        PoisonedRedis& server;
    };
};

} // namespace

TEST_CASE("what cannot be read of the stream is not met again after the next connection") {
    postern::test::TestLog log;
    Deadline::Clock::time_point now{};
    Penalties penalties{{.shared = true}, [&now] { return now; }};
    PoisonedRedis server;
    SharedPenalties shared(
        penalties,
        [&server]() -> Result<std::unique_ptr<redis::Connection>> {
            return std::make_unique<PoisonedRedis::Connection>(server);
        },
        "key", log);
    shared.start();
    server.read_again.wait();
    shared.stop();
    CHECK(server.from.at(0).ends_with("-0"));
    CHECK(server.from.at(1) == "$");
    CHECK(log.expect("a reply beyond its limits"));
}
