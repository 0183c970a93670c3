// The LMTP stream: command lines, data and chunks.
#include "lmtp-deliver/protocol.h"

#include "tests/unit/support/catch.h"

#include <fmt/format.h>

using namespace postern::lmtp_deliver;

namespace {

std::string data(std::string_view bytes, bool lf_peer = false, std::size_t piece = std::string_view::npos) {
    Decoder decoder;
    decoder.begin_data(lf_peer);
    std::string out;
    while (!bytes.empty()) {
        auto const part = bytes.substr(0, piece);
        bytes.remove_prefix(part.size());
        decoder.feed(part);
        auto const got = decoder.next_data();
        out += got.octets;
        if (got.ended) {
            decoder.feed(bytes);
            decoder.feed("\n");
            return out + "|" + decoder.next_command()->name;
        }
    }
    return out;
}

std::string data_all(std::string_view bytes, bool lf_peer = false) {
    auto const whole = data(bytes, lf_peer);
    for (std::size_t const piece : {1, 2, 3, 5}) CHECK(data(bytes, lf_peer, piece) == whole);
    return whole;
}

Command only_command(std::string_view bytes) {
    Decoder decoder;
    decoder.feed(bytes);
    return decoder.next_command().value();
}

} // namespace

TEST_CASE("a command is a name in any case and the rest of its line") {
    CHECK(only_command("mail FROM:<a@b> SIZE=1 \r\n") ==
          Command{Command::Form::verb, "MAIL", "FROM:<a@b> SIZE=1", false});
    CHECK(only_command("QUIT\n") == Command{Command::Form::verb, "QUIT", "", true});
    CHECK(only_command("\r\n") == Command{Command::Form::verb, "", "", false});
    CHECK(only_command(" NOOP\r\n").name.empty());
}

TEST_CASE("lines that are no commands are garbage") {
    for (std::string_view const line :
         {"Subject: one", "..two", ".", "A\tB", "lhlo   t", "NOOP \x01", "NOOP \xff", "NOOP \xc0\x80",
          "NOOP \xed\xa0\x80", "NOOP \xf5\x80\x80\x80", "NOOP \xc3"})
        CHECK(only_command(fmt::format("{}\r\n", line)).form == Command::Form::garbage);
    CHECK(only_command(std::string_view("\0\r\n", 3)).form == Command::Form::garbage);
    CHECK(only_command("NOOP \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\r\n").form == Command::Form::verb);
}

TEST_CASE("a command line of 4096 octets is taken and one of 4097 is not") {
    auto const longest = "NOOP " + std::string(max_command_line - 5, 'x');
    CHECK(only_command(longest + "\r\n").form == Command::Form::verb);
    CHECK(only_command(longest + "x\r\n").form == Command::Form::too_long);
}

TEST_CASE("a line without an end is not kept and the next one is read") {
    Decoder decoder;
    for (int i = 0; i < 100; ++i) {
        decoder.feed(std::string(10000, 'x'));
        REQUIRE_FALSE(decoder.next_command());
    }
    decoder.feed("\r\nNOOP\r\n");
    CHECK(decoder.next_command()->form == Command::Form::too_long);
    CHECK(decoder.next_command()->name == "NOOP");
    CHECK_FALSE(decoder.next_command());
}

TEST_CASE("data ends at a dot alone between two CRLFs") {
    CHECK(data_all("Subject: x\r\n\r\nbody\r\n.\r\nQUIT\r") == "Subject: x\n\nbody\n|QUIT");
    CHECK(data_all(".\r\nQUIT") == "|QUIT");
    CHECK(data_all("a\r\n.\r") == "a\n");
    CHECK(data_all("a\r\n.") == "a\n");
}

TEST_CASE("a leading dot is removed and no other") {
    CHECK(data_all("..\r\n...a\r\n.b.\r\nc.\r\n.\r\n") == ".\n..a\nb.\nc.\n|");
}

TEST_CASE("a bare LF ends a line but not the data") {
    CHECK(data_all("a\nb\n.\nc\n.\r\nd\r\n.\ne\r\n.\r\nNOOP") == "a\nb\n\nc\n\nd\n\ne\n|NOOP");
    CHECK(data_all("a\n.x\n..y\r\n.\r\n") == "a\nx\n.y\n|");
}

TEST_CASE("a client that ends its commands in LF ends its data so too") {
    CHECK(data_all("Subject: x\n\nbody\n.\nQUIT", true) == "Subject: x\n\nbody\n|QUIT");
    CHECK(data_all("a\n.\r\nQUIT", true) == "a\n|QUIT");
}

TEST_CASE("a CR that no LF follows stays in the data") {
    CHECK(data_all("x\r\r\n\r\n\r\r.\r\n.\rz\r\n.\r\n") == "x\r\n\n\r\r.\n\rz\n|");
    CHECK(data_all("\r\n\r\r\n.\r\n") == "\n\r\n|");
}

TEST_CASE("chunks hold the announced octets and lose the CR of each CRLF") {
    Decoder decoder;
    decoder.feed("a\r\nb\rNOOP\r\n\n.c\r\rQUIT\r\n");
    decoder.begin_chunk(5);
    auto piece = decoder.next_chunk();
    CHECK(piece.octets == "a\nb");
    CHECK(piece.ended);
    CHECK(decoder.next_command()->name == "NOOP");
    decoder.begin_chunk(5);
    piece = decoder.next_chunk();
    CHECK(piece.octets == "\n.c\r");
    CHECK(piece.ended);
    CHECK(decoder.end_of_chunks() == "\r");
    CHECK(decoder.end_of_chunks().empty());
    CHECK(decoder.next_command()->name == "QUIT");
}

TEST_CASE("an empty chunk ends at once and a large one waits") {
    Decoder decoder;
    decoder.begin_chunk(0);
    CHECK(decoder.next_chunk().ended);
    decoder.begin_chunk(UINT64_MAX);
    decoder.feed("abc");
    auto const piece = decoder.next_chunk();
    CHECK(piece.octets == "abc");
    CHECK_FALSE(piece.ended);
}
