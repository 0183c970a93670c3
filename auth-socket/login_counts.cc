// How logins come out, for Prometheus.
#include "auth-socket/login_counts.h"

#include "auth-socket/mechanisms/mechanism.h"

#include <fmt/format.h>

namespace postern::auth_socket {

namespace {

std::string_view result(Verdict verdict) {
    switch (verdict) {
    case Verdict::ok: return "ok";
    case Verdict::password_mismatch: return "wrong_password";
    case Verdict::unknown_user: return "unknown_user";
    case Verdict::wrong_network:
    case Verdict::refused: return "refused";
    case Verdict::user_disabled: return "user_disabled";
    case Verdict::password_expired: return "password_expired";
    case Verdict::not_authorized: return "not_authorized";
    case Verdict::temporary: return "temporary";
    }
    return "";
}

} // namespace

LoginCounts::LoginCounts(Metrics& metrics) {
    for (auto const& kind : mechanism_kinds()) {
        auto& mine = counters_[std::string(kind.name)];
        for (std::size_t i = 0; i < mine.size(); ++i)
            mine[i] = &metrics.counter(
                "auth_logins_total", "Logins by mechanism and result.",
                fmt::format("mechanism=\"{}\",result=\"{}\"", kind.name, result(static_cast<Verdict>(i))));
    }
}

void LoginCounts::count(std::string_view mechanism, Verdict verdict) const {
    if (auto const at = counters_.find(mechanism); at != counters_.end())
        at->second[static_cast<std::size_t>(verdict)]->add();
}

} // namespace postern::auth_socket
