// One login or lookup while it is worked on.
#include "auth-socket/request.h"

#include "auth-socket/client_network.h"
#include "common/base/text.h"

namespace postern::auth_socket {

std::string Request::log_name() const {
    auto name = "(" + printable(user);
    if (!client.remote_ip.empty() || !client.session.empty()) name += "," + client.remote_ip;
    if (!authenticated_user.empty()) name += ",master=" + printable(authenticated_user);
    if (!client.session.empty()) name += ",<" + printable(client.session, 64) + ">";
    return name + ")";
}

std::string Request::turn() const {
    auto network = client_network(client.remote_ip, turn_prefix_bits);
    return network.empty() ? original_user : network;
}

} // namespace postern::auth_socket
