// Which of the passdbs' remarks tell of a failure.
#include "auth-socket/users/remarks.h"

#include <algorithm>

namespace postern::auth_socket {

namespace {

// Of several that come to the same the last one counts; but a reason, that of a token, is worth more than
// none.
bool has_reason(Remark const& remark) {
    return remark.verdict != Verdict::password_mismatch || !remark.line.contains("): Password mismatch");
}

bool is_outdone(Remark const& remark, Remark const& other) {
    if (remark.verdict != other.verdict || &remark == &other) return false;
    return has_reason(remark) == has_reason(other) ? &other > &remark : has_reason(other);
}

} // namespace

std::vector<std::string> lines_of_failure(Remarks const& remarks, Verdict ended) {
    if (ended == Verdict::ok || ended == Verdict::temporary) return {};
    auto const knows_user = std::ranges::any_of(
        remarks.made, [](Remark const& each) { return each.verdict != Verdict::unknown_user; });
    std::vector<std::string> lines;
    for (auto const& each : remarks.made) {
        auto const is_unknown = each.verdict == Verdict::unknown_user;
        auto const is_one_of_many = is_unknown || each.verdict == Verdict::password_mismatch;
        if (is_unknown && knows_user) continue;
        if (is_one_of_many && std::ranges::any_of(remarks.made, [&each](Remark const& other) {
                return is_outdone(each, other);
            }))
            continue;
        lines.push_back(each.line);
    }
    return lines;
}

} // namespace postern::auth_socket
