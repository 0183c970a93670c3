// The header fields that final delivery puts in front of a message (RFC 5321 4.4), as Dovecot words them.
#pragma once

#include "lmtp-deliver/path.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postern::lmtp_deliver {

// lmtp_hdr_delivery_address: which address Delivered-To names.
enum class DeliveredTo { none, final_address, original };

struct Trace {
    Address mail_from;
    std::optional<Address> recipient; // set when it is the only one
    std::string lhlo;
    std::string client_address; // empty for Unix sockets
    std::string hostname;
    std::string transaction_id;
    std::int64_t unix_seconds = 0;
    DeliveredTo delivered_to = DeliveredTo::final_address;
    bool received = true; // lmtp_add_received_header
};

// With LF line ends, as the file has them.
std::string trace_header(Trace const& trace);

// The Message-ID of a message for the log: its brackets kept, "unspecified" when there is none.
std::string message_id(std::string_view beginning);

} // namespace postern::lmtp_deliver
