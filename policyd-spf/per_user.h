// Per_User: settings of single recipients, policyd-spf.conf(5).
#pragma once

#include "policyd-spf/settings.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::policyd_spf {

struct PerUser {
    std::optional<Settings> settings; // of the first line for the recipient; absent: the common ones
    std::vector<GivenValue> found;    // what the line says and may say, in its order
    std::vector<config::Problem> problems;
};

// Lines "recipient,Name=value|Name=value" in the file, read anew each time. Case of the recipient does not
// count.
PerUser read_per_user(Settings const& common, std::string_view recipient);
PerUser parse_per_user(std::string_view text, std::string const& file, Settings const& common,
                       std::string_view recipient);

} // namespace postern::policyd_spf
