// Replies of SMTP and LMTP servers (RFC 5321 4.2, RFC 2034) as they go over the wire.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace postern::mail {

// One final answer. The text is for strangers: fixed words and addresses, never a cause.
struct Reply {
    int code = 0;         // 200 to 599
    std::string enhanced; // "2.1.0" (RFC 3463); empty where the protocol has none
    std::string text;

    bool is_success() const { return code >= 200 && code < 400; }
    // "250 2.1.0 OK\r\n". Controls in the text become '?', so that an address cannot end the line; a line
    // that would pass max_reply_line octets is cut.
    std::string to_wire() const;
};

// RFC 5321 4.5.3.1.5 says 512; Postfix reads 2048 and Dovecot writes addresses whole, so ours are cut there.
inline constexpr std::size_t max_reply_line = 2048;

// "250-mx.example.com\r\n250-8BITMIME\r\n250 PIPELINING\r\n"; at least one line.
std::string multiline_reply(int code, std::vector<std::string> const& lines);

} // namespace postern::mail
