// saslauthd's protocol: whole equals split, and the reply is OK, NO or none. The helper's messages with it.
#include "auth-socket/helper/helper.h"
#include "auth-socket/mux_session.h"
#include "tests/fuzz/auth_peers.h"
#include "tests/fuzz/fuzz.h"

using namespace postern;
using namespace postern::auth_socket;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const text = as_text(data, size);
    auto const run = [&](std::size_t piece) {
        fuzz::World world;
        MuxSession session(std::chrono::milliseconds(0), world.authority, world.surroundings, net::Waker());
        return fuzz::replies(session, text, piece);
    };
    auto const byte_by_byte = run(1);
    // Octets behind the question break the protocol only when they come before the answer.
    auto const whole = run(text.size() + 1);
    if (whole != "<closed>") FUZZ_REQUIRE(whole == byte_by_byte);
    for (auto const& each : {whole, byte_by_byte})
        FUZZ_REQUIRE(each.empty() || each == "<closed>" || each == std::string("\0\2OK<closed>", 12) ||
                     each == std::string("\0\30NO authentication failed<closed>", 34));
    if (auto const question = decode_question(text)) FUZZ_REQUIRE(encode_question(*question) == text);
    (void)decode_answer(text);
    return 0;
}
