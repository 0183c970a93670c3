// SMTP and LMTP replies on the wire.
#include "common/mail/reply.h"

#include "tests/unit/support/catch.h"

using postern::mail::max_reply_line;
using postern::mail::multiline_reply;
using postern::mail::Reply;

TEST_CASE("a reply is code, enhanced code and text on one line") {
    CHECK(Reply{250, "2.1.0", "OK"}.to_wire() == "250 2.1.0 OK\r\n");
    CHECK(Reply{354, "", "OK"}.to_wire() == "354 OK\r\n");
}

TEST_CASE("an address with a line end in it cannot make a second reply") {
    CHECK(Reply{550, "5.1.1", "<a\r\n250 x@y> unknown"}.to_wire() == "550 5.1.1 <a??250 x@y> unknown\r\n");
}

TEST_CASE("a reply line is cut at its limit and keeps its line end") {
    auto const fits = Reply{250, "", std::string(max_reply_line - 6, 'x')}.to_wire();
    CHECK(fits.size() == max_reply_line);
    auto const cut = Reply{250, "", std::string(max_reply_line - 5, 'x')}.to_wire();
    CHECK(cut == fits);
}

TEST_CASE("only the last line of a multi-line reply has a blank after the code") {
    CHECK(multiline_reply(250, {"mx.example.com", "8BITMIME", "PIPELINING"}) ==
          "250-mx.example.com\r\n250-8BITMIME\r\n250 PIPELINING\r\n");
    CHECK(multiline_reply(250, {"one"}) == "250 one\r\n");
}
