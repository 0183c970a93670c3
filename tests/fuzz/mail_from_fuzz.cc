// From values: what is read can be written down and read again, and no text hides an author that stands
// beside it.
#include "common/mail/address.h"
#include "common/mail/domain.h"
#include "common/mail/scanner.h"
#include "milter-dmarc/authors.h"

#include "tests/fuzz/fuzz.h"

#include <algorithm>

using namespace postern;

namespace {

std::string written(mail::Mailbox const& mailbox) {
    auto const address =
        mail::quoted(mailbox.local_part) + (mailbox.domain.empty() ? "" : "@" + mailbox.domain);
    return mailbox.display_name.empty() && mailbox.domain.empty()
               ? address
               : mail::quoted(mailbox.display_name) + " <" + address + ">";
}

bool is_plain(std::string_view text) {
    return std::ranges::none_of(text,
                                [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

void check_rewriting(std::vector<mail::Mailbox> const& mailboxes) {
    std::string list;
    for (auto const& each : mailboxes) {
        if (!is_plain(each.display_name) || !is_plain(each.local_part)) return;
        list += (list.empty() ? "" : ", ") + written(each);
    }
    auto const again = mail::parse_mailboxes(list);
    FUZZ_REQUIRE(again && *again == mailboxes);
}

// Never silently the first one, nor the last.
void check_company(std::string const& value) {
    for (auto const& text : {value + ",z@zz.example", "z@zz.example," + value}) {
        auto const authors = milter_dmarc::find_authors({text});
        FUZZ_REQUIRE(authors.malformed || std::ranges::count(authors.domains, "zz.example") == 1);
    }
    auto const both = milter_dmarc::find_authors({value, "z@zz.example"});
    FUZZ_REQUIRE(!both.is_single());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string const value(as_text(data, size));
    if (auto const mailboxes = mail::parse_mailboxes(value)) {
        FUZZ_REQUIRE(mailboxes->size() <= mail::max_mailboxes);
        for (auto const& each : *mailboxes)
            FUZZ_REQUIRE(each.domain.find_first_of(" \t\r\n<>,@\"") == std::string::npos);
        check_rewriting(*mailboxes);
    }
    if (size < 20000)
        check_company(value); // near max_mailboxes the neighbour makes one too many: malformed, as well
    if (auto const path = mail::parse_path(value)) (void)path->address();
    if (auto const domain = mail::normal_domain(value)) FUZZ_REQUIRE(mail::normal_domain(*domain) == domain);
    return 0;
}
