// Requests from bytes: pieces, limits, odd lines.
#include "tests/unit/support/catch.h"

#include "policyd-spf/protocol.h"

using namespace postern;
using namespace postern::policyd_spf;

namespace {

std::optional<Request> first(std::string_view bytes) {
    Decoder decoder;
    decoder.feed(bytes);
    auto request = decoder.next();
    REQUIRE(request.has_value());
    return *request;
}

} // namespace

TEST_CASE("a request ends with an empty line, and an absent attribute is not an empty one") {
    CHECK_FALSE(first("sender=a@b\n").has_value());
    auto const request = first("sender=A@b\nhelo_name=\n\n");
    REQUIRE(request.has_value());
    CHECK(request->sender == "A@b");
    CHECK(request->helo_name == "");
    CHECK_FALSE(request->recipient.has_value());
}

TEST_CASE("CR LF, blanks before the name, and blanks at the end are taken as stock does") {
    auto const request = first("  sender =a@b \t\r\nrecipient= c@d\r\n\r\n");
    CHECK(request->sender == "a@b");
    CHECK(request->recipient == " c@d");
}

TEST_CASE("a value may hold equals signs, and the last of equal names wins") {
    auto const request = first("sender=a=b@c\nhelo_name=one\nhelo_name=two\n\n");
    CHECK(request->sender == "a=b@c");
    CHECK(request->helo_name == "two");
}

TEST_CASE("lines that are no attribute are told and skipped") {
    std::vector<std::pair<std::string, bool>> seen;
    Decoder decoder([&](std::string_view line, bool matched) { seen.emplace_back(line, matched); });
    decoder.feed("garbage\nsender=a@b\n=x\na b=c\n\n");
    REQUIRE(decoder.next().has_value());
    CHECK(seen == std::vector<std::pair<std::string, bool>>{
                      {"garbage", false}, {"sender=a@b", true}, {"=x", false}, {"a b=c", false}, {"", true}});
}

TEST_CASE("octets that are no UTF-8 become U+FFFD, one each, and good UTF-8 stays") {
    CHECK(first("sender=\xc3\xbc@b\n\n")->sender == "\xc3\xbc@b");
    CHECK(first("sender=\xff\xc3@b\n\n")->sender == "\xef\xbf\xbd\xef\xbf\xbd@b");
    CHECK(first("sender=\xed\xa0\x80@b\n\n")->sender == "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd@b");
    CHECK(first("sender=\xc0\xaf@b\n\n")->sender == "\xef\xbf\xbd\xef\xbf\xbd@b");
    CHECK(first("sender=\xf0\x9f\x93\xa7@b\n\n")->sender == "\xf0\x9f\x93\xa7@b");
}

TEST_CASE("a line of max_line octets is taken, one more is malformed") {
    std::string const name = "sender=";
    Decoder at;
    at.feed(name + std::string(Decoder::max_line - name.size(), 'x') + "\n\n");
    CHECK((*at.next())->sender->size() == Decoder::max_line - name.size());
    Decoder over;
    over.feed(name + std::string(Decoder::max_line - name.size() + 1, 'x') + "\n\n");
    CHECK(over.next().error().kind == ErrorKind::malformed);
    Decoder endless;
    endless.feed(std::string(Decoder::max_line + 1, 'x'));
    CHECK(endless.next().error().kind == ErrorKind::malformed);
}

TEST_CASE("a request of max_request octets is taken, one more is malformed") {
    auto const lines = [](std::size_t total) {
        std::string out;
        while (out.size() + 1000 < total) out += "x=" + std::string(997, 'y') + "\n";
        out += "x=" + std::string(total - out.size() - 4, 'y') + "\n\n";
        return out;
    };
    auto const run = [&](std::size_t total) {
        Decoder decoder;
        auto const text = lines(total);
        REQUIRE(text.size() == total);
        decoder.feed(text);
        return decoder.next().has_value();
    };
    CHECK(run(Decoder::max_request));
    CHECK_FALSE(run(Decoder::max_request + 1));
}

TEST_CASE("an action is one line whatever it is made of") {
    CHECK(encode_action("dunno") == "action=dunno\n\n");
    CHECK(encode_action("prepend X: a\r\naction=ok\n\n\x7f\xc3\xbc") ==
          "action=prepend X: a??action=ok???\xc3\xbc\n\n");
}
