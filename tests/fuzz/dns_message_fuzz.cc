// Answers of name servers to milter-dkim-rotate: whatever is read lies inside the message, TSIG never passes.
#include "milter-dkim/tools/rotate/dns_message.h"
#include "milter-dkim/tools/rotate/tsig.h"
#include "tests/fuzz/fuzz.h"

using namespace postern::milter_dkim::tools;

int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    constexpr std::size_t longest_escaped_name = 2 * 255;
    auto const octets = as_text(data, size);
    static auto const key = parse_tsig_key("postern:VGhlIHNlY3JldA==").value();
    FUZZ_REQUIRE(!verify_tsig(octets, key, "the question's", 1'700'000'000));

    auto const message = decode_dns_message(octets);
    if (!message) return 0;
    FUZZ_REQUIRE(message->answers.size() + message->authorities.size() + message->additionals.size() <=
                 most_dns_records);
    std::size_t end = dns_header_size;
    for (auto const* section : {&message->answers, &message->authorities, &message->additionals})
        for (auto const& record : *section) {
            FUZZ_REQUIRE(record.offset >= end); // in order, none overlaps the next
            end = record.offset + record.data.size();
            FUZZ_REQUIRE(end <= octets.size());
            FUZZ_REQUIRE(record.name.size() <= longest_escaped_name &&
                         record.target.size() <= longest_escaped_name);
            if (auto const text = txt_text(record)) FUZZ_REQUIRE(text->size() <= record.data.size());
        }
    // What can be asked comes back as it was asked.
    if (message->question_name.find('\\') == std::string::npos) {
        auto const again =
            decode_dns_message(encode_dns_query(message->id, message->question_name, message->question_type));
        FUZZ_REQUIRE(again && again->question_name == message->question_name && again->id == message->id);
    }
    return 0;
}
