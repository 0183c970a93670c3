// Listening, and connecting to it.
#include "tests/unit/milter/running_milter.h"

#include <stdexcept>

namespace postern::test {

namespace {

net::Listener listen_at(net::ListenAddress const& address) {
    auto listener = net::Listener::open(address);
    if (!listener) throw std::runtime_error(listener.error().text);
    return std::move(*listener);
}

} // namespace

RunningMilter::RunningMilter(milter::Negotiation negotiation, milter::Factory factory,
                             std::string const& address)
    : address_(*net::parse_listen_address(address.empty() ? directory.path("socket") : address)),
      listener_(listen_at(address_)), port_(address.empty() ? std::uint16_t{0} : listener_.port()),
      server(std::move(listener_), std::move(negotiation), std::move(factory), log, metrics) {
    server.start();
}

MilterClient RunningMilter::client() const {
    auto made =
        port_ != 0 ? MilterClient::connect_inet(port_) : MilterClient::connect_unix(directory.path("socket"));
    if (!made) throw std::runtime_error("cannot connect to the milter");
    return std::move(*made);
}

} // namespace postern::test
