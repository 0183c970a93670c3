// One login or lookup while it is worked on.
#include "auth-socket/request.h"

#include "auth-socket/client_network.h"
#include "common/base/text.h"

namespace postern::auth_socket {

// Log parsers take what stands before the address for one word, and stock shows a name that it refuses only
// in the message: else "x,198.51.100.1): unknown user" as a name would have that address banned.
std::string Request::log_name() const {
    auto name = "(" + (user.empty() || name_refused ? std::string("?") : printable(user));
    if (!client.remote_ip.empty() || !client.session.empty()) name += "," + client.remote_ip;
    if (!authenticated_user.empty()) name += ",master=" + printable(authenticated_user);
    if (!client.session.empty()) name += ",<" + printable(client.session, 64) + ">";
    return replace_all(name, " ", "\\x20") + ")";
}

std::string Request::turn() const {
    auto network = client_network(client.remote_ip, turn_prefix_bits);
    return network.empty() ? original_user : network;
}

} // namespace postern::auth_socket
