// One connection of Postfix: requests in, actions out, in order.
#pragma once

#include "common/net/server.h"
#include "policyd-spf/policy.h"

#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace postern::policyd_spf {

class Session final : public net::Session {
  public:
    Session(std::shared_ptr<Settings const> settings, Shared shared);
    ~Session() override;

    // A request is answered with "dunno" when something of ours breaks; a broken request ends the connection.
    Result<std::string> receive(std::string_view bytes) override;
    // The answers to what came whole before the broken request.
    std::string farewell(Error const&) override { return std::move(unsent_); }

  private:
    void watch(std::string_view line, bool matched);

    Shared shared_;
    Policy policy_;
    Decoder decoder_;
    std::string unsent_;
};

} // namespace postern::policyd_spf
