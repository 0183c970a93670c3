// A session on a map instead of the DNS.
#pragma once

#include "policyd-spf/session.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/fake_resolver.h"
#include "tests/unit/support/replay.h"
#include "tests/unit/support/test_log.h"

#include <fmt/format.h>

#include <memory>
#include <string>
#include <string_view>

namespace postern::test {

struct PolicyBench {
    FakeResolver resolver;
    TestLog log;
    Metrics metrics;
    std::unique_ptr<spf::Engine> engine = spf::make_libspf2_engine();
    spf::Checker checker{resolver, *engine};
    std::shared_ptr<policyd_spf::Settings const> settings;

    explicit PolicyBench(std::string_view zone, std::string_view configuration = "") {
        resolver.zone.lines(zone);
        configure(configuration);
    }
    void configure(std::string_view configuration) {
        settings = std::make_shared<policyd_spf::Settings const>(
            policyd_spf::parse_settings(configuration, "test.conf").settings);
    }
    std::unique_ptr<policyd_spf::Session> session() {
        return std::make_unique<policyd_spf::Session>(settings,
                                                      policyd_spf::Shared{resolver, checker, log, metrics});
    }
    std::string all(std::string_view input) { return replay(*session(), input); }
    // One request's action, without "action=" and the line ends.
    std::string action(std::string_view client, std::string_view helo, std::string_view sender,
                       std::string_view recipient = "user@postern.example") {
        auto const reply = all(request(client, helo, sender, recipient));
        REQUIRE(reply.starts_with("action="));
        REQUIRE(reply.ends_with("\n\n"));
        return reply.substr(7, reply.size() - 9);
    }
    static std::string request(std::string_view client, std::string_view helo, std::string_view sender,
                               std::string_view recipient = "user@postern.example",
                               std::string_view instance = "123.456") {
        return fmt::format("request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n"
                           "client_address={}\nclient_name=unknown\nhelo_name={}\nsender={}\nrecipient={}\n"
                           "recipient_count=0\nqueue_id=\ninstance={}\nsize=0\n\n",
                           client, helo, sender, recipient, instance);
    }
};

} // namespace postern::test
