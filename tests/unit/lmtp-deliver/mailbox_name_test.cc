// Mailbox names, modified UTF-7, mail_location.
#include "lmtp-deliver/maildir/location.h"
#include "lmtp-deliver/maildir/mailbox_name.h"

#include "tests/unit/support/catch.h"

#include <fmt/format.h>

using namespace postern::lmtp_deliver;

namespace {

std::string folder(std::string_view name, char separator = '.', Layout layout = Layout::maildirpp,
                   bool utf8 = false) {
    auto const read = read_mailbox_name(name, separator, layout, utf8);
    if (!read) return "error: " + read.error().text;
    return read->is_inbox ? "INBOX" : read->folder + "|" + read->subscription;
}

std::string location(std::string_view text, std::optional<std::string> const& home = "/home/a") {
    auto const read = parse_mail_location(text, home);
    if (!read) return "error: " + read.error().text;
    return fmt::format("{} {} {} {} {} {}", read->root, read->inbox, read->control, read->subscriptions,
                       read->layout == Layout::fs ? "fs" : "maildir++", read->utf8);
}

} // namespace

TEST_CASE("modified UTF-7 is the inverse of itself and has one spelling for each name") {
    for (auto const& [utf8, mutf7] : std::vector<std::pair<std::string, std::string>>{
             {"", ""},
             {"Junk", "Junk"},
             {"A&B", "A&-B"},
             {"Gel\xc3\xb6scht", "Gel&APY-scht"},
             {"\xe5\x8f\xb0\xe5\x8c\x97", "&U,BTFw-"},
             {"~peter/mail/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e/\xe5\x8f\xb0\xe5\x8c\x97",
              "~peter/mail/&ZeVnLIqe-/&U,BTFw-"},
             {"\xf0\x9f\x98\x80", "&2D3eAA-"},
             {"a\tb", "a&AAk-b"},
         }) {
        CHECK(mutf7_encode(utf8) == mutf7);
        CHECK(mutf7_decode(mutf7) == utf8);
    }
    CHECK_FALSE(mutf7_encode("\xff"));
    for (auto const* wrong :
         {"&", "&A", "&AGE-", "a\x01", "&APY", "&APY-&APY-", "&2D0-", "&3gA-", "\xc3\xb6", "&A!Y-", "&APZ-"})
        CHECK_FALSE(mutf7_decode(wrong));
}

TEST_CASE("Maildir++ folders begin with a dot and carry dots between their parts") {
    CHECK(folder("Junk") == ".Junk|Junk");
    CHECK(folder("Sub.Box") == ".Sub.Box|Sub\tBox");
    CHECK(folder("Sub/Box", '/') == ".Sub.Box|Sub\tBox");
    CHECK(folder("Gel\xc3\xb6scht") == ".Gel&APY-scht|Gel&APY-scht");
    CHECK(folder("Gel\xc3\xb6scht", '.', Layout::maildirpp, true) == ".Gel\xc3\xb6scht|Gel\xc3\xb6scht");
    CHECK(folder("inbox") == "INBOX");
}

TEST_CASE("names that would leave the Maildir or break it are refused with Dovecot's reason") {
    CHECK(folder("") == "error: Name is empty");
    CHECK(folder("../x") == "error: Begins with hierarchy separator");
    CHECK(folder("a/b") == "error: Name must not have '/' characters");
    CHECK(folder("a..b") == "error: Has adjacent hierarchy separators");
    CHECK(folder("a.") == "error: Ends with hierarchy separator");
    CHECK(folder("a.b", '/') == "error: Name must not have '.' characters");
    CHECK(folder("a\nb") == "error: Name has control characters");
    CHECK(folder("a\xff") == "error: Name is not valid UTF-8");
    for (auto const* name : {"..", "a/../b", ".x", "~x", "cur", "a/new", "tmp"})
        CHECK(folder(name, '/', Layout::fs) == "error: Name is reserved");
    CHECK(folder("a/b", '/', Layout::fs) == "a/b|a\tb");
}

TEST_CASE("a folder's directory name has 255 octets at most") {
    CHECK(folder(std::string(254, 'x')).starts_with(".xxx"));
    CHECK(folder(std::string(255, 'x')) == "error: Name is too long");
    CHECK(folder(std::string(255, 'x'), '/', Layout::fs).starts_with("xxx"));
    CHECK(folder(std::string(256, 'x'), '/', Layout::fs) == "error: Name is too long");
}

TEST_CASE("mail locations are read as Dovecot reads them") {
    CHECK(location("maildir:~/Maildir") ==
          "/home/a/Maildir /home/a/Maildir /home/a/Maildir subscriptions maildir++ false");
    CHECK(location("maildir:~/") == "/home/a /home/a /home/a subscriptions maildir++ false");
    CHECK(location("maildir:/v/x/", std::nullopt) == "/v/x /v/x /v/x subscriptions maildir++ false");
    CHECK(location("maildir:/v/x:LAYOUT=fs:INDEX=/i:INBOX=/v/in:CONTROL=~/c:SUBSCRIPTIONS=subs:UTF-8") ==
          "/v/x /v/in /home/a/c subs fs true");
    CHECK(location("maildir:/v/a::b") == "/v/a:b /v/a:b /v/a:b subscriptions maildir++ false");
    CHECK(location("Maildir:mail") == "/home/a/mail /home/a/mail /home/a/mail subscriptions maildir++ false");
}

TEST_CASE("locations that delivery cannot serve are errors") {
    CHECK(location("mbox:~/mail:INBOX=/var/mail/a").starts_with("error: mail location"));
    CHECK(location("") == "error: mail location \"\" is not a Maildir (maildir:PATH)");
    CHECK(location("maildir:~/Maildir", std::nullopt)
              .starts_with("error: \"~/Maildir\" needs a home directory"));
    CHECK(location("maildir:/x:LAYOUT=index").starts_with("error: LAYOUT=index is not supported"));
    CHECK(location("maildir:/x:DIRNAME=m").starts_with("error: DIRNAME= is not supported"));
    CHECK(location("maildir:/x:SUBSCRIPTIONS=../x").starts_with("error: SUBSCRIPTIONS="));
}
