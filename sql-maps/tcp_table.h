// The tcp_table(5) protocol: "get KEY" answered by "200 VALUE", "500 text" or "400 text", with %XX quoting.
#pragma once

#include "common/base/error.h"
#include "sql-maps/lookup.h"

#include <optional>
#include <string>
#include <string_view>

namespace postern::sql_maps {

inline constexpr std::size_t max_tcp_line = 4096; // octets of a request or a reply, with the LF

class LineDecoder {
  public:
    void feed(std::string_view bytes) { buffer_ += bytes; }
    Result<std::optional<std::string>> next(); // without the LF

  private:
    std::string buffer_;
};

// %, blanks, controls and 8-bit octets become %XX.
std::string tcp_quoted(std::string_view text);
// Absent when a '%' is not followed by two hexadecimal digits.
std::optional<std::string> tcp_unquoted(std::string_view text);

std::string tcp_reply(Result<Answer> const& answer);

} // namespace postern::sql_maps
