// A session with its MTA, resolver and log: whole messages in, what the MTA is told out.
#pragma once

#include "common/base/text.h"
#include "milter-dkim/session.h"
#include "tests/unit/milter-dkim/support.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/fake_resolver.h"
#include "tests/unit/support/milter_doubles.h"

#include <sys/stat.h>

#include <memory>
#include <string>
#include <string_view>

namespace postern::test {

struct SessionWorld {
    TempDir dir;
    TestLog log;
    Metrics metrics;
    milter_dkim::Outcomes outcomes{metrics};
    std::shared_ptr<FakeResolver> resolver = std::make_shared<FakeResolver>();
    std::shared_ptr<milter_dkim::Generation> generation = std::make_shared<milter_dkim::Generation>();
    MapMacros macros{{{"j", "mx.example.com"}, {"i", "Q1"}}};
    milter::Client client{"mail.example.org", "192.0.2.7"};

    explicit SessionWorld(std::string_view settings = {},
                          milter_dkim::DataSetOpener const& opener = milter_dkim::DataSetOpener()) {
        auto const path = dir.write("k", rsa_key());
        chmod(path.c_str(), 0600);
        auto made = configure("Domain example.com\nKeyFile " + path +
                                  "\nSelector s\nRequireSafeKeys no\nAuthservID us\n" + std::string(settings),
                              log, opener);
        log.expect("key data is not secure");
        INFO(made.problems);
        REQUIRE(made.configuration);
        generation->configuration = made.configuration;
        generation->resolver = resolver;
        resolver->zone.txt("s._domainkey.example.com",
                           "v=DKIM1; p=" +
                               (*milter_dkim::SigningKey::parse(rsa_key(), 1024))->public_base64());
    }

    struct Result {
        std::string verdict; // the first that is not "next"
        std::string edits;
    };
    Result send(milter_dkim::HeaderList const& headers, std::string_view body = "hello\r\n",
                bool leading_space = true) {
        milter_dkim::Session session(generation, {leading_space}, log, outcomes);
        return send(session, headers, body, leading_space);
    }
    Result send(milter_dkim::Session& session, milter_dkim::HeaderList const& headers,
                std::string_view body = "hello\r\n", bool leading_space = true) {
        Notes notes;
        auto const stop = [](milter::Verdict const& verdict) {
            return verdict.action != milter::Verdict::Action::next &&
                   verdict.action != milter::Verdict::Action::skip;
        };
        if (auto verdict = session.connect(client, macros); stop(verdict)) return {told(verdict), ""};
        session.mail_from("<a@example.com>", {}, macros);
        session.recipient("<b@example.net>", macros);
        for (auto const& [name, value] : headers)
            if (auto verdict =
                    session.header(name, leading_space ? value : std::string(trim_left(value)), macros);
                stop(verdict))
                return {told(verdict), ""};
        if (auto verdict = session.end_of_headers(macros); stop(verdict)) return {told(verdict), ""};
        if (!body.empty())
            if (auto verdict = session.body(body); stop(verdict)) return {told(verdict), ""};
        notes.refuses = refuses;
        auto const verdict = session.end_of_message(notes, macros);
        return {told(verdict), notes.text};
    }
    // A signed message as the other side gets it.
    milter_dkim::HeaderList signed_message() {
        auto const before = client;
        client = {"localhost", "127.0.0.1"};
        auto edits = send(plain).edits;
        client = before;
        auto headers = plain;
        constexpr std::string_view prefix = "insert 0 DKIM-Signature: ";
        REQUIRE(edits.starts_with(prefix));
        edits.pop_back();
        headers.insert(headers.begin(), {"DKIM-Signature", " " + edits.substr(prefix.size())});
        return headers;
    }

    bool refuses = false;
    milter_dkim::HeaderList plain{
        {"From", " a@example.com"}, {"Subject", " x"}, {"Date", " Sat, 21 Nov 2026 09:00:00 +0000"}};
};

} // namespace postern::test
