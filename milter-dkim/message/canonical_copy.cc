// Makes the canonical forms again, this time to keep them.
#include "milter-dkim/message/canonical_copy.h"

#include "common/base/text.h"
#include "common/net/descriptor.h"
#include "milter-dkim/message/hashed_header.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace postern::milter_dkim {

namespace {

Canonicalization forms_of(SignatureField const& field) {
    // RFC 6376 3.5: both are simple when c= is not there.
    auto const read = field.tags.find("c");
    return read ? parse_canonicalization(*read).value_or(Canonicalization{}) : Canonicalization{};
}

std::uint64_t limit_of(SignatureField const& field) {
    auto const read = field.tags.find("l");
    return read ? parse_number<std::uint64_t>(*read).value_or(BodyHash::whole) : BodyHash::whole;
}

std::string canonical_body(Canonicalization forms, std::uint64_t limit, std::string_view body,
                           bool lone_ends) {
    std::string text;
    BodyHash hash(forms.body, limit, lone_ends);
    hash.copy_to(text);
    hash.add(body);
    hash.finish();
    return text;
}

Result<> write_file(std::string_view text, std::string const& pattern) {
    std::string path = pattern;
    net::Descriptor const file(::mkstemp(path.data()));
    if (!file) return system_error("create " + pattern, errno);
    if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        return system_error("write " + path, errno);
    return {};
}

} // namespace

CanonicalCopy canonical_copy(SignatureField const& field, std::string_view value, HeaderList const& headers,
                             std::string_view body, bool lone_ends) {
    auto const forms = forms_of(field);
    std::vector<std::string> names;
    auto const listed = field.tag("h");
    for (auto const name : split_words(listed, ": \t\r\n")) names.emplace_back(name);
    CanonicalCopy copy;
    copy.header = hashed_header(forms.header, names, field_texts(headers)) +
                  canonical_field(forms.header, "DKIM-Signature:" + with_crlf(without_signature(value)));
    copy.body = canonical_body(forms, limit_of(field), body, lone_ends);
    return copy;
}

Result<> write_copies(CanonicalCopy const& copy, std::string const& directory, std::string_view job_id) {
    auto const pattern =
        fmt::format("{}/dkim.{}.XXXXXX", directory, replace_all(printable(job_id, 100), "/", "."));
    if (auto done = write_file(copy.header, pattern); !done) return done;
    return write_file(copy.body, pattern);
}

} // namespace postern::milter_dkim
