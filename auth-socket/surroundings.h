// What every session of the daemon shares.
#pragma once

#include "auth-socket/authority.h"
#include "auth-socket/executor.h"
#include "auth-socket/login_counts.h"
#include "auth-socket/logins.h"
#include "auth-socket/penalty.h"
#include "auth-socket/tokens.h"
#include "common/base/log.h"

#include <atomic>
#include <cstdint>
#include <memory>

namespace postern::auth_socket {

struct Surroundings {
    Executor& executor;
    Logins& logins;
    Penalties& penalties;
    Log& log;
    TimeSource now;
    std::uint32_t server_pid = 0;               // SPID: the same on client and master sockets
    std::atomic<std::uint32_t>& connection_ids; // CUID
    LoginCounts const& counts;
    std::shared_ptr<Tokens const> tokens = nullptr; // null: none are given out
    // For logins that wait for servers on the web, so that they hold up nobody else; null: there are none.
    Executor* web_executor = nullptr;
    // For mail processes and deliveries, which no flood of logins is to hold up; null: with the logins.
    Executor* user_executor = nullptr;

    Executor& executor_for(Authority const& authority, std::string_view mechanism) const {
        return web_executor != nullptr && authority.asks_web(mechanism) ? *web_executor : executor;
    }
    Executor& executor_for_users() const { return user_executor != nullptr ? *user_executor : executor; }
};

} // namespace postern::auth_socket
