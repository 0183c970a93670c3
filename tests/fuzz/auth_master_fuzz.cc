// The master and userdb protocols: whole equals split, and every reply is a line of the protocol.
#include "auth-socket/master_session.h"
#include "tests/fuzz/auth_peers.h"
#include "tests/fuzz/fuzz.h"

using namespace postern;
using namespace postern::auth_socket;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const text = "VERSION\t1\t1\n" + std::string(as_text(data, size));
    auto const run = [&](std::size_t piece, bool master) {
        fuzz::World world;
        FinishedLogin login;
        login.request.client_pid = 1;
        login.request.original_user = login.request.user = login.outcome.user = "alice";
        world.logins.keep("c00c1e", 1, login);
        net::Peer const peer{};
        MasterSettings settings;
        settings.master_role = master;
        MasterSession session(settings, world.authority, world.surroundings, peer, net::Waker());
        return fuzz::replies(session, text, piece);
    };
    for (bool const master : {false, true}) {
        auto const whole = run(text.size(), master);
        FUZZ_REQUIRE(whole == run(1, master));
        FUZZ_REQUIRE(
            fuzz::are_lines(whole, {"USER\t", "PASS\t", "NOTFOUND\t", "FAIL\t", "LIST\t", "DONE\t", "OK\t"}));
    }
    return 0;
}
