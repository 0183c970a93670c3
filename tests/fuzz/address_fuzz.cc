// Socket addresses: what was read and written again is read as the same.
#include "common/net/address.h"

#include "tests/fuzz/fuzz.h"

using namespace postern::net;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const listen = parse_listen_address(as_text(data, size));
    if (!listen) {
        FUZZ_REQUIRE(!listen.error().text.empty());
        return 0;
    }
    if (listen->address.kind == Address::Kind::unix_socket ||
        listen->address.kind == Address::Kind::systemd) {
        auto const again = parse_address(listen->address.to_string());
        FUZZ_REQUIRE(again);
        FUZZ_REQUIRE(again->path == listen->address.path);
    }
    return 0;
}
