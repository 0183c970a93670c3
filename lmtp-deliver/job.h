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

// Written one by one as copies are done. Reading gives back as many as expected: what a process did not write
// before it died has failed for now.
std::string encode_outcome(Outcome const& outcome);
std::vector<Outcome> decode_outcomes(std::string_view bytes, std::size_t expected);

} // namespace postern::lmtp_deliver
