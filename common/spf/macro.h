// Macro strings (RFC 7208 section 7): checked when they are read, expanded when they are needed.
#pragma once

#include "common/base/error.h"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::spf {

// Gives the value of a macro letter (lower case, one of s l o d i p v h c r t).
using MacroValue = std::function<std::string(char letter)>;

class MacroString {
  public:
    enum class Place {
        domain,      // domain-spec: no spaces, and %{c}, %{r}, %{t} are not allowed
        explanation, // exp= text
    };

    MacroString() = default;
    // The error's text is what a person reads after "SPF Permanent Error: ".
    static Result<MacroString> parse(std::string_view text, Place place);
    // The same, and it must end in a macro or a top label (RFC 7208 7.1 domain-end).
    static Result<MacroString> parse_domain_spec(std::string_view text);

    std::string const& text() const { return text_; }
    bool empty() const { return text_.empty(); }
    bool has_macro() const;

    // At most max_expansion octets; what is beyond is not made.
    std::string expand(MacroValue const& value) const;
    // RFC 7208 7.3: without the final dot, and cut from the left by whole labels to 253 octets.
    std::string expand_domain(MacroValue const& value) const;

    static constexpr std::size_t max_expansion = 8192;

  private:
    struct Piece {
        std::string literal = {}; // when letter is 0
        char letter = 0;          // lower case
        bool url_escape = false;  // an upper case letter
        unsigned right_parts = 0; // 0: all
        bool reverse = false;
        std::string delimiters = {};
    };
    static Result<Piece> parse_macro(std::string_view inside, std::string_view whole, Place place);
    bool ends_well() const;

    std::string text_;
    std::vector<Piece> pieces_;
};

} // namespace postern::spf
