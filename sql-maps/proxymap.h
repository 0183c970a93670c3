// The proxymap protocol's bytes: lists of name and value, each ended by a NUL, the list by one more.
#pragma once

#include "common/base/error.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postern::sql_maps {

using Attributes = std::vector<std::pair<std::string, std::string>>;

std::string encode(Attributes const& attributes);
// The first value of that name; empty when absent.
std::string_view value_of(Attributes const& attributes, std::string_view name);

// One status for each answer; what Postfix does with it: retry and config defer mail, bad and deny are fatal
// to the process that asked.
enum class ProxyStatus { ok = 0, no_key = 1, retry = 2, bad = 3, deny = 4, config = 5 };

class AttributeDecoder {
  public:
    static constexpr std::size_t max_list = 65536;    // octets of one list, with its NULs
    static constexpr std::size_t max_attributes = 32; // in one list

    void feed(std::string_view bytes) { buffer_ += bytes; }
    // The next whole list, and nothing when it has not come yet; malformed when it is too long.
    Result<std::optional<Attributes>> next();
    bool empty() const { return buffer_.empty(); }

  private:
    Result<std::optional<Attributes>> ended_at(std::size_t end);

    std::string buffer_;
    std::size_t scanned_ = 0; // before it stand whole strings of the list
    Attributes attributes_;   // of the list so far
    std::optional<std::string> name_;
};

} // namespace postern::sql_maps
