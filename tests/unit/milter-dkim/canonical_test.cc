// The body's canonical forms against a second, slow reading of RFC 6376 3.4.3 and 3.4.4.
#include "milter-dkim/message/canonical.h"

#include "common/base/encoding.h"
#include "common/base/text.h"
#include "tests/unit/support/catch.h"

#include <random>

using namespace postern;
using namespace postern::milter_dkim;

namespace {

// Lines as CRLF cuts them, or any of CR, LF and CRLF; the rest behind the last is a line when it has octets.
std::vector<std::string> lines_of(std::string_view body, bool lone_ends) {
    std::vector<std::string> lines(1);
    for (std::size_t i = 0; i < body.size(); ++i) {
        bool const pair = body[i] == '\r' && i + 1 < body.size() && body[i + 1] == '\n';
        if (pair || (lone_ends && (body[i] == '\r' || body[i] == '\n'))) {
            i += pair ? 1 : 0;
            lines.emplace_back();
        } else
            lines.back() += body[i];
    }
    if (lines.back().empty()) lines.pop_back();
    return lines;
}

std::string relaxed_line(std::string_view line) {
    std::string out;
    for (char const c : line)
        if (!is_blank(c))
            out += c;
        else if (!out.ends_with(' '))
            out += ' ';
    if (out.ends_with(' ')) out.pop_back();
    return out;
}

std::string canonical(CanonicalForm form, std::string_view body, bool lone_ends) {
    auto lines = lines_of(body, lone_ends);
    if (form == CanonicalForm::relaxed)
        for (auto& line : lines) line = relaxed_line(line);
    while (!lines.empty() && lines.back().empty()) lines.pop_back();
    std::string out;
    for (auto const& line : lines) out += line + "\r\n";
    return out.empty() && form == CanonicalForm::simple ? "\r\n" : out;
}

class Generator {
  public:
    std::size_t pick(std::size_t count) {
        return std::uniform_int_distribution<std::size_t>(0, count - 1)(random_);
    }
    std::string body() {
        constexpr std::string_view words[] = {
            " ",
            "  ",
            "\t",
            "\r\n",
            "\r\n",
            "\r",
            "\n",
            "a",
            "word",
            " \r\n",
            "two words",
            "\xc3\xa4\0x",
            "a longer piece of text that goes over more than sixteen octets",
            "\t \t",
            "\r\n\r\n\r\n"};
        std::string out;
        // Some bodies have nothing odd for long, some only odd octets.
        auto const first = pick(3) == 0 ? 7U : 0U;
        for (auto count = pick(200); count > 0; --count) out += words[first + pick(std::size(words) - first)];
        return out;
    }

  private:
    std::mt19937 random_{20261121};
};

} // namespace

TEST_CASE("the body's hash is that of the canonical text, whatever the body and its pieces") {
    Generator generator;
    for (int round = 0; round < 2000; ++round) {
        auto const body = generator.body();
        for (auto const form : {CanonicalForm::simple, CanonicalForm::relaxed})
            for (bool const lone_ends : {false, true}) {
                auto const expected = canonical(form, body, lone_ends);
                auto const limit =
                    generator.pick(3) == 0 ? generator.pick(expected.size() + 2) : BodyHash::whole;
                BodyHash hash(form, limit, lone_ends);
                auto const piece = 1 + generator.pick(1 + generator.pick(1000));
                for (std::size_t at = 0; at < body.size(); at += piece)
                    hash.add(std::string_view(body).substr(at, piece));
                INFO("round " << round << " piece " << piece << " limit " << limit << ": "
                              << printable(body, 9999));
                REQUIRE(hex_encode(hash.finish()) ==
                        hex_encode(sha256(std::string_view(expected).substr(0, limit))));
                REQUIRE(hash.canonical_length() == expected.size());
                REQUIRE(hash.hashed() == std::min<std::uint64_t>(expected.size(), limit));
            }
    }
}

TEST_CASE("a body of nothing but line ends of one kind is read once") {
    // Searching for both kinds ahead of every line would take minutes here.
    std::string const ends(std::size_t{8} << 20, '\n');
    for (auto const form : {CanonicalForm::simple, CanonicalForm::relaxed}) {
        BodyHash hash(form, BodyHash::whole, true);
        hash.add(ends);
        CHECK(hex_encode(hash.finish()) == hex_encode(sha256(form == CanonicalForm::simple ? "\r\n" : "")));
    }
}
