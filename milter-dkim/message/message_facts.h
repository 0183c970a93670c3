// What is known of a message at the end of its header.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postern::milter_dkim {

using HeaderList = std::vector<std::pair<std::string, std::string>>; // name, value as received; topmost first

struct MessageFacts {
    std::string client_name;
    std::string client_address;          // "127.0.0.1" when the MTA told none
    std::vector<std::string> recipients; // without angle brackets
    HeaderList const* headers = nullptr;
    std::function<std::optional<std::string>(std::string_view name)> macro;
};

} // namespace postern::milter_dkim
