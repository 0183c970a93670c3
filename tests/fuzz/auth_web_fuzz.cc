// Answers of token endpoints, policy servers and Redis: a server's nonsense lets nobody in and refuses
// nobody.
#include "auth-socket/oauth2/endpoint.h"
#include "auth-socket/policy/question.h"
#include "auth-socket/shared_penalties.h"
#include "tests/fuzz/fuzz.h"

#include "common/base/text.h"

using namespace postern;
using namespace postern::auth_socket;

namespace {

// Lines become the elements of nested arrays.
redis::Reply reply_of(std::string_view text, char const* separators) {
    redis::Reply reply;
    if (*separators == '\0') {
        reply.kind = redis::Reply::Kind::text;
        reply.text = text;
        return reply;
    }
    reply.kind = redis::Reply::Kind::array;
    for (auto const piece : split(text, *separators)) reply.array.push_back(reply_of(piece, separators + 1));
    return reply;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string const text(as_text(data, size));
    for (long const status : {200L, 401L, 500L}) {
        auto const said = understand_answer({status, text}, Asker::token, 1'700'000'000);
        FUZZ_REQUIRE(said.verdict != Verdict::ok || (status == 200 && said.claims.object() != nullptr));
        FUZZ_REQUIRE(status != 500 || said.verdict == Verdict::temporary);
        FUZZ_REQUIRE(status != 200 || json::parse(text) || said.verdict == Verdict::temporary);
    }
    if (auto const advice = understand_advice({200, text})) FUZZ_REQUIRE(advice->message.size() <= 900);
    if (auto const value = json::parse(text)) {
        auto const again = json::parse(json::write(*value));
        FUZZ_REQUIRE(again && *again == *value);
    }
    (void)take_entries(reply_of(text, "\n,;:="), "me", [](PenaltyEvent const& event) {
        FUZZ_REQUIRE(event.user.size() <= longest_event_text && event.address.size() <= longest_event_text);
    });
    return 0;
}
