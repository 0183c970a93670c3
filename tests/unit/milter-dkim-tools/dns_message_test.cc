// DNS messages octet for octet, and what a hostile server may send instead.
#include "milter-dkim/tools/rotate/dns_message.h"

#include "common/base/encoding.h"
#include "tests/unit/support/catch.h"

using namespace postern;
using namespace postern::milter_dkim::tools;

namespace {

std::string hex(std::string_view text) {
    std::string packed;
    for (char const c : text)
        if (c != ' ') packed += c;
    return hex_decode(packed).value();
}

// An answer to "a.b TXT": counts, then records.
std::string answer(std::string_view counts, std::string_view records) {
    return hex("1234 8400 0001") + hex(counts) + hex("01610162 00 0010 0001") + hex(records);
}

} // namespace

TEST_CASE("a question has the octets of RFC 1035") {
    CHECK(hex_encode(encode_dns_query(0x1234, "a.b", DnsType::txt)) == "123400000001000000000000"
                                                                       "0161016200"
                                                                       "00100001");
}

TEST_CASE("an update deletes the name's TXT records and adds one") {
    CHECK(hex_encode(encode_dns_update(7, {"b", "a.b", "hi", 60})) == "000728000001000000020000"
                                                                      "016200"
                                                                      "00060001"
                                                                      "0161016200001000ff000000000000"
                                                                      "016101620000100001"
                                                                      "0000003c0003"
                                                                      "026869");
}

TEST_CASE("a long text goes into an update in strings of 255 octets") {
    auto const octets = encode_dns_update(7, {"b", "a.b", std::string(256, 'x'), 60});
    CHECK(octets.ends_with(std::string(1, '\xff') + std::string(255, 'x') + "\x01x"));
}

TEST_CASE("an answer with compressed names is read") {
    auto const message =
        decode_dns_message(answer("0001 0001 0000", "c00c 0010 0001 0000003c 0004 03 616263"
                                                    "c00e 0002 0001 0000003c 0005 026e73 c00e"));
    REQUIRE(message);
    CHECK(message->id == 0x1234);
    CHECK(message->is_response);
    CHECK(message->authoritative);
    CHECK(message->question_name == "a.b");
    REQUIRE(message->answers.size() == 1);
    CHECK(message->answers[0].name == "a.b");
    CHECK(message->answers[0].ttl == 60);
    CHECK(txt_text(message->answers[0]).value() == "abc");
    REQUIRE(message->authorities.size() == 1);
    CHECK(message->authorities[0].name == "b");
    CHECK(message->authorities[0].target == "ns.b");
}

TEST_CASE("an answer cut off anywhere is malformed") {
    auto const whole = answer("0001 0000 0000", "c00c 0010 0001 0000003c 0004 03 616263");
    REQUIRE(decode_dns_message(whole));
    for (std::size_t size = 0; size < whole.size(); ++size)
        CHECK_FALSE(decode_dns_message(std::string_view(whole).substr(0, size)));
    CHECK_FALSE(decode_dns_message(whole + "x"));
}

TEST_CASE("a name that points to itself, forward or in a circle is malformed") {
    for (auto const* name : {"c01a", "c01b", "c0ff", "0161c01a"}) // 1a: where the record begins
        CHECK_FALSE(
            decode_dns_message(answer("0001 0000 0000", std::string(name) + "0010 0001 0000003c 0000")));
}

TEST_CASE("a name of 255 octets is read and one of 256 is not") {
    // 3 labels of 63 and one of 61: 3 * 64 + 62 + 1 = 255.
    std::string labels;
    for (int i = 0; i < 3; ++i) labels += "\x3f" + std::string(63, 'a');
    auto const message = [&](std::size_t last) {
        return hex("1234 8400 0001 0000 0000 0000") + labels + std::string(1, static_cast<char>(last)) +
               std::string(last, 'a') + hex("00 0010 0001");
    };
    CHECK(decode_dns_message(message(61)));
    CHECK_FALSE(decode_dns_message(message(62)));
}

TEST_CASE("a message of 512 records is read and one of 513 is not") {
    std::string records;
    for (int i = 0; i < 512; ++i) records += "00 0010 0001 00000000 0000";
    CHECK(decode_dns_message(answer("0200 0000 0000", records)));
    CHECK_FALSE(decode_dns_message(answer("0201 0000 0000", records + "00 0010 0001 00000000 0000")));
}

TEST_CASE("a dot inside a label is not a border") {
    auto const message = decode_dns_message(answer("0001 0000 0000", "03 612e62 00 0010 0001 00000000 0000"));
    REQUIRE(message);
    CHECK(message->answers[0].name == "a\\.b");
}

TEST_CASE("TXT data that its strings do not fill is malformed") {
    DnsRecord record;
    record.data = "\x03"
                  "ab";
    CHECK_FALSE(txt_text(record));
    record.data = "";
    CHECK(txt_text(record).value().empty());
}
