// libmilter behind our Session, driven over its wire protocol.
#include "tests/unit/milter/milter_process.h"
#include "tests/unit/support/catch.h"

#include <stdexcept>
#include <thread>

using namespace postern;
using namespace postern::test;
using milter::Verdict;

namespace {

// Tells in inserted headers what it was given, and does what the message's "Do" header says.
class EchoSession final : public milter::Session {
  public:
    explicit EchoSession(milter::Offered offered) : offered_(offered) {}

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
        if (do_ == "wait") std::this_thread::sleep_for(std::chrono::milliseconds(300));
        if (do_ == "hang") std::this_thread::sleep_for(std::chrono::seconds(30));
        if (do_ == "defer") return Verdict::tempfail("451", "4.7.5", "later");
        if (do_ == "drop") return Verdict::discard();
        editor.progress();
        auto text = seen_ + "|body " + std::to_string(body_size_) + "|i=" + macros.get("i").value_or("-");
        if (!editor.insert_header(0, "X-Seen", text)) return Verdict::tempfail();
        if (!editor.change_header("Subject", 1, "")) return Verdict::tempfail();
        return do_ == "accept" ? Verdict::accept() : Verdict::next();
    }

  private:
    milter::Offered offered_;
    std::string seen_;
    std::string do_;
    std::size_t body_size_ = 0;
};

milter::Negotiation echo_negotiation() {
    using namespace milter::bits;
    return {"echo",
            add_headers | change_headers | set_macro_list,
            no_unknown | no_data | skip | leading_space,
            {{macros_end_of_headers, "i j"}}};
}

MilterProcess::Make const make_echo = [](Log&) -> milter::Factory {
    return [](milter::Offered offered) { return std::make_unique<EchoSession>(offered); };
};

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
    MilterProcess process(echo_negotiation(), make_echo);
    auto client = process.client();
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
    CHECK(process.stop() == 0);
    CHECK(process.log().empty());
}

TEST_CASE("protocol 2 gets no leading spaces, no macro list and no skip") {
    MilterProcess process(echo_negotiation(), make_echo, {.inet = true});
    auto client = process.client();
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
    CHECK(process.stop() == 0);
}

TEST_CASE("skip ends the body at once where the MTA knows it, and inside the milter where not") {
    MilterProcess process(echo_negotiation(), make_echo);
    for (std::uint32_t const version : {6U, 2U}) {
        auto client = process.client();
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
    CHECK(process.stop() == 0);
}

TEST_CASE("a reply's percent signs are doubled and its line ends become blanks") {
    MilterProcess process(echo_negotiation(), make_echo);
    auto client = process.client();
    greet(client);
    CHECK(client.mail("<a@example.org>") == next);
    CHECK(client.recipient("<percent@example.org>") ==
          MilterReply{'y', std::string("550 5.7.1 50%% of   it") + '\0'});
    CHECK(client.recipient("<b@example.net>") == next);
    CHECK(process.stop() == 0);
}

TEST_CASE(
    "each verdict becomes its reply at the end of the message, and the connection serves the next one") {
    MilterProcess process(echo_negotiation(), make_echo);
    auto client = process.client();
    greet(client);
    CHECK(message(client, "defer") == std::vector<MilterReply>{{'y', std::string("451 4.7.5 later") + '\0'}});
    CHECK(message(client, "drop") == std::vector<MilterReply>{{'d', ""}});
    CHECK(message(client, "accept").back() == MilterReply{'a', ""});
    CHECK(message(client, "edit").back() == next);
    CHECK(process.stop() == 0);
}

TEST_CASE("an exception in a session is a temporary failure and one log line") {
    MilterProcess process(echo_negotiation(), make_echo);
    auto client = process.client();
    greet(client);
    CHECK(client.mail("<a@example.org>") == next);
    CHECK(client.recipient("<b@example.net>") == next);
    CHECK(client.header("Do", " throw") == next);
    CHECK(client.end_of_headers() == next);
    CHECK(client.body("x") == MilterReply{'t', ""});
    CHECK(message(client, "edit").back() == next);
    CHECK(process.stop() == 0);
    CHECK(process.log() == "error: body: internal error, the message is refused for now: no luck\n");
}

TEST_CASE("an MTA that does not allow a needed action is refused with a line that names it") {
    MilterProcess process(echo_negotiation(), make_echo);
    auto client = process.client();
    CHECK_FALSE(client.negotiate(6, 0x101));
    CHECK(process.stop() == 0);
    CHECK(process.log() == "error: the MTA does not allow the milter actions 0x10; connection refused\n");
}

TEST_CASE("a session that fails to come up makes every stage a temporary failure") {
    MilterProcess process(echo_negotiation(), [](Log&) -> milter::Factory {
        return [](milter::Offered) -> std::unique_ptr<milter::Session> { throw std::runtime_error("full"); };
    });
    auto client = process.client();
    REQUIRE(client.negotiate());
    CHECK(client.connect("client.example", "192.0.2.7") == MilterReply{'t', ""});
    CHECK(process.stop() == 0);
    CHECK(process.log() == "error: negotiation: internal error: full\n");
}

TEST_CASE("garbage, a vanished client and a packet that is too long do not touch the next client") {
    MilterProcess process(echo_negotiation(), make_echo);
    for (auto const& octets :
         {std::string("GET / HTTP/1.0\r\n\r\n"), milter_packet('O', "short"),
          milter_number(0xffffffff) + std::string("O"), milter_number(0), milter_packet('Z', "?")}) {
        auto client = process.client();
        client.send_octets(octets);
    }
    auto const transcript =
        milter_packet('O', milter_number(6) + milter_number(0x1ff) + milter_number(0x1fffff)) +
        milter_packet('C', milter_connect_data("h", "192.0.2.1")) +
        milter_packet('M', std::string("<a@example.org>") + '\0') +
        milter_packet('L', std::string("Do\0 edit\0", 9)) + milter_packet('N', "");
    for (std::size_t size = 0; size <= transcript.size(); size += 7)
        process.client().send_octets(std::string_view(transcript).substr(0, size));
    auto client = process.client();
    greet(client);
    CHECK(message(client, "edit").back() == next);
    CHECK(process.stop() == 0);
}

TEST_CASE("stopping answers the message in hand, defers the others and ends at once") {
    for (bool const replaced : {false, true}) {
        INFO("socket replaced: " << replaced);
        MilterProcess process(echo_negotiation(), make_echo, {.replace_socket = replaced});
        auto waiting = process.client();
        greet(waiting);
        auto idle = process.client();
        greet(idle);
        auto half = process.client();
        greet(half);
        CHECK(half.mail("<a@example.org>") == next);
        begin_message(waiting, "wait");
        std::vector<MilterReply> answer;
        std::thread eom([&] { answer = waiting.end_of_message(); });
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        std::optional<MilterReply> deferred;
        std::thread late([&] {
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
            deferred = half.recipient("<b@example.net>");
        });
        CHECK(process.stop() == 0);
        eom.join();
        late.join();
        REQUIRE(answer.size() == 3);
        CHECK(answer.back() == next);
        CHECK(deferred == MilterReply{'t', ""});
        // libmilter alone needs five seconds: its listener sleeps in poll(2).
        CHECK(process.stop_time() < std::chrono::milliseconds(3000));
        CHECK(process.log().empty());
    }
}

TEST_CASE("a callback that does not end in time is left behind, and the caller is told") {
    MilterProcess process(echo_negotiation(), make_echo, {.grace = std::chrono::milliseconds(200)});
    auto client = process.client();
    greet(client);
    begin_message(client, "hang");
    std::thread eom([&] { client.end_of_message(); });
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    CHECK(process.stop() == 3);
    eom.join();
}

TEST_CASE("a Unix and an inet listener both work when libmilter's own socket has to be replaced") {
    for (bool const inet : {false, true}) {
        MilterProcess process(echo_negotiation(), make_echo, {.inet = inet, .replace_socket = true});
        for (int round = 0; round < 3; ++round) {
            auto client = process.client();
            greet(client);
            CHECK(message(client, "edit").back() == next);
        }
        CHECK(process.stop() == 0);
    }
}
