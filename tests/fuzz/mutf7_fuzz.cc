// Mailbox names: decoding what was encoded is the same, and no name leaves the Maildir.
#include "lmtp-deliver/maildir/mailbox_name.h"
#include "lmtp-deliver/protocol.h"

#include "tests/fuzz/fuzz.h"

#include <string>

using namespace postern::lmtp_deliver;

namespace {

void check_folder(std::string_view text, char separator, Layout layout, bool utf8) {
    auto const name = read_mailbox_name(text, separator, layout, utf8);
    if (!name || name->is_inbox) return;
    auto const& folder = name->folder;
    FUZZ_REQUIRE(!folder.empty() && !folder.contains('\0') && !folder.contains('\n'));
    FUZZ_REQUIRE(!folder.starts_with('/') && !("/" + folder + "/").contains("/../"));
    FUZZ_REQUIRE(layout == Layout::fs ||
                 (folder.starts_with('.') && !folder.contains('/') && !folder.contains("..")));
    FUZZ_REQUIRE(layout == Layout::fs || folder.size() <= max_folder_name);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* octets, std::size_t size) {
    auto const text = as_text(octets, size);
    auto const encoded = mutf7_encode(text);
    FUZZ_REQUIRE(encoded.has_value() == is_utf8(text));
    if (encoded) FUZZ_REQUIRE(mutf7_decode(*encoded) == std::string(text));
    if (auto const decoded = mutf7_decode(text)) FUZZ_REQUIRE(mutf7_encode(*decoded) == std::string(text));
    for (auto const layout : {Layout::maildirpp, Layout::fs})
        for (bool const utf8 : {false, true})
            for (char const separator : {'.', '/'}) check_folder(text, separator, layout, utf8);
    return 0;
}
