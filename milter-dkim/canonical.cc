// One pass over each octet; line ends and white space wait until text follows them.
#include "milter-dkim/canonical.h"

#include "common/base/text.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace postern::milter_dkim {

namespace {

constexpr std::size_t buffer_size = 16384;

// The end of the run of octets that are neither blanks nor a line end's.
std::size_t run_end(std::string_view text, std::size_t at) {
    while (at < text.size() && text[at] != ' ' && text[at] != '\t' && text[at] != '\r' && text[at] != '\n')
        ++at;
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

void BodyHash::flush() {
    auto const size = std::min<std::uint64_t>(buffer_.size(), limit_ - hashed_);
    if (size > 0) EVP_DigestUpdate(context_.get(), buffer_.data(), size);
    hashed_ += size;
    buffer_.clear();
}

void BodyHash::put(std::string_view text) {
    length_ += text.size();
    if (buffer_.size() + text.size() > buffer_size) flush();
    if (text.size() < buffer_size) {
        buffer_ += text;
        return;
    }
    auto const size = std::min<std::uint64_t>(text.size(), limit_ - hashed_);
    if (size > 0) EVP_DigestUpdate(context_.get(), text.data(), size);
    hashed_ += size;
}

void BodyHash::add_text(std::string_view run) {
    if (run.empty()) return;
    for (; pending_ends_ > 0; --pending_ends_) put("\r\n");
    if (blank_) put(" ");
    blank_ = false;
    has_text_ = true;
    put(run);
}

void BodyHash::end_line() {
    blank_ = false;
    ++pending_ends_;
}

// text holds no unfinished CRLF at its end.
void BodyHash::add_lines(std::string_view text) {
    std::size_t at = 0;
    while (at < text.size()) {
        std::size_t end = 0;
        if (form_ == CanonicalForm::relaxed || lone_ends_)
            end = run_end(text, at);
        else {
            auto const* found = std::memchr(text.data() + at, '\r', text.size() - at);
            end = found == nullptr ? text.size()
                                   : static_cast<std::size_t>(static_cast<char const*>(found) - text.data());
        }
        add_text(text.substr(at, end - at));
        if (end == text.size()) return;
        at = end + 1;
        switch (text[end]) {
        case '\r':
            if (at < text.size() && text[at] == '\n') {
                ++at;
                end_line();
            } else if (lone_ends_)
                end_line();
            else
                add_text("\r");
            break;
        case '\n':
            if (lone_ends_)
                end_line();
            else
                add_text("\n");
            break;
        default:
            if (form_ == CanonicalForm::relaxed)
                add_blank();
            else
                add_text(text.substr(end, 1));
        }
    }
}

void BodyHash::add(std::string_view chunk) {
    if (chunk.empty()) return;
    if (carriage_return_) {
        carriage_return_ = false;
        if (chunk.front() == '\n') {
            end_line();
            chunk.remove_prefix(1);
        } else if (lone_ends_)
            end_line();
        else
            add_text("\r");
    }
    if (chunk.ends_with('\r')) {
        carriage_return_ = true;
        chunk.remove_suffix(1);
    }
    add_lines(chunk);
}

std::string BodyHash::finish() {
    if (carriage_return_) {
        if (lone_ends_)
            end_line();
        else
            add_text("\r");
    }
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
