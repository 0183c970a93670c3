// The LMTP stream: data and chunks come out the same whole and in pieces, and never end a line in CRLF.
#include "lmtp-deliver/path.h"
#include "lmtp-deliver/protocol.h"

#include "tests/fuzz/fuzz.h"

#include <string>

using namespace postern::lmtp_deliver;

namespace {

// The message and what follows it; "|" between the two once the data has ended.
std::string data(std::string_view bytes, bool lf_peer, std::size_t piece) {
    Decoder decoder;
    decoder.begin_data(lf_peer);
    std::string out;
    while (!bytes.empty()) {
        auto const part = bytes.substr(0, piece);
        bytes.remove_prefix(part.size());
        decoder.feed(part);
        auto const got = decoder.next_data();
        out += got.octets;
        if (!got.ended) continue;
        decoder.feed(bytes);
        decoder.feed("\n");
        auto const next = decoder.next_command();
        FUZZ_REQUIRE(next);
        return out + "|" + next->name + " " + next->parameters;
    }
    return out;
}

std::string chunk(std::string_view bytes, std::size_t piece) {
    Decoder decoder;
    decoder.begin_chunk(bytes.size());
    std::string out;
    bool ended = bytes.empty();
    while (!bytes.empty()) {
        auto const part = bytes.substr(0, piece);
        bytes.remove_prefix(part.size());
        decoder.feed(part);
        auto const got = decoder.next_chunk();
        out += got.octets;
        ended = got.ended;
    }
    FUZZ_REQUIRE(ended);
    return out + decoder.end_of_chunks();
}

void check_commands(std::string_view bytes) {
    Decoder decoder;
    decoder.feed(bytes);
    while (auto const command = decoder.next_command()) {
        FUZZ_REQUIRE(command->name.size() + command->parameters.size() <= max_command_line);
        auto const path = parse_path(command->parameters);
        if (!path || path->address.is_null()) continue;
        // What is written is read as the same address.
        auto const again = parse_path("<" + path->address.to_string() + ">");
        FUZZ_REQUIRE(again && again->address.local_part == path->address.local_part);
        FUZZ_REQUIRE(again->address.domain == path->address.domain);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* octets, std::size_t size) {
    auto const text = as_text(octets, size);
    for (bool const lf_peer : {false, true}) {
        auto const whole = data(text, lf_peer, std::string_view::npos);
        for (std::size_t const piece : {1, 2, 3, 7}) FUZZ_REQUIRE(data(text, lf_peer, piece) == whole);
    }
    auto const whole = chunk(text, std::string_view::npos);
    for (std::size_t const piece : {1, 2, 5}) FUZZ_REQUIRE(chunk(text, piece) == whole);
    check_commands(text);
    return 0;
}
