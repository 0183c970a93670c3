// The texts that others read, byte for byte.
#include "tests/unit/support/catch.h"

#include "common/mail/received_spf.h"
#include "tests/unit/policyd-spf/bench.h"

using namespace postern;
using test::PolicyBench;

namespace {

constexpr std::string_view zone = "pass.example TXT v=spf1 ip4:192.0.2.1 -all\nfail.example TXT v=spf1 -all\n"
                                  "soft.example TXT v=spf1 ~all\nneutral.example TXT v=spf1 ?all\n"
                                  "broken.example TXT v=spf1 moo\nnone.example A 192.0.2.9\n"
                                  "helo.example TXT v=spf1 ip4:192.0.2.1 -all\n";

PolicyBench bench(std::string_view configuration = "") { return PolicyBench(zone, configuration); }

} // namespace

TEST_CASE("a MAIL FROM result is a Received-SPF field with the identity as comment") {
    CHECK(bench().action("192.0.2.1", "none.example", "User@Pass.example") ==
          "prepend Received-SPF: Pass (mailfrom) identity=mailfrom; client-ip=192.0.2.1; helo=none.example; "
          "envelope-from=user@pass.example; receiver=postern.example ");
    CHECK(bench()
              .action("192.0.2.1", "none.example", "u@soft.example")
              .starts_with("prepend Received-SPF: Softfail (mailfrom) identity=mailfrom; "));
    CHECK(bench()
              .action("192.0.2.1", "none.example", "u@neutral.example")
              .starts_with("prepend Received-SPF: Neutral (mailfrom) "));
    CHECK(bench()
              .action("192.0.2.1", "none.example", "u@broken.example")
              .starts_with("prepend Received-SPF: Permerror (mailfrom) "));
    CHECK(bench()
              .action("192.0.2.1", "none.example", "u@none.example")
              .starts_with("prepend Received-SPF: None (mailfrom) "));
}

TEST_CASE("a HELO result carries the explanation, and stands when MAIL FROM has none") {
    CHECK(bench().action("192.0.2.1", "HELO.example", "") ==
          "prepend Received-SPF: Pass (sender SPF authorized) identity=helo; client-ip=192.0.2.1; "
          "helo=helo.example; envelope-from=<>; receiver=postern.example ");
    CHECK(bench().action("192.0.2.1", "helo.example", "u@none.example") ==
          "prepend Received-SPF: Pass (sender SPF authorized) identity=helo; client-ip=192.0.2.1; "
          "helo=helo.example; envelope-from=u@none.example; receiver=postern.example ");
    CHECK(bench()
              .action("192.0.2.1", "none.example", "")
              .starts_with("prepend Received-SPF: None (no SPF record) identity=helo; "));
    CHECK(bench()
              .action("192.0.2.1", "broken.example", "")
              .starts_with(
                  "prepend Received-SPF: Permerror (SPF Permanent Error: Unknown mechanism found: moo) "));
}

TEST_CASE("a reject names the identity, the client and the recipient's domain") {
    CHECK(bench().action("192.0.2.1", "none.example", "u@fail.example") ==
          "550 5.7.23 Message rejected due to: SPF fail - not authorized. Please see "
          "http://www.openspf.net/Why?s=mfrom;id=u@fail.example;ip=192.0.2.1;r=postern.example");
    CHECK(bench().action("192.0.2.1", "Fail.example", "u@pass.example") ==
          "550 5.7.23 Message rejected due to: SPF fail - not authorized. Please see "
          "http://www.openspf.net/Why?s=helo;id=fail.example;ip=192.0.2.1;r=postern.example");
    CHECK(bench("PermError_reject = True").action("192.0.2.1", "none.example", "u@broken.example") ==
          "550 5.7.24 Message rejected due to: SPF Permanent Error: Unknown mechanism found: moo. Please see "
          "http://www.openspf.net/Why?s=mfrom;id=u@broken.example;ip=192.0.2.1;r=postern.example");
    CHECK(bench("SPF_Enhanced_Status_Codes = No")
              .action("192.0.2.1", "none.example", "u@fail.example")
              .starts_with("550 Message rejected due to: "));
}

TEST_CASE("a temperror is deferred when TempError_Defer says so") {
    auto at = bench("TempError_Defer = True");
    at.resolver.zone.fail("down.example");
    CHECK(at.action("192.0.2.1", "none.example", "u@down.example") ==
          "defer_if_permit 4.7.24 Message deferred due to: SPF Temporary Error: DNS SERVFAIL. Please see "
          "http://www.openspf.net/Why?s=mfrom;id=u@down.example;ip=192.0.2.1;r=postern.example");
    at.configure("TempError_Defer = True\nSPF_Enhanced_Status_Codes = No");
    CHECK(at.action("192.0.2.1", "none.example", "u@down.example")
              .starts_with("defer_if_permit Message deferred"));
    at.configure("");
    CHECK(at.action("192.0.2.1", "none.example", "u@down.example")
              .starts_with("prepend Received-SPF: Temperror (mailfrom) "));
}

TEST_CASE("skipped clients get a comment") {
    CHECK(bench().action("127.0.0.1", "Local", "U@x", "a@b") ==
          "prepend X-Comment: SPF check N/A for local connections - client-ip=127.0.0.1; helo=local; "
          "envelope-from=u@x; receiver=b ");
    CHECK(bench("Whitelist = 192.0.2.0/24").action("192.0.2.1", "h", "u@fail.example") ==
          "prepend X-Comment: SPF skipped for whitelisted relay - client-ip=192.0.2.1; helo=h; "
          "envelope-from=u@fail.example; receiver=postern.example ");
    CHECK(bench().all("client_address=127.0.0.1\n\n") == "action=prepend X-Comment: SPF check N/A for local "
                                                         "connections - client-ip=127.0.0.1; helo=<UNKNOWN>; "
                                                         "envelope-from=<UNKNOWN>; receiver=none \n\n");
    CHECK(bench("Header_Type = AR\nAuthserv_Id = mx.example").action("127.0.0.1", "h", "u@x") ==
          "prepend Authentication-Results: mx.example; none (SPF check N/A for local connections -  "
          "client-ip=127.0.0.1; helo=h; envelope-from=u@x; receiver=postern.example)");
}

TEST_CASE("Header_Type AR writes Authentication-Results") {
    auto at = bench("Header_Type = AR\nAuthserv_Id = mx.example");
    CHECK(at.action("192.0.2.1", "none.example", "u@pass.example") ==
          "prepend Authentication-Results: mx.example; spf=pass (sender SPF authorized) "
          "smtp.mailfrom=pass.example (client-ip=192.0.2.1; helo=none.example; envelope-from=u@pass.example; "
          "receiver=postern.example)");
    CHECK(
        at.action("192.0.2.1", "helo.example", "") ==
        "prepend Authentication-Results: mx.example; spf=pass (sender SPF authorized) smtp.helo=helo.example "
        "(client-ip=192.0.2.1; helo=helo.example; envelope-from=<>; receiver=postern.example)");
    CHECK(at.action("192.0.2.1", "none.example", "u@none.example") ==
          "prepend Authentication-Results: mx.example; spf=none (no SPF record) smtp.mailfrom=none.example "
          "(client-ip=192.0.2.1; helo=none.example; envelope-from=u@none.example; receiver=postern.example)");
}

TEST_CASE("Header_Type None and Prospective add nothing") {
    CHECK(bench("Header_Type = None").action("192.0.2.1", "none.example", "u@pass.example") == "dunno");
    auto at = bench("Prospective = 192.0.2.1");
    CHECK(at.action("203.0.113.9", "none.example", "u@pass.example") == "dunno");
    CHECK(at.action("203.0.113.9", "none.example", "u@fail.example").starts_with("550 5.7.23 "));
}

TEST_CASE("the receiver is the domain, the local part without one, none, or hidden") {
    auto const receiver = [](std::string_view configuration, std::string_view recipient) {
        auto const action =
            bench(configuration).action("192.0.2.1", "none.example", "u@pass.example", recipient);
        return action.substr(action.find("receiver=") + 9);
    };
    CHECK(receiver("", "Ann@Postern.example") == "postern.example ");
    CHECK(receiver("", "postmaster") == "postmaster ");
    CHECK(receiver("", "") == "none ");
    CHECK(receiver("Hide_Receiver = Yes", "ann@postern.example") == "<UNKNOWN> ");
}

TEST_CASE("Reason_Message replaces its three names once") {
    CHECK(bench("Reason_Message = {rejectdefer} {spf} {{x}} {url}")
              .action("192.0.2.1", "none.example", "{spf}@fail.example") ==
          "550 5.7.23 rejected SPF fail - not authorized {x} "
          "http://www.openspf.net/Why?s=mfrom;id={spf}@fail.example;ip=192.0.2.1;r=postern.example");
}

TEST_CASE("nobody writes our results for us: odd values are quoted or escaped") {
    auto at = bench();
    CHECK(at.action("192.0.2.1", "a; envelope-from=ceo@bank.example", "u@pass.example") ==
          "prepend Received-SPF: Pass (mailfrom) identity=mailfrom; client-ip=192.0.2.1; helo=\"a; "
          "envelope-from=ceo@bank.example\"; envelope-from=u@pass.example; receiver=postern.example ");
    at.configure("Header_Type = AR\nAuthserv_Id = mx.example");
    CHECK(at.action("192.0.2.1", "a) smtp.mailfrom=bank.example (", "u@pass.example") ==
          "prepend Authentication-Results: mx.example; spf=pass (sender SPF authorized) "
          "smtp.mailfrom=pass.example (client-ip=192.0.2.1; helo=a\\) smtp.mailfrom=bank.example \\(; "
          "envelope-from=u@pass.example; receiver=postern.example)");
    CHECK(at.action("192.0.2.1", "[192.0.2.1]", "")
              .starts_with("prepend Authentication-Results: mx.example; spf=none (no SPF record) "
                           "smtp.helo=\"[192.0.2.1]\" ("));
}

TEST_CASE("a reader of Received-SPF sees the values that were given, however odd") {
    for (std::string_view const helo :
         {"h.example", "a; identity=helo; client-ip=1.2.3.4", "x\" y", "(a)", "b\\c", "[::1]"})
        for (std::string_view const sender :
             {"u@pass.example", "\"a; result=pass\"@pass.example", "=?x?=@pass.example"}) {
            auto const action = bench("HELO_reject = No_Check").action("192.0.2.1", helo, sender);
            INFO(action);
            auto const field =
                mail::read_received_spf(action.substr(std::string_view("prepend Received-SPF: ").size()));
            REQUIRE(field.has_value());
            CHECK(field->result == "pass");
            CHECK(field->value("identity") == "mailfrom");
            CHECK(field->value("client-ip") == "192.0.2.1");
            CHECK(field->value("helo") == helo);
            CHECK(field->value("envelope-from") == sender);
        }
}

TEST_CASE("the sender is printed in lower case and macros see its own") {
    PolicyBench at("macro.example TXT v=spf1 exists:%{l}.check.example -all exp=why.example\n"
                   "why.example TXT Not %{l}.\n");
    CHECK(at.action("192.0.2.1", "none.example", "MixedCase@Macro.example") ==
          "550 5.7.23 Message rejected due to: Not MixedCase.. Please see "
          "http://www.openspf.net/Why?s=mfrom;id=mixedcase@macro.example;ip=192.0.2.1;r=postern.example");
}
