// The policy server (weakforced and its like): auth_policy_* of a dovecot.conf.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace postern::auth_socket {

// The longest that one question to the policy server may take: there may be two in a login.
inline constexpr std::chrono::milliseconds longest_policy_answer{2000};

struct PolicySettings {
    std::string server_url; // empty: there is none
    std::string api_header;
    std::chrono::milliseconds timeout = longest_policy_answer;
    std::string hash_digest = "SHA256"; // OpenSSL's name; MD4 is ours
    std::string hash_nonce;
    unsigned hash_truncate = 12; // bits; 0: all
    bool log_only = false;
    bool reject_on_fail = false;
    bool check_before = true;
    bool check_after = true;
    bool report_after = true;
    // Paths, whose parts are separated by '/', and templates.
    std::vector<std::pair<std::string, std::string>> attributes{{"login", "%{requested_username}"},
                                                                {"pwhash", "%{hashed_password}"},
                                                                {"remote", "%{rip}"},
                                                                {"device_id", "%{client_id}"},
                                                                {"protocol", "%s"},
                                                                {"session_id", "%{session}"}};
};

} // namespace postern::auth_socket
