// The %variables of dovecot.conf (2.3) that mail_location, mail_home and plugin settings use.
#pragma once

#include "common/base/error.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace postern::lmtp_deliver {

// What the variables stand for. Absent values are an error when they are used.
struct VariableValues {
    std::string user; // %u, %{user}; %n and %d are its halves
    std::optional<std::string> home;
    std::optional<unsigned> uid;
    std::optional<unsigned> gid;
    std::string service = "lmtp";
    std::string hostname;
    std::string local_address;
    std::string remote_address;
};

// "%Ld/%1.2n/%{home}": modifiers L U E X H R D M N T, "%width" and "%offset.width" with a leading 0 for
// zeros,
// %{long names}, %{md5:user} and other hashes of OpenSSL with ";truncate=BITS". "%%" is a percent sign. An
// unknown variable is an error: half a path is worse than none.
Result<std::string> expand_variables(std::string_view text, VariableValues const& values);

} // namespace postern::lmtp_deliver
