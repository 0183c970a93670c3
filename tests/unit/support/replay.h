// Drives a sans-IO session from a transcript: whole, in pieces, and cut off.
#pragma once

#include "common/net/server.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace postern::test {

using MakeSession = std::function<std::unique_ptr<net::Session>()>;

// Everything the session sends, greeting first; the farewell when it gives an error; "<closed>" is appended
// when it finished or failed before the end of the input.
std::string replay(net::Session& session, std::string_view input, std::size_t piece = std::string_view::npos);

// Requires that the whole input, the input in single octets and in pieces of 2, 3, 7 and 64 octets all get
// the same bytes back, and gives them.
std::string replay_in_all_pieces(MakeSession const& make, std::string_view input);

// Feeds the first 0, 1, 2 ... octets and destroys the session each time: no crash, no hang. after() is called
// each time to check what was left behind.
void replay_cut_off(MakeSession const& make, std::string_view input,
                    std::function<void(std::size_t)> const& after = {});

} // namespace postern::test
