// milter-dkim-testmsg: signs or verifies one message, as opendkim-testmsg.
#pragma once

#include "common/daemon/command_line.h"
#include "common/dns/resolver.h"
#include "milter-dkim/tools/outcome.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace postern::milter_dkim::tools {

struct TestmsgOptions {
    std::string program;
    bool keeps_crlf = false;
    std::string domain; // all three: sign; none: verify
    std::string selector;
    std::string key_path;
    std::int64_t now = 0; // Unix time, of the signature
};

// What a message may have, header and body.
inline constexpr std::size_t largest_test_message = std::size_t{256} << 20;

std::span<daemon::OptionSpec const> testmsg_options();
std::string testmsg_usage(std::string const& program);

// 0: signed, or a signature is good; 70: neither; 71: the key file cannot be read.
Outcome sign_message(TestmsgOptions const& options, std::string_view message);
Outcome verify_message(TestmsgOptions const& options, std::string_view message, dns::Resolver& resolver);

} // namespace postern::milter_dkim::tools
