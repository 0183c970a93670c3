// What the metrics page shows of the mail.
#include "tests/unit/milter-dkim/session_world.h"

using namespace postern;
using namespace postern::milter_dkim;
using namespace postern::test;
using World = SessionWorld;

TEST_CASE("messages are counted as signed, verified or unsigned, results by whose domain they name") {
    World world;
    auto const signed_headers = world.signed_message();
    world.client = {"localhost", "127.0.0.1"};
    world.send(world.plain);
    world.client = {"mail.example.org", "192.0.2.7"};
    world.send(signed_headers);
    world.send(world.plain);
    auto foreign = signed_headers;
    for (auto& [name, value] : foreign)
        if (name == "From") value = " a@other.example";
    world.send(foreign);
    auto const text = world.metrics.text();
    for (auto const* line :
         {"postern_dkim_messages_total{outcome=\"verified\"} 2\n",
          "postern_dkim_messages_total{outcome=\"unsigned\"} 1\n",
          "postern_dkim_signatures_verified_total{result=\"pass\",domain=\"author\"} 1\n",
          "postern_dkim_signatures_verified_total{result=\"fail\",domain=\"other\"} 1\n",
          "postern_dkim_signatures_verified_total{result=\"temperror\",domain=\"author\"} 0\n"})
        CHECK(text.contains(line));
    CHECK_FALSE(text.contains("postern_dkim_messages_total{outcome=\"signed\"} 0\n"));
}
