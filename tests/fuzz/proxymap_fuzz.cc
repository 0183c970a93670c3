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

Result<Answer> lookup(std::string_view, std::string_view key) {
    if (key.size() % 3 == 0) return temporary("away");
    return key.size() % 3 == 1 ? Answer() : Answer(std::string(key));
}

// All replies, and "!" at the end when the session failed.
std::string replies(std::string_view input, std::size_t piece) {
    NullLog log;
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

// The same by somebody who does the lookups for the session.
std::string replies_of_taker(std::string_view input, std::size_t piece) {
    NullLog log;
    Metrics metrics;
    auto const stock = [](std::string const&, std::string_view) { return Answer(); };
    auto const maps = std::make_shared<Maps>(MapLimits(), stock, log, metrics);
    ProxymapSession session(lookup, std::make_unique<NoStock>(), false, log, maps);
    std::string out;
    while (!input.empty()) {
        auto const taken = session.take(input.substr(0, piece));
        if (!taken) return out + "!";
        auto const* const request = std::get_if<LookupRequest>(&*taken);
        out += request != nullptr ? ProxymapSession::lookup_reply(lookup(request->table, request->key))
                                  : std::get<std::string>(*taken);
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
    FUZZ_REQUIRE(replies_of_taker(input, size) == whole);
    if (list) FUZZ_REQUIRE(replies_of_taker(input, 1) == whole && replies_of_taker(input, 7) == whole);
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
