// Requests of the policy protocol: whole equals octet by octet, and values are lines of UTF-8.
#include "policyd-spf/protocol.h"

#include "tests/fuzz/fuzz.h"

#include <algorithm>
#include <string>
#include <vector>

using namespace postern;
using namespace postern::policyd_spf;

namespace {

std::vector<std::string> decoded(std::string_view text, std::size_t piece) {
    std::vector<std::string> out;
    Decoder decoder([&](std::string_view line, bool matched) {
        FUZZ_REQUIRE(line.find('\n') == std::string_view::npos);
        out.push_back((matched ? "line " : "bad ") + std::string(line));
    });
    while (!text.empty()) {
        decoder.feed(text.substr(0, piece));
        text.remove_prefix(std::min(piece, text.size()));
        for (;;) {
            auto const request = decoder.next();
            if (!request) {
                FUZZ_REQUIRE(request.error().kind == ErrorKind::malformed);
                out.push_back("malformed");
                return out;
            }
            if (!*request) break;
            out.push_back("request " + (*request)->sender.value_or("(none)"));
        }
    }
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const text = as_text(data, size);
    FUZZ_REQUIRE(decoded(text, text.size()) == decoded(text, 1));
    auto const action = encode_action(text);
    FUZZ_REQUIRE(action.starts_with("action=") && action.ends_with("\n\n"));
    FUZZ_REQUIRE(action.find('\n') == action.size() - 2);
    return 0;
}
