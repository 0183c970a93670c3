// The transcript driver.
#include "tests/unit/support/replay.h"

#include "tests/unit/support/catch.h"

#include <algorithm>

namespace postern::test {

std::string replay(net::Session& session, std::string_view input, std::size_t piece) {
    std::string sent = session.greeting();
    while (!input.empty() && !session.finished()) {
        auto const size = std::min(piece, input.size());
        auto answer = session.receive(input.substr(0, size));
        input.remove_prefix(size);
        if (!answer) return sent + session.farewell(answer.error()) + "<closed>";
        sent += *answer;
    }
    if (session.finished()) sent += "<closed>";
    return sent;
}

std::string replay_in_all_pieces(MakeSession const& make, std::string_view input) {
    auto const whole = replay(*make(), input);
    for (std::size_t const piece : {1, 2, 3, 7, 64}) {
        INFO("in pieces of " << piece);
        REQUIRE(replay(*make(), input, piece) == whole);
    }
    return whole;
}

void replay_cut_off(MakeSession const& make, std::string_view input,
                    std::function<void(std::size_t)> const& after) {
    for (std::size_t size = 0; size <= input.size(); ++size) {
        {
            auto const session = make();
            replay(*session, input.substr(0, size));
        }
        if (after) after(size);
    }
}

} // namespace postern::test
