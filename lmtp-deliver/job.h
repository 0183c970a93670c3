// Work for another process as bytes: plans over, outcomes back.
#pragma once

#include "common/base/error.h"
#include "lmtp-deliver/delivery.h"
#include "lmtp-deliver/plan.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::lmtp_deliver {

struct Job {
    bool check_only = false; // why a tiny copy could not be stored; without a message
    MessageSize size;
    std::vector<Plan> plans;
};

std::string encode_job(Job const& job);
Result<Job> decode_job(std::string_view bytes);

// With an end mark: what a process wrote before it died is not an answer.
std::string encode_outcomes(std::vector<Outcome> const& outcomes);
Result<std::vector<Outcome>> decode_outcomes(std::string_view bytes, std::size_t expected);

} // namespace postern::lmtp_deliver
