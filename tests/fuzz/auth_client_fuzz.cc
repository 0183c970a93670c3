// The auth client protocol: whole equals split, and every reply is a line of the protocol.
#include "tests/fuzz/auth_peers.h"
#include "tests/fuzz/fuzz.h"

using namespace postern;
using namespace postern::auth_socket;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    // The greeting that the seeds need not spell. CRAM-MD5's challenge has the time in it.
    auto const text = "VERSION\t1\t1\nCPID\t1\n" + std::string(as_text(data, size));
    ClientSettings settings;
    settings.mechanisms = {"PLAIN", "LOGIN", "DIGEST-MD5", "SCRAM-SHA-256", "EXTERNAL", "ANONYMOUS"};
    settings.failure_delay = std::chrono::milliseconds(0);
    settings.user_from_certificate = true;
    settings.mechanism.fixed_nonce = "nonce";
    auto const run = [&](std::size_t piece) {
        fuzz::World world;
        ClientSession session(settings, world.authority, world.surroundings, net::Waker());
        return fuzz::replies(session, text, piece);
    };
    auto const whole = run(text.size());
    FUZZ_REQUIRE(whole == run(1));
    FUZZ_REQUIRE(whole == run(7));
    FUZZ_REQUIRE(fuzz::are_lines(whole, {"OK\t", "FAIL\t", "CONT\t"}));
    return 0;
}
