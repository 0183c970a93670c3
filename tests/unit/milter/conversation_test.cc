// The order of commands, the replies to each, and what a filter's changes look like on the wire.
#include "common/milter/conversation.h"

#include "common/milter/edits.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/milter_client.h"
#include "tests/unit/support/test_log.h"

#include <map>

using namespace postern;
using namespace postern::milter;
using postern::test::milter_connect_data;
using postern::test::milter_number;
using postern::test::milter_packet;
using namespace std::string_literals;

namespace {

// Writes down its calls; each stage gives the verdict that the test wants there.
struct Script {
    std::string calls;
    std::map<std::string, Verdict, std::less<>> verdicts;
    bool edits = true;
};

class Scripted final : public Session {
  public:
    explicit Scripted(Script& script) : script_(script) {}
    ~Scripted() override { script_.calls += "end;"; }
    Verdict connect(Client const& client, Macros const&) override {
        return say("connect", client.host + " " + client.address);
    }
    Verdict helo(std::string_view name, Macros const&) override { return say("helo", name); }
    Verdict mail_from(std::string_view path, std::vector<std::string> const& arguments,
                      Macros const& macros) override {
        std::string told(path);
        for (auto const& each : arguments) told += " " + each;
        return say("mail", told + " i=" + macros.get("i").value_or("-"));
    }
    Verdict recipient(std::string_view path, Macros const&) override { return say("rcpt", path); }
    Verdict header(std::string_view name, std::string_view value, Macros const&) override {
        return say("header", std::string(name) + "=" + std::string(value));
    }
    Verdict end_of_headers(Macros const&) override { return say("eoh", ""); }
    Verdict body(std::string_view chunk) override { return say("body", chunk); }
    Verdict end_of_message(Editor& editor, Macros const&) override {
        if (script_.edits && !editor.insert_header(1, "X", "y")) return Verdict::tempfail();
        return say("eom", "");
    }
    void abort() override { script_.calls += "abort;"; }

  private:
    Verdict say(std::string_view stage, std::string_view what) {
        script_.calls += std::string(stage) + " " + std::string(what) + ";";
        auto const found = script_.verdicts.find(stage);
        return found == script_.verdicts.end() ? Verdict::next() : found->second;
    }
    Script& script_;
};

struct Talk {
    Script script;
    test::TestLog log;
    std::atomic<bool> stopping{false};
    Factory factory = [this](Offered) { return std::make_unique<Scripted>(script); };
    Negotiation negotiation{bits::add_headers, bits::no_header_reply | bits::skip, {}, 0};
    std::optional<Conversation> conversation;

    void begin() { conversation.emplace(Terms{negotiation, factory, log, stopping}); }
    // The letters of the replies; "!" and the text for an error.
    std::string letters(std::string_view octets) {
        if (!conversation) begin();
        auto const got = conversation->receive(octets);
        return got ? letters_of(*got) : letters_of(conversation->unsent()) + "!" + got.error().text;
    }
    static std::string letters_of(std::string_view octets) {
        Decoder decoder;
        decoder.feed(octets);
        std::string out;
        for (auto packet = decoder.next(); packet && *packet; packet = decoder.next())
            out += (*packet)->letter;
        return out;
    }
};

std::string negotiation(std::uint32_t version = 6, std::uint32_t actions = 0x1ff,
                        std::uint32_t steps = 0x1fffff) {
    return milter_packet('O', milter_number(version) + milter_number(actions) + milter_number(steps));
}
std::string strings(char letter, std::vector<std::string> const& texts) {
    std::string data;
    for (auto const& each : texts) data += each + '\0';
    return milter_packet(letter, data);
}
std::string begun() {
    return negotiation() + milter_packet('C', milter_connect_data("h", "192.0.2.1")) +
           strings('H', {"helo"}) + strings('D', {"Mi", "4X"}) + strings('M', {"<a@example.org>", "SIZE=1"}) +
           strings('R', {"<b>"});
}
std::string whole_message() {
    return begun() + strings('D', {"T"}) + milter_packet('T', "") + strings('L', {"From", "a"}) +
           milter_packet('N', "") + milter_packet('B', "one") + milter_packet('E', "");
}

} // namespace

TEST_CASE("a message is the same to the session whole and octet by octet") {
    auto const octets = whole_message();
    constexpr auto calls =
        "connect h 192.0.2.1;helo helo;mail <a@example.org> SIZE=1 i=4X;rcpt <b>;header From=a;"
        "eoh ;body one;eom ;";
    for (std::size_t const piece : {octets.size(), std::size_t{1}}) {
        Talk talk;
        std::string replies;
        for (std::size_t at = 0; at < octets.size(); at += piece)
            replies += talk.letters(octets.substr(at, piece));
        CHECK(replies == "Occccccc"
                         "ic");
        CHECK(talk.script.calls == calls);
        CHECK_FALSE(talk.conversation->in_message());
    }
}

TEST_CASE("a command outside of its place ends the connection, and says which") {
    for (auto const letter : "RLNBET"s) {
        Talk talk;
        CHECK(talk.letters(negotiation() + strings(letter, {"x", "y"})) ==
              "O!a milter command outside of a message: "s + letter);
    }
    CHECK(Talk().letters(strings('M', {"<a>"})) == "!a milter command before the negotiation");
    CHECK(Talk().letters(negotiation() + negotiation()) == "O!a milter negotiation out of place");
    CHECK(Talk().letters(negotiation() + milter_packet('z', "")) == "O!an unknown milter command: z");
    CHECK(Talk().letters(negotiation(1)) == "!the MTA speaks version 1 of the milter protocol");
}

TEST_CASE("data that are cut short are malformed, each with its name") {
    auto const after = [](std::string const& octets) { return Talk().letters(begun() + octets); };
    CHECK(after(milter_packet('M', "<a>")) == "Occcc!a milter string without its end");
    CHECK(after(milter_packet('M', "")) == "Occcc!mail without its text");
    CHECK(after(milter_packet('R', "")) == "Occcc!rcpt without its text");
    CHECK(after(strings('L', {"From"})) == "Occcc!header without its text");
    CHECK(after(milter_packet('D', "")) == "Occcc!milter macros without a command");
    CHECK(after(milter_packet('D', "Mi")) == "Occcc!a milter string without its end");
    CHECK(after(milter_packet('C', "host")) == "Occcc!a client without its family");
    CHECK(after(milter_packet('C', "host\0"s)) == "Occcc!a client without its family");
    CHECK(after(milter_packet('C', "host\0"s + "4\0\x19"s)) == "Occcc!a client without its address");
    CHECK(after(milter_packet('C', "host\0"s + "4\0\x19"s + "1.2.3\0"s)) ==
          "Occcc!a client with a malformed address: 1.2.3\\x00");
    CHECK(after(milter_packet('C', "host\0"s + "9\0\x19"s + "192.0.2.1\0"s)).contains("malformed address"));
}

TEST_CASE("a client's address is written in one form, and a local or unknown one has none") {
    auto const client = [](std::string const& rest) {
        Talk talk;
        CHECK(talk.letters(negotiation() + milter_packet('C', "h\0"s + rest)) == "Oc");
        return talk.script.calls;
    };
    CHECK(client("6\0\x19"s + "2001:DB8:0::1\0"s) == "connect h 2001:db8::1;");
    CHECK(client("6\0\x19"s + "IPv6:2001:db8::1\0"s) == "connect h 2001:db8::1;");
    CHECK(client("4\0\x19"s + "192.0.2.7\0"s) == "connect h 192.0.2.7;");
    CHECK(client("U") == "connect h ;");
    CHECK(client("L\0\0/run/x\0"s) == "connect h ;");
}

TEST_CASE("a message that another one or the end of the connection cuts off is aborted") {
    Talk talk;
    CHECK(talk.letters(begun() + strings('M', {"<second@example.org>"})) == "Occccc");
    CHECK(talk.script.calls.ends_with("rcpt <b>;abort;mail <second@example.org> i=-;"));
    CHECK(talk.letters(milter_packet('A', "") + milter_packet('A', "")).empty());
    CHECK(talk.script.calls.ends_with("i=-;abort;"));
    CHECK(talk.letters(strings('M', {"<third@example.org>"})) == "c");
    talk.conversation.reset();
    CHECK(talk.script.calls.ends_with("mail <third@example.org> i=-;abort;end;"));
}

TEST_CASE("QUIT ends a connection without a reply and QUIT_NC begins another client's") {
    Talk talk;
    CHECK(talk.letters(begun() + milter_packet('K', "") +
                       milter_packet('C', milter_connect_data("two", "192.0.2.2"))) == "Occccc");
    CHECK(talk.script.calls.ends_with("rcpt <b>;abort;end;connect two 192.0.2.2;"));
    CHECK(talk.letters(milter_packet('Q', "") + strings('H', {"late"})).empty());
    CHECK(talk.conversation->finished());
    CHECK_FALSE(talk.script.calls.contains("late"));
}

TEST_CASE("a verdict ends the message, but for a refused recipient") {
    for (auto const& [verdict, letter] : {std::pair{Verdict::accept(), 'a'},
                                          {Verdict::discard(), 'd'},
                                          {Verdict::tempfail(), 't'},
                                          {Verdict::reject("550", "5.7.1", "no"), 'y'}}) {
        for (auto const* stage : {"mail", "rcpt", "eoh", "body", "eom"}) {
            INFO(stage << " " << letter);
            Talk talk;
            talk.script.verdicts[stage] = verdict;
            auto const replies = talk.letters(whole_message());
            auto const end = replies.find(letter);
            REQUIRE(end != std::string::npos);
            bool const one_recipient = stage == "rcpt"s && (letter == 't' || letter == 'y');
            bool const last = stage == "eom"s;
            if (one_recipient || last)
                CHECK_FALSE(replies.contains('!'));
            else
                CHECK(replies.substr(end + 1).starts_with("!a milter command outside of a message"));
            CHECK_FALSE(talk.conversation->in_message());
        }
    }
}

TEST_CASE("a verdict on a header field is told at the end of the header where fields are not answered") {
    Talk talk;
    talk.script.verdicts["header"] = Verdict::reject("550", "5.7.1", "no");
    CHECK(talk.letters(begun() + strings('L', {"A", "1"}) + strings('L', {"B", "2"})) == "Occcc");
    CHECK(talk.script.calls.ends_with("header A=1;"));
    CHECK(talk.letters(milter_packet('N', "")) == "y");
    CHECK_FALSE(talk.script.calls.contains("eoh"));

    Talk answered;
    answered.negotiation.wanted_steps = 0;
    answered.script.verdicts["header"] = Verdict::tempfail();
    CHECK(answered.letters(begun() + strings('L', {"A", "1"})) == "Occcct");
}

TEST_CASE("the last chunk may come with the end of the message, and its verdict counts") {
    Talk talk;
    CHECK(talk.letters(begun() + milter_packet('N', "") + milter_packet('E', "last")) == "Occccc"
                                                                                         "ic");
    CHECK(talk.script.calls.ends_with("eoh ;body last;eom ;"));
    Talk refused;
    refused.script.verdicts["body"] = Verdict::tempfail();
    CHECK(refused.letters(begun() + milter_packet('N', "") + milter_packet('E', "last")) == "Occccct");
}

TEST_CASE("once it stops, every stage is a temporary failure and the session is left alone") {
    Talk talk;
    CHECK(talk.letters(begun()) == "Occcc");
    talk.stopping = true;
    auto const calls = talk.script.calls;
    CHECK(talk.letters(strings('L', {"A", "1"}) + milter_packet('N', "")) == "t");
    CHECK(talk.letters(strings('M', {"<a>"})) == "t");
    CHECK(talk.script.calls == calls);
    Talk recipient;
    CHECK(recipient.letters(begun()) == "Occcc");
    recipient.stopping = true;
    CHECK(recipient.letters(strings('R', {"<c>"})) == "t");
    CHECK_FALSE(recipient.conversation->in_message());
    Talk late;
    late.stopping = true;
    CHECK(late.letters(negotiation() + strings('H', {"x"})) == "Ot");
}

TEST_CASE("an MTA that offers nothing means what version 1 had, and versions are cut to ours") {
    Talk talk;
    talk.negotiation.actions = 0;
    talk.begin();
    CHECK(*talk.conversation->receive(negotiation(2, 0, 0)) ==
          milter_packet('O', milter_number(2) + milter_number(0) + milter_number(0)));
    Talk newer;
    newer.begin();
    CHECK(*newer.conversation->receive(negotiation(9)) ==
          milter_packet('O', milter_number(6) + milter_number(1) + milter_number(0x480)));
}

TEST_CASE("a change that was not granted is refused, and one that was is cut at a NUL") {
    std::string out;
    Edits none(out, 0, true);
    auto const refused = none.insert_header(0, "X-A\n", "v");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().text == "the MTA does not take: insert header X-A\\x0a");
    CHECK(refused.error().kind == ErrorKind::temporary);
    CHECK_FALSE(none.add_header("X", "v"));
    CHECK_FALSE(none.change_header("X", 1, ""));
    CHECK_FALSE(none.quarantine("x"));
    CHECK_FALSE(none.add_recipient("<a>"));
    CHECK_FALSE(none.delete_recipient("<a>"));
    CHECK(out.empty());

    Edits all(out, 0x1ff, true);
    CHECK(all.insert_header(0, "X-A", "v\0X-B"s));
    CHECK(all.add_header("X-C", "v"));
    CHECK(all.change_header("X-D", 2, "v"));
    CHECK(all.change_header("X-E", 1, ""));
    CHECK(all.quarantine("why"));
    CHECK(all.add_recipient("<a>"));
    CHECK(all.delete_recipient("<b>"));
    CHECK(out == milter_packet('i', milter_number(0) + "X-A\0 v\0"s) + milter_packet('h', "X-C\0 v\0"s) +
                     milter_packet('m', milter_number(2) + "X-D\0 v\0"s) +
                     milter_packet('m', milter_number(1) + "X-E\0\0"s) + milter_packet('q', "why\0"s) +
                     milter_packet('+', "<a>\0"s) + milter_packet('-', "<b>\0"s));
    std::string plain;
    CHECK(Edits(plain, 0x1ff, false).add_header("X-C", "v"));
    CHECK(plain == milter_packet('h', "X-C\0v\0"s));
}

TEST_CASE("a reply that is none is left to the MTA's own words") {
    auto const told = [](Verdict const& verdict) {
        std::string out;
        append_verdict(out, verdict);
        return out.substr(4);
    };
    CHECK(told(Verdict::reject("550", "5.7.1", "50% off\r\n")) == "y550 5.7.1 50%% off  \0"s);
    CHECK(told(Verdict::tempfail("451", "", "")) == "y451\0"s);
    CHECK(told(Verdict::reject("451", "4.7.1", "x")) == "r");
    CHECK(told(Verdict::tempfail("550", "5.7.1", "x")) == "t");
    CHECK(told(Verdict::reject("5x0", "", "x")) == "r");
    CHECK(told(Verdict::reject("550", "4.7.1", "x")) == "r");
    CHECK(told(Verdict::reject("550", "5.7", "x")) == "r");
    CHECK(told(Verdict::reject("550", "5.7.1", std::string(2000, 'x'))).size() == 1 + 10 + 900 + 1);
}

TEST_CASE("MilterDebug writes down each command and reply, and of a body its size") {
    Talk talk;
    talk.negotiation.debug_level = 1;
    CHECK(talk.letters(whole_message()) == "Occccccc"
                                           "ic");
    CHECK(talk.log.contains("milter < M <a@example.org>\\x00SIZE=1\\x00"));
    CHECK(talk.log.contains("milter < B 3 octets"));
    CHECK(talk.log.contains("milter > c"));
    CHECK_FALSE(talk.log.contains("one"));
    Talk quiet;
    CHECK(quiet.letters(whole_message()) == "Occccccc"
                                            "ic");
    CHECK(quiet.log.lines().empty());
}
