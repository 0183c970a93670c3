// saslauthd's protocol, and the helper's messages.
#include "auth-socket/helper/helper.h"
#include "auth-socket/mux_session.h"
#include "tests/unit/auth-socket/fixture.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/replay.h"

using namespace postern;
using namespace postern::auth_socket;
using namespace postern::auth_socket::test;
using namespace std::chrono_literals;

namespace {

std::string counted(std::string const& text) {
    return std::string{static_cast<char>(text.size() >> 8), static_cast<char>(text.size() & 0xff)} + text;
}

std::string question(std::string const& user, std::string const& password, std::string const& realm = "") {
    return counted(user) + counted(password) + counted("smtp") + counted(realm);
}

std::unique_ptr<MuxSession> mux(House& house, std::chrono::milliseconds delay = 0ms) {
    return std::make_unique<MuxSession>(delay, house.authority(), house.surroundings, net::Waker());
}

} // namespace

TEST_CASE("saslauthd's clients get OK for the right password and NO for another, in pieces of any size") {
    House house;
    auto const answer = [&](std::string const& sent) {
        return postern::test::replay_in_all_pieces([&] { return mux(house); }, sent);
    };
    CHECK(answer(question("alice", "secret", "example.com")) == std::string("\0\2OK<closed>", 12));
    CHECK(answer(question("alice@example.com", "secret")) == std::string("\0\2OK<closed>", 12));
    auto const no = counted("NO authentication failed") + "<closed>";
    CHECK(answer(question("alice@example.com", "wrong")) == no);
    CHECK(answer(question("nobody", "secret", "example.com")) == no);
    CHECK(answer(question("", "")) == no);
    postern::test::replay_cut_off([&] { return mux(house); }, question("alice@example.com", "secret"));
}

TEST_CASE("saslauthd's clients get no answer when the database is away") {
    House house;
    house.users->fails = true;
    CHECK(postern::test::replay(*mux(house), question("alice@example.com", "secret")) == "<closed>");
    CHECK(house.log.expect("the database is away"));
}

TEST_CASE(
    "a field of 1024 octets is read, one of 1025 ends the connection, and so do octets behind the question") {
    House house;
    CHECK(postern::test::replay(*mux(house), question(std::string(mux_field_limit, 'a'), "x"))
              .ends_with("failed<closed>"));
    CHECK(postern::test::replay(*mux(house), question(std::string(mux_field_limit + 1, 'a'), "x")) ==
          "<closed>");
    CHECK(postern::test::replay(*mux(house), question("alice@example.com", "secret") + "x") == "<closed>");
}

TEST_CASE("a refusal waits for the failure delay, and a silent client is sent away") {
    House house;
    auto session = mux(house, 2s);
    CHECK(session->receive(question("alice@example.com", "wrong")).value().empty());
    CHECK(session->wakes_at()->point() == house.now + 2s);
    house.now += 2s;
    CHECK(session->wake().value() == counted("NO authentication failed"));
    CHECK(session->finished());
    auto silent = mux(house);
    CHECK(silent->receive("\0").value().empty());
    house.now += mux_patience;
    CHECK(silent->wake().value().empty());
    CHECK(silent->finished());
}

TEST_CASE("the helper's questions and answers come back as they were") {
    HelperQuestion const asked{HelperKind::shadow, "dovecot", "alice", "192.0.2.1",
                               Secret(std::string_view("p w"))};
    auto const read = decode_question(encode_question(asked));
    REQUIRE(read);
    CHECK(read->kind == HelperKind::shadow);
    CHECK(read->service == "dovecot");
    CHECK(read->user == "alice");
    CHECK(read->remote_ip == "192.0.2.1");
    CHECK(read->password.reveal() == "p w");
    for (auto const* bad : {"", "x", "pa", "qa\0b\0c\0d"}) CHECK_FALSE(decode_question(bad));
    auto const answer = decode_answer(encode_answer({HelperVerdict::no, "why"}));
    REQUIRE(answer);
    CHECK(answer->verdict == HelperVerdict::no);
    CHECK(answer->text == "why");
    CHECK(decode_answer("").error().kind == ErrorKind::temporary);
    CHECK(decode_answer("?").error().kind == ErrorKind::temporary);
}

TEST_CASE("a helper that was not started is a temporary failure") {
    Helper const helper;
    auto const answer = helper.ask({}, Deadline::after(1s));
    REQUIRE_FALSE(answer);
    CHECK(answer.error().kind == ErrorKind::temporary);
}

TEST_CASE("the helper process answers, and ends with its daemon") {
    Helper helper;
    REQUIRE(helper.start());
    HelperQuestion const question{HelperKind::shadow, "", "nobody-of-that-name", "",
                                  Secret(std::string_view("x"))};
    auto const answer = helper.ask(question, Deadline::after(20s));
    REQUIRE(answer);
    // Who may not read the shadow file cannot say that somebody is not in it.
    CHECK((answer->verdict == HelperVerdict::unknown_user || answer->verdict == HelperVerdict::temporary));
}

TEST_CASE("different wrong passwords for one user make saslauthd's next client for that user wait") {
    House house;
    auto const ask = [&](std::string const& user, std::string const& password) {
        auto session = mux(house);
        return session->receive(question(user, password)).value();
    };
    CHECK(ask("alice@example.com", "1") == counted("NO authentication failed"));
    CHECK(ask("ALICE@example.com", "1") == counted("NO authentication failed")); // the same guess again
    CHECK(ask("Alice@example.com", "2") == counted("NO authentication failed"));
    CHECK(ask("plain@example.com", "secret") == counted("OK"));
    auto session = mux(house);
    CHECK(session->receive(question("alice@example.com", "secret")).value().empty());
    REQUIRE(session->wakes_at());
    CHECK(session->wakes_at()->point() == house.now + 1s);
    house.now += 1s;
    CHECK(session->wake().value() == counted("OK"));
    CHECK(session->finished());
}
