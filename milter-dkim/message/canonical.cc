// One pass over each octet; line ends and white space wait until text follows them. Most octets of most mail
// are canonical as they stand: they are found sixteen at a time, and neither copied nor looked at again.
#include "milter-dkim/message/canonical.h"

#include "common/base/text.h"

#include <openssl/evp.h>

#include <algorithm>
#include <bit>
#include <stdexcept>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace postern::milter_dkim {

namespace {

constexpr std::size_t buffer_size = 16384;

constexpr std::size_t worth_no_copy = 256; // octets; hashing fewer at once costs more than copying them

// Whether relaxed form may change the octet at this place: a tab, a line end, or a blank that is not alone
// between two words of a line. line_feed is '\n' where that ends lines by itself, else '\r' once more.
bool is_special(std::string_view text, std::size_t at, char line_feed) {
    char const c = text[at];
    if (c == '\t' || c == '\r' || c == line_feed) return true;
    if (c != ' ') return false;
    if (at + 1 == text.size()) return true;
    char const next = text[at + 1];
    return next == ' ' || next == '\t' || next == '\r' || next == line_feed;
}

std::size_t next_special(std::string_view text, std::size_t at, char line_feed) {
#ifdef __SSE2__
    constexpr std::size_t width = 16;
    auto const all = [](char c) { return _mm_set1_epi8(c); };
    auto const load = [&](std::size_t from) {
        return _mm_loadu_si128(reinterpret_cast<__m128i const*>(text.data() + from));
    };
    auto const breaks = [&](__m128i octets) {
        return _mm_or_si128(
            _mm_cmpeq_epi8(octets, all('\t')),
            _mm_or_si128(_mm_cmpeq_epi8(octets, all('\r')), _mm_cmpeq_epi8(octets, all(line_feed))));
    };
    for (; at + width < text.size(); at += width) {
        auto const here = load(at);
        auto const next = load(at + 1);
        auto const blank_next = _mm_or_si128(breaks(next), _mm_cmpeq_epi8(next, all(' ')));
        auto const special =
            _mm_or_si128(breaks(here), _mm_and_si128(_mm_cmpeq_epi8(here, all(' ')), blank_next));
        if (auto const mask = static_cast<unsigned>(_mm_movemask_epi8(special)); mask != 0)
            return at + static_cast<std::size_t>(std::countr_zero(mask));
    }
#endif
    while (at < text.size() && !is_special(text, at, line_feed)) ++at;
    return at;
}

// Bare CR and LF count as blanks in a header: RFC 5322 allows none, and a verifier may unfold them.
bool is_header_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

} // namespace

std::string canonical_field(CanonicalForm form, std::string_view field) {
    if (form == CanonicalForm::simple) return std::string(field);
    auto const colon = field.find(':');
    std::string out = to_lower(trim_right(field.substr(0, colon)));
    out += ':';
    if (colon == std::string_view::npos) return out;
    bool blank = false;
    bool text = false;
    for (char const c : field.substr(colon + 1)) {
        if (is_header_blank(c)) {
            blank = text;
            continue;
        }
        if (blank) out += ' ';
        blank = false;
        text = true;
        out += c;
    }
    return out;
}

void BodyHash::Free::operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }

BodyHash::BodyHash(CanonicalForm form, std::uint64_t limit, bool lone_ends)
    : context_(EVP_MD_CTX_new()), form_(form), limit_(limit), lone_ends_(lone_ends) {
    if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1)
        throw std::runtime_error("SHA-256 is not available");
    buffer_.reserve(buffer_size);
}

BodyHash::~BodyHash() = default;
BodyHash::BodyHash(BodyHash&&) noexcept = default;
BodyHash& BodyHash::operator=(BodyHash&&) noexcept = default;

void BodyHash::hash(std::string_view text) {
    auto const size = std::min<std::uint64_t>(text.size(), limit_ - hashed_);
    if (size > 0) EVP_DigestUpdate(context_.get(), text.data(), size);
    if (copy_ != nullptr) *copy_ += text.substr(0, size);
    hashed_ += size;
}

void BodyHash::flush() {
    hash(buffer_);
    buffer_.clear();
}

void BodyHash::put(std::string_view text) {
    length_ += text.size();
    if (text.size() >= worth_no_copy || buffer_.size() + text.size() > buffer_size) flush();
    if (text.size() >= worth_no_copy)
        hash(text);
    else
        buffer_ += text;
}

// What waited for text.
void BodyHash::put_gap() {
    for (; pending_ends_ > 0; --pending_ends_) put("\r\n");
    if (blank_) put(" ");
    blank_ = false;
}

void BodyHash::end_line() {
    blank_ = false;
    ++pending_ends_;
}

// Whether what waits stands between the span and the text in just its canonical octets. The gap holds nothing
// but line ends and blanks, so that its length tells.
bool BodyHash::continues(std::string_view chunk, Span const& span, std::size_t begin) const {
    if (span.begin == span.end || (lone_ends_ && pending_ends_ > 0)) return false;
    if (begin - span.end != 2 * pending_ends_ + (blank_ ? 1U : 0U)) return false;
    return !blank_ || chunk[begin - 1] == ' ';
}

void BodyHash::take_text(std::string_view chunk, Span& span, std::size_t begin, std::size_t end) {
    if (begin == end) return;
    has_text_ = true;
    if (!continues(chunk, span, begin)) {
        put(chunk.substr(span.begin, span.end - span.begin));
        put_gap();
        span.begin = begin;
    }
    blank_ = false;
    pending_ends_ = 0;
    span.end = end;
}

std::size_t BodyHash::text_end(std::string_view chunk, std::size_t at) const {
    if (form_ == CanonicalForm::relaxed) return next_special(chunk, at, lone_ends_ ? '\n' : '\r');
    auto const found = lone_ends_ ? chunk.find_first_of("\r\n", at) : chunk.find('\r', at);
    return std::min(found, chunk.size());
}

// The chunk does not end between CR and LF.
void BodyHash::add_lines(std::string_view chunk) {
    Span span;
    std::size_t at = 0;
    for (;;) {
        // Only relaxed form has waiting blanks.
        while (blank_ && at < chunk.size() && is_blank(chunk[at])) ++at;
        auto const end = text_end(chunk, at);
        take_text(chunk, span, at, end);
        if (end == chunk.size()) break;
        at = end + 1;
        char const c = chunk[end];
        if (c == '\r' && at < chunk.size() && chunk[at] == '\n') {
            ++at;
            end_line();
        } else if (c == ' ' || c == '\t')
            blank_ = true;
        else if (lone_ends_)
            end_line();
        else
            take_text(chunk, span, end, at); // a lone CR is text
    }
    put(chunk.substr(span.begin, span.end - span.begin));
}

// The last chunk's CR, behind which no LF came.
void BodyHash::end_lone() {
    if (lone_ends_) return end_line();
    put_gap();
    has_text_ = true;
    put("\r");
}

void BodyHash::add(std::string_view chunk) {
    if (chunk.empty()) return;
    if (carriage_return_) {
        carriage_return_ = false;
        if (chunk.front() == '\n') {
            end_line();
            chunk.remove_prefix(1);
        } else
            end_lone();
    }
    if (chunk.ends_with('\r')) {
        carriage_return_ = true;
        chunk.remove_suffix(1);
    }
    add_lines(chunk);
}

std::string BodyHash::finish() {
    if (carriage_return_) end_lone();
    // RFC 6376 3.4.3: an empty body is one line end; 3.4.4: or nothing.
    if (has_text_ || form_ == CanonicalForm::simple) put("\r\n");
    flush();
    std::string digest(32, '\0');
    EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(digest.data()), nullptr);
    return digest;
}

std::string sha256(std::string_view text) {
    std::string digest(32, '\0');
    EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(digest.data()), nullptr,
               EVP_sha256(), nullptr);
    return digest;
}

} // namespace postern::milter_dkim
