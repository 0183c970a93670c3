// The proxymap protocol: whole equals split, encoding what was decoded gives the same octets, replies are
// lists.
#include "sql-maps/session.h"

#include "tests/fuzz/fuzz.h"

#include <string>

using namespace postern;
using namespace postern::sql_maps;

namespace {

struct NoStock final : Stock {
    Result<Attributes> ask(Attributes const&) override { return permanent("none"); }
};

// All replies, and "!" at the end when the session failed.
std::string replies(std::string_view input, std::size_t piece) {
    NullLog log;
    auto const lookup = [](std::string_view, std::string_view key) -> Result<Answer> {
        if (key.size() % 3 == 0) return temporary("away");
        return key.size() % 3 == 1 ? Answer() : Answer(std::string(key));
    };
    ProxymapSession session(lookup, std::make_unique<NoStock>(), false, log);
    std::string out;
    while (!input.empty()) {
        auto const answer = session.receive(input.substr(0, piece));
        if (!answer) return out + "!";
        out += *answer;
        input.remove_prefix(std::min(piece, input.size()));
    }
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const input = as_text(data, size);
    AttributeDecoder decoder;
    decoder.feed(input);
    std::string again;
    auto list = decoder.next();
    for (; list && *list; list = decoder.next()) again += encode(**list);
    FUZZ_REQUIRE(input.starts_with(again));
    auto const whole = replies(input, size);
    if (list) FUZZ_REQUIRE(replies(input, 1) == whole && replies(input, 5) == whole);
    AttributeDecoder answers;
    answers.feed(whole);
    auto reply = answers.next();
    for (; reply && *reply; reply = answers.next()) {
        FUZZ_REQUIRE((*reply)->front().first == "status");
        FUZZ_REQUIRE((*reply)->front().second.size() == 1);
    }
    FUZZ_REQUIRE(reply);
    return 0;
}
