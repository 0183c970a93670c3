// The milter protocol from the MTA's side: whole equals split, and every reply is a packet of the protocol.
#include "common/milter/conversation.h"

#include "tests/fuzz/fuzz.h"

#include <algorithm>
#include <string>

using namespace postern;
using namespace postern::milter;

namespace {

// Does each thing that a filter can do, as the message's octets choose.
class Chooser final : public Session {
  public:
    Verdict mail_from(std::string_view path, std::vector<std::string> const&, Macros const& macros) override {
        return choose(path, macros.get("i").value_or(""));
    }
    Verdict recipient(std::string_view path, Macros const&) override { return choose(path, path); }
    Verdict header(std::string_view name, std::string_view value, Macros const&) override {
        return choose(name, value);
    }
    Verdict body(std::string_view chunk) override { return choose(chunk, "text"); }
    Verdict end_of_message(Editor& editor, Macros const&) override {
        FUZZ_REQUIRE(editor.insert_header(0, seen_, seen_));
        FUZZ_REQUIRE(editor.quarantine(seen_).has_value() == false);
        return choose(seen_, seen_);
    }

  private:
    Verdict choose(std::string_view by, std::string_view text) {
        seen_ = std::string(by);
        switch (by.size() % 8) {
        case 1: return Verdict::accept();
        case 2: return Verdict::discard();
        case 3: return Verdict::tempfail("451", "4.7.1", std::string(text));
        case 4: return Verdict::reject(std::string(by), "5.7.1", std::string(text));
        case 5: return Verdict::skip();
        case 6: throw std::runtime_error("chosen");
        default: return Verdict::next();
        }
    }
    std::string seen_;
};

std::string replies(std::string_view input, std::size_t piece) {
    NullLog log;
    std::atomic<bool> const stopping{false};
    Factory const factory = [](Offered) { return std::make_unique<Chooser>(); };
    Conversation conversation(
        {{bits::add_headers, bits::no_header_reply | bits::leading_space, {}, 1}, factory, log, stopping});
    std::string out;
    while (!input.empty() && !conversation.finished()) {
        auto const answer = conversation.receive(input.substr(0, piece));
        if (!answer) return out + conversation.unsent();
        out += *answer;
        input.remove_prefix(std::min(piece, input.size()));
    }
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const input = as_text(data, size);
    auto const whole = replies(input, size);
    FUZZ_REQUIRE(whole == replies(input, 1));
    Decoder decoder;
    decoder.feed(whole);
    auto reply = decoder.next();
    for (; reply && *reply; reply = decoder.next())
        FUZZ_REQUIRE(std::string_view("OcadsrtyiE").contains((*reply)->letter));
    FUZZ_REQUIRE(reply);
    return 0;
}
