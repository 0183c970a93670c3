// The header section of a message as it came: fields in order, with their original octets.
#pragma once

#include "common/base/error.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace postern::mail {

// One field. The octets are kept as received, since signatures cover them and deliveries repeat them.
class HeaderField {
  public:
    // octets: name, colon, value and, when it was read from a message, the line end.
    explicit HeaderField(std::string octets);
    HeaderField(std::string_view name, std::string_view value);

    std::string const& octets() const { return octets_; }
    // Without the blanks that obsolete syntax (RFC 5322 4.5) allows before the colon: "From : x" is a From.
    std::string_view name() const { return std::string_view(octets_).substr(0, name_length_); }
    // Everything behind the colon, with leading blank and inner line ends, without the last line end.
    std::string_view value() const;
    // The value on one line, trimmed.
    std::string unfolded_value() const;
    bool is(std::string_view name) const; // any case

  private:
    std::string octets_;
    std::size_t name_length_ = 0;
    std::size_t colon_ = 0;
};

struct HeaderLimits {
    std::size_t fields = 5000;
    std::size_t octets = std::size_t{1024} * 1024; // all fields together
};

class Headers {
  public:
    explicit Headers(HeaderLimits limits = {}) : limits_(limits) {}

    // Reads a section up to its empty line or the end; lines end with LF or CRLF. A line that is no field and
    // continues none is malformed, except "From " at the very start (mbox). The error past a limit is
    // permanent.
    static Result<Headers> parse(std::string_view section, HeaderLimits limits = {});

    Result<> add(HeaderField field);

    std::vector<HeaderField> const& fields() const { return fields_; }
    std::size_t count(std::string_view name) const;
    // The topmost one, null when there is none.
    HeaderField const* first(std::string_view name) const;
    std::vector<HeaderField const*> all(std::string_view name) const; // topmost first

  private:
    HeaderLimits limits_;
    std::vector<HeaderField> fields_;
    std::size_t octets_ = 0;
};

// Where the body begins in a whole message: behind the first empty line, or at the end.
std::size_t body_offset(std::string_view message);

} // namespace postern::mail
