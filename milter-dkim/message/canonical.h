// RFC 6376 section 3.4: the canonical forms of header fields and of the body, and the body's hash.
#pragma once

#include "milter-dkim/settings.h"

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

typedef struct evp_md_ctx_st EVP_MD_CTX;

namespace postern::milter_dkim {

// One field as it stands in a message, lines ended with CRLF but without the last one: "Subject: a\r\n b".
// The canonical text has no line end either.
std::string canonical_field(CanonicalForm form, std::string_view field);

// SHA-256 of a body in canonical form, fed in any pieces. Only CRLF ends a line, unless lone CR and LF are
// taken for line ends too (FixCRLF). Memory is bounded whatever is fed; octets that are canonical already are
// hashed where they stand.
class BodyHash {
  public:
    static constexpr std::uint64_t whole = std::numeric_limits<std::uint64_t>::max();

    // limit: so many canonical octets are hashed, the rest is only counted.
    explicit BodyHash(CanonicalForm form, std::uint64_t limit = whole, bool lone_ends = false);
    ~BodyHash();
    BodyHash(BodyHash&&) noexcept;
    BodyHash& operator=(BodyHash&&) noexcept;

    // What is hashed is appended to the text, too, which must outlive this.
    void copy_to(std::string& text) { copy_ = &text; }

    void add(std::string_view chunk);
    // Once, after the last octet; 32 octets.
    std::string finish();
    std::uint64_t hashed() const { return hashed_; }           // octets, at most the limit
    std::uint64_t canonical_length() const { return length_; } // octets of the whole canonical body

  private:
    // What of the chunk at hand is canonical as it stands and not hashed yet.
    struct Span {
        std::size_t begin = 0;
        std::size_t end = 0;
    };
    void add_lines(std::string_view chunk);
    std::size_t text_end(std::string_view chunk, std::size_t at) const;
    void take_text(std::string_view chunk, Span& span, std::size_t begin, std::size_t end);
    bool continues(std::string_view chunk, Span const& span, std::size_t begin) const;
    void put_gap();
    void put(std::string_view text);
    void end_line();
    void end_lone();
    void hash(std::string_view text);
    void flush();

    struct Free {
        void operator()(EVP_MD_CTX* context) const;
    };
    std::unique_ptr<EVP_MD_CTX, Free> context_;
    CanonicalForm form_;
    std::uint64_t limit_;
    bool lone_ends_;
    std::string buffer_;             // canonical octets not hashed yet
    std::uint64_t pending_ends_ = 0; // line ends that count only if text follows
    bool blank_ = false;             // relaxed: white space that counts only if text follows in the line
    bool has_text_ = false;
    bool carriage_return_ = false; // the last octet of the last chunk
    std::uint64_t length_ = 0;
    std::uint64_t hashed_ = 0;
    std::string* copy_ = nullptr;
};

// SHA-256 of a text; 32 octets.
std::string sha256(std::string_view text);

} // namespace postern::milter_dkim
