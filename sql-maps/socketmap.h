// Sendmail's socketmap protocol: netstrings "name key" and "OK value".
#pragma once

#include "common/base/error.h"
#include "sql-maps/lookup.h"

#include <optional>
#include <string>
#include <string_view>

namespace postern::sql_maps {

class NetstringDecoder {
  public:
    static constexpr std::size_t max_request = 100'000; // octets between ':' and ','

    void feed(std::string_view bytes) { buffer_ += bytes; }
    Result<std::optional<std::string>> next();

  private:
    std::string buffer_;
};

std::string netstring(std::string_view payload);

// What Postfix takes at most, "OK " included.
inline constexpr std::size_t max_socketmap_reply = 100'000;

// The whole reply: "OK value", "NOTFOUND " or "TEMP text"; a text of the log's never reaches the client.
std::string socketmap_reply(Result<Answer> const& answer);

} // namespace postern::sql_maps
