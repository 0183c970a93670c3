// Commands of the administrator, the script that they are given, and reloading.
#include "milter-dkim/report/run_command.h"

#include "milter-dkim/tools/rotate/publisher.h"
#include "milter-dkim/tools/rotate/reloader.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/temp_dir.h"

#include <unistd.h>

using namespace postern;
using namespace postern::milter_dkim;
using namespace postern::milter_dkim::tools;

namespace {

Authority authority() { return {"a.example", {}, {parse_dns_server("192.0.2.1@5353", 53).value()}}; }

RecordChange change() {
    return {RecordChange::Reason::publish, "a.example", "s._domainkey.a.example", "v=DKIM1; p=\"K\\", 60};
}

} // namespace

TEST_CASE("a command has its input, its environment and its time") {
    test::TempDir const dir;
    auto const out = dir.path("out");
    REQUIRE(run_command("cat >" + out + "; echo \"$WORD\" >>" + out, {{"WORD", "two words; $x"}}, "input\n",
                        Deadline::after(std::chrono::seconds(10))));
    CHECK(dir.read("out") == "input\ntwo words; $x\n");
    CHECK(run_command("true", {}, std::string(1 << 20, 'x'), Deadline::after(std::chrono::seconds(10))));
    CHECK(run_command("exit 3", {}, {}, Deadline::never()).error().text == "\"exit 3\" ended with code 3");
    CHECK(run_command("kill -9 $$", {}, {}, Deadline::never()).error().text ==
          "\"kill -9 $$\" was ended by signal 9");
}

TEST_CASE("a command that does not end is killed with what it started") {
    auto const done =
        run_command("sleep 1000 & sleep 1000", {}, {}, Deadline::after(std::chrono::milliseconds(100)));
    REQUIRE_FALSE(done);
    CHECK(done.error().kind == ErrorKind::temporary);
    CHECK(done.error().text.ends_with("did not end in time and was killed"));
}

TEST_CASE("the script is one that nsupdate reads, with the record quoted") {
    CHECK(update_script(change(), authority(), true) ==
          "server 192.0.2.1 5353\nzone a.example.\nupdate delete s._domainkey.a.example. TXT\n"
          "update add s._domainkey.a.example. 60 TXT \"v=DKIM1; p=\\\"K\\\\\"\nsend\n");
    CHECK(update_script(change(), authority(), false).starts_with("zone a.example.\n"));
}

TEST_CASE("a publishing command finds the script and the change") {
    test::TempDir const dir;
    auto const publisher = command_publisher(
        "cat >" + dir.path("script") +
            "; env | grep -E '^POSTERN_(DOMAIN|NAME|REASON|TEXT|TTL|ZONE)=' | sort >" + dir.path("env"),
        false);
    auto revoked = change();
    revoked.reason = RecordChange::Reason::revoke;
    revoked.text = "v=DKIM1; p=";
    REQUIRE(publisher->publish(revoked, authority(), Deadline::after(std::chrono::seconds(10))));
    CHECK(dir.read("script") == update_script(revoked, authority(), false));
    CHECK(dir.read("env") ==
          "POSTERN_DOMAIN=a.example\nPOSTERN_NAME=s._domainkey.a.example\nPOSTERN_REASON=revoke\n"
          "POSTERN_TEXT=v=DKIM1; p=\nPOSTERN_TTL=60\nPOSTERN_ZONE=a.example\n");
}

TEST_CASE("a daemon that does not run needs no signal, a stranger gets none") {
    test::TempDir const dir;
    auto const reload = [&](std::string_view contents) {
        return signal_reloader(dir.write("pid", contents))->reload(Deadline::never());
    };
    CHECK(signal_reloader(dir.path("none"))->reload(Deadline::never())->starts_with("not running"));
    CHECK(reload("")->starts_with("not running"));
    CHECK(reload("4194305\n")->starts_with("not running")); // above every pid_max
    auto const stranger = reload(std::to_string(::getpid()) + "\n");
    REQUIRE_FALSE(stranger);
    CHECK(stranger.error().text.find("is milter-dkim-too, not milter-dkim") != std::string::npos);
    for (auto const* text : {"1", "-1", "0", "word", "99999999999999"}) CHECK_FALSE(reload(text));
}

TEST_CASE("a reload command's failure is the reload's") {
    CHECK(command_reloader("true")->reload(Deadline::never()).value() == "done by true");
    CHECK_FALSE(command_reloader("false")->reload(Deadline::never()));
}
