// The parameters of MAIL FROM (RFC 1870, 6152, 6531).
#pragma once

#include "common/mail/reply.h"

#include <cstdint>
#include <optional>
#include <string_view>

namespace postern::lmtp_deliver {

inline mail::Reply const message_too_large{552, "5.3.4", "Message size exceeds administrative limit"};

// What is wrong with "SIZE=1000 BODY=8BITMIME SMTPUTF8", in one reply; absent: nothing. A limit of 0 is none.
std::optional<mail::Reply> refused_mail_parameters(std::string_view parameters,
                                                   std::uint64_t max_message_size);

} // namespace postern::lmtp_deliver
