// A milter's sessions, driven by an MTA over a socket.
#include "tests/unit/milter/running_milter.h"
#include "tests/unit/support/catch.h"

#include <semaphore>
#include <stdexcept>
#include <thread>

using namespace postern;
using namespace postern::test;
using milter::Verdict;

namespace {

// Where a session waits for its test.
struct Gate {
    std::binary_semaphore entered{0};
    std::binary_semaphore open{0};
};

// Tells in inserted headers what it was given, and does what the message's "Do" header says.
class EchoSession final : public milter::Session {
  public:
    explicit EchoSession(Gate* gate) : gate_(gate) {}

    Verdict connect(milter::Client const& client, milter::Macros const& macros) override {
        seen_ = "connect " + client.host + " " + client.address + " j=" + macros.get("j").value_or("-");
        return Verdict::next();
    }
    Verdict helo(std::string_view name, milter::Macros const&) override {
        seen_ += "|helo " + std::string(name);
        return Verdict::next();
    }
    Verdict mail_from(std::string_view path, std::vector<std::string> const& arguments,
                      milter::Macros const& macros) override {
        body_size_ = 0;
        do_.clear();
        seen_ += "|mail " + std::string(path);
        for (auto const& each : arguments) seen_ += " " + each;
        seen_ += " auth=" + macros.get("{auth_type}").value_or("-");
        return Verdict::next();
    }
    Verdict recipient(std::string_view path, milter::Macros const&) override {
        seen_ += "|rcpt " + std::string(path);
        if (path == "<percent@example.org>") return Verdict::reject("550", "5.7.1", "50% of\r\n it");
        return Verdict::next();
    }
    Verdict header(std::string_view name, std::string_view value, milter::Macros const&) override {
        seen_ += "|" + std::string(name) + "=" + std::string(value);
        if (name == "Do") do_ = value.substr(value.find_first_not_of(' '));
        return Verdict::next();
    }
    Verdict body(std::string_view chunk) override {
        if (do_ == "throw") throw std::runtime_error("no luck");
        body_size_ += chunk.size();
        return do_ == "skip" ? Verdict::skip() : Verdict::next();
    }
    Verdict end_of_message(milter::Editor& editor, milter::Macros const& macros) override {
        if (do_ == "wait") {
            gate_->entered.release();
            gate_->open.acquire();
        }
        if (do_ == "defer") return Verdict::tempfail("451", "4.7.5", "later");
        if (do_ == "drop") return Verdict::discard();
        auto text = seen_ + "|body " + std::to_string(body_size_) + "|i=" + macros.get("i").value_or("-");
        if (!editor.insert_header(0, "X-Seen", text)) return Verdict::tempfail();
        if (!editor.change_header("Subject", 1, "")) return Verdict::tempfail();
        return do_ == "accept" ? Verdict::accept() : Verdict::next();
    }

  private:
    Gate* gate_;
    std::string seen_;
    std::string do_;
    std::size_t body_size_ = 0;
};

milter::Negotiation echo_negotiation() {
    using namespace milter::bits;
    return {add_headers | change_headers | set_macro_list,
            no_unknown | no_data | skip | leading_space,
            {{macros_end_of_headers, "i j"}}};
}

milter::Factory make_echo(Gate* gate = nullptr) {
    return [gate](milter::Offered) { return std::make_unique<EchoSession>(gate); };
}

MilterReply const next{'c', ""};

// Up to its end, for which a test may wait in a thread of its own; the CHECKs are for one thread at a time.
void begin_message(MilterClient& client, std::string_view what, std::string_view space = " ") {
    client.macros('M', {{"i", "4XYZ"}, {"{auth_type}", "PLAIN"}});
    CHECK(client.mail("<a@example.org>", {"SIZE=9"}) == next);
    CHECK(client.recipient("<b@example.net>") == next);
    CHECK(client.header("Do", std::string(space) + std::string(what)) == next);
    CHECK(client.end_of_headers() == next);
    CHECK(client.body("one\r\n") == next);
}

std::vector<MilterReply> message(MilterClient& client, std::string_view what, std::string_view space = " ") {
    begin_message(client, what, space);
    return client.end_of_message();
}

void greet(MilterClient& client, std::uint32_t version = 6, std::uint32_t actions = MilterClient::all_actions,
           std::uint32_t steps = MilterClient::all_steps) {
    REQUIRE(client.negotiate(version, actions, steps));
    client.macros('C', {{"j", "mx.example"}});
    CHECK(client.connect("client.example", "192.0.2.7") == next);
    CHECK(client.helo("client.example") == next);
}

std::string insert_of(std::string_view text) {
    return milter_number(0) + "X-Seen" + '\0' + std::string(text) + '\0';
}
std::string delete_subject() { return milter_number(1) + "Subject" + '\0' + '\0'; }

} // namespace

TEST_CASE("a whole message reaches the session and its edits reach the MTA in protocol 6") {
    RunningMilter filter(echo_negotiation(), make_echo());
    auto client = filter.client();
    auto const negotiated = client.negotiate();
    REQUIRE(negotiated);
    CHECK(negotiated->version == 6);
    CHECK(negotiated->actions == 0x111);
    CHECK(negotiated->steps == 0x100700);
    CHECK(negotiated->macro_lists == milter_number(6) + "i j" + '\0');
    client.macros('C', {{"j", "mx.example"}});
    CHECK(client.connect("client.example", "192.0.2.7") == next);
    CHECK(client.helo("client.example") == next);
    CHECK(message(client, "edit") ==
          std::vector<MilterReply>{
              {'i', insert_of(" connect client.example 192.0.2.7 j=mx.example|helo client.example|"
                              "mail <a@example.org> SIZE=9 auth=PLAIN|rcpt <b@example.net>|Do= edit|"
                              "body 5|i=4XYZ")},
              {'m', delete_subject()},
              next});
}

TEST_CASE("protocol 2 gets no leading spaces, no macro list and no skip") {
    RunningMilter filter(echo_negotiation(), make_echo(), "inet:0@127.0.0.1");
    auto client = filter.client();
    auto const negotiated = client.negotiate(2, 0x3f, 0x7f);
    REQUIRE(negotiated);
    CHECK(negotiated->version == 2);
    CHECK(negotiated->actions == 0x11);
    CHECK(negotiated->steps == 0);
    CHECK(negotiated->macro_lists.empty());
    CHECK(client.connect("local", "") == next);
    CHECK(client.helo("h") == next);
    auto const replies = message(client, "skip", "");
    CHECK(replies[0].data == insert_of("connect local  j=-|helo h|mail <a@example.org> SIZE=9 auth=PLAIN|"
                                       "rcpt <b@example.net>|Do=skip|body 5|i=4XYZ"));
}

TEST_CASE("skip ends the body at once where the MTA knows it, and inside the milter where not") {
    RunningMilter filter(echo_negotiation(), make_echo());
    for (std::uint32_t const version : {6U, 2U}) {
        auto client = filter.client();
        version == 6 ? greet(client) : greet(client, 2, 0x3f, 0x7f);
        client.macros('M', {{"i", "Q"}});
        CHECK(client.mail("<>") == next);
        CHECK(client.recipient("<b@example.net>") == next);
        CHECK(client.header("Do", version == 6 ? " skip" : "skip") == next);
        CHECK(client.end_of_headers() == next);
        CHECK(client.body("12345") == MilterReply{version == 6 ? 's' : 'c', ""});
        if (version == 2) CHECK(client.body("6789") == next);
        CHECK(client.end_of_message()[0].data.contains("body 5|"));
    }
}

TEST_CASE("a reply's percent signs are doubled and its line ends become blanks") {
    RunningMilter filter(echo_negotiation(), make_echo());
    auto client = filter.client();
    greet(client);
    CHECK(client.mail("<a@example.org>") == next);
    CHECK(client.recipient("<percent@example.org>") ==
          MilterReply{'y', std::string("550 5.7.1 50%% of   it") + '\0'});
    CHECK(client.recipient("<b@example.net>") == next);
}

TEST_CASE(
    "each verdict becomes its reply at the end of the message, and the connection serves the next one") {
    RunningMilter filter(echo_negotiation(), make_echo());
    auto client = filter.client();
    greet(client);
    CHECK(message(client, "defer") == std::vector<MilterReply>{{'y', std::string("451 4.7.5 later") + '\0'}});
    CHECK(message(client, "drop") == std::vector<MilterReply>{{'d', ""}});
    CHECK(message(client, "accept").back() == MilterReply{'a', ""});
    CHECK(message(client, "edit").back() == next);
}

TEST_CASE("an exception in a session is a temporary failure and one log line") {
    RunningMilter filter(echo_negotiation(), make_echo());
    auto client = filter.client();
    greet(client);
    CHECK(client.mail("<a@example.org>") == next);
    CHECK(client.recipient("<b@example.net>") == next);
    CHECK(client.header("Do", " throw") == next);
    CHECK(client.end_of_headers() == next);
    CHECK(client.body("x") == MilterReply{'t', ""});
    CHECK(message(client, "edit").back() == next);
    CHECK(filter.log.expect("body: internal error, the message is refused for now: no luck"));
}

TEST_CASE("an MTA that does not allow a needed action is refused with a line that names it") {
    RunningMilter filter(echo_negotiation(), make_echo());
    auto client = filter.client();
    CHECK_FALSE(client.negotiate(6, 0x101));
    CHECK(filter.log.expect("the MTA does not allow the milter actions 0x10; connection refused"));
}

TEST_CASE("a session that fails to come up makes every stage a temporary failure") {
    RunningMilter filter(echo_negotiation(), [](milter::Offered) -> std::unique_ptr<milter::Session> {
        throw std::runtime_error("full");
    });
    auto client = filter.client();
    REQUIRE(client.negotiate());
    CHECK(client.connect("client.example", "192.0.2.7") == MilterReply{'t', ""});
    CHECK(filter.log.expect("negotiation: internal error: full"));
}

TEST_CASE("garbage, a vanished client and a packet that is too long do not touch the next client") {
    RunningMilter filter(echo_negotiation(), make_echo());
    std::pair<std::string, std::string> const garbage[] = {
        {"GET / HTTP/1.0\r\n\r\n", "a milter packet of 1195725856 octets"},
        {milter_packet('O', "short"), "a milter negotiation out of place"},
        {milter_number(0xffffffff) + "O", "a milter packet of 4294967295 octets"},
        {milter_number(0), "a milter packet of 0 octets"},
        {milter_packet('Z', "?"), "a milter command before the negotiation"}};
    for (auto const& [octets, complaint] : garbage) {
        auto client = filter.client();
        client.send_octets(octets);
        CHECK_FALSE(client.receive());
        CHECK(filter.log.expect("closed: " + complaint));
    }
    auto const transcript =
        milter_packet('O', milter_number(6) + milter_number(0x1ff) + milter_number(0x1fffff)) +
        milter_packet('C', milter_connect_data("h", "192.0.2.1")) +
        milter_packet('M', std::string("<a@example.org>") + '\0') +
        milter_packet('L', std::string("Do\0 edit\0", 9)) + milter_packet('N', "");
    for (std::size_t size = 0; size <= transcript.size(); size += 7)
        filter.client().send_octets(std::string_view(transcript).substr(0, size));
    auto client = filter.client();
    greet(client);
    CHECK(message(client, "edit").back() == next);
}

TEST_CASE("stopping answers the message in hand, defers one on its way and closes what is idle") {
    Gate gate;
    RunningMilter filter(echo_negotiation(), make_echo(&gate));
    auto waiting = filter.client();
    greet(waiting);
    auto idle = filter.client();
    greet(idle);
    auto half = filter.client();
    greet(half);
    CHECK(half.mail("<a@example.org>") == next);
    begin_message(waiting, "wait");
    std::vector<MilterReply> answer;
    std::thread eom([&] { answer = waiting.end_of_message(); });
    gate.entered.acquire();
    bool drained = false;
    std::thread stop([&] { drained = filter.server.stop(std::chrono::seconds(30)); });
    CHECK_FALSE(idle.receive()); // closed: it stops
    CHECK(half.recipient("<b@example.net>") == MilterReply{'t', ""});
    CHECK_FALSE(half.receive());
    gate.open.release();
    eom.join();
    stop.join();
    CHECK(drained);
    REQUIRE(answer.size() == 3);
    CHECK(answer.back() == next);
}

TEST_CASE("a session that does not end in time is left behind, and the caller is told") {
    Gate gate;
    RunningMilter filter(echo_negotiation(), make_echo(&gate));
    auto client = filter.client();
    greet(client);
    begin_message(client, "wait");
    client.send('E', {});
    gate.entered.acquire();
    CHECK_FALSE(filter.server.stop(std::chrono::milliseconds(10)));
    gate.open.release(); // what a daemon would leave with _exit()
}

TEST_CASE("a reload changes what is asked on connections that come later") {
    RunningMilter filter(echo_negotiation(), make_echo());
    auto before = filter.client();
    greet(before);
    auto other = echo_negotiation();
    other.actions = milter::bits::add_headers;
    filter.server.renegotiate(other);
    auto const negotiated = filter.client().negotiate();
    REQUIRE(negotiated);
    CHECK(negotiated->actions == milter::bits::add_headers);
    CHECK(message(before, "edit").back() == next);
}
