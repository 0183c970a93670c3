// Who is next where several wait: the keys take turns.
#pragma once

#include <string>

namespace postern::auth_socket {

// The first key after the one served last whose value is eligible, round and round.
template <class Map, class Eligible>
typename Map::iterator next_in_turn(Map& map, std::string const& served, Eligible const& eligible) {
    auto const begin = map.upper_bound(served);
    for (auto at = begin; at != map.end(); ++at)
        if (eligible(at->second)) return at;
    for (auto at = map.begin(); at != begin; ++at)
        if (eligible(at->second)) return at;
    return map.end();
}

} // namespace postern::auth_socket
