// DiagnosticDirectory, KeepTemporaryFiles and Statistics: what stands in the files.
#include "milter-dkim/message/canonical_copy.h"
#include "milter-dkim/report/diagnosis.h"
#include "milter-dkim/report/statistics.h"

#include "common/base/encoding.h"
#include "tests/unit/milter-dkim/session_world.h"

#include <openssl/evp.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>

using namespace postern;
using namespace postern::milter_dkim;
using namespace postern::test;
using World = SessionWorld;

namespace {

std::map<std::string, std::string> files_in(std::string const& directory) {
    std::map<std::string, std::string> out;
    for (auto const& entry : std::filesystem::directory_iterator(directory)) {
        std::ifstream in(entry.path(), std::ios::binary);
        out[entry.path().filename()] = std::string(std::istreambuf_iterator<char>(in), {});
    }
    return out;
}

bool key_signed(std::string const& text, std::string const& signature) {
    auto const key = *SigningKey::parse(rsa_key(), 1024);
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> const context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    auto const* octets = reinterpret_cast<unsigned char const*>(signature.data());
    auto const* message = reinterpret_cast<unsigned char const*>(text.data());
    return EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key->get()) == 1 &&
           EVP_DigestVerify(context.get(), octets, signature.size(), message, text.size()) == 1;
}

// The two files of one signature: the header's text is what b= signs, the body's what bh= is the hash of.
void check_copies(std::map<std::string, std::string> const& files, std::string_view signature_value) {
    auto const field = SignatureField::read(signature_value);
    REQUIRE(field.error.empty());
    REQUIRE(files.size() == 2);
    int headers = 0;
    for (auto const& [name, text] : files) {
        INFO(name << ": " << text);
        CHECK(name.starts_with("dkim.Q1."));
        if (text.contains("b=")) {
            ++headers;
            CHECK(key_signed(text, *base64_decode(field.signature())));
        } else
            CHECK(base64_encode(sha256(text)) == field.tag("bh"));
    }
    CHECK(headers == 1);
}

} // namespace

TEST_CASE("KeepTemporaryFiles keeps just what a signature signs, in each canonical form") {
    for (auto const* forms :
         {"simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed", "relaxed"}) {
        CAPTURE(forms);
        TempDir made;
        World signer("KeepTemporaryFiles yes\nTemporaryDirectory " + made.path() + "\nCanonicalization " +
                     forms);
        signer.plain.emplace_back("Subject", " second  \n\tfolded ");
        auto const headers = signer.signed_message();
        check_copies(files_in(made.path()), headers[0].second);
        TempDir seen;
        World verifier("KeepTemporaryFiles yes\nTemporaryDirectory " + seen.path());
        CHECK(verifier.send(headers).edits.contains("dkim=pass"));
        check_copies(files_in(seen.path()), headers[0].second);
    }
    World nowhere("KeepTemporaryFiles yes\nTemporaryDirectory /nonexistent");
    nowhere.signed_message();
    CHECK(nowhere.log.expect("create /nonexistent/dkim.Q1."));
}

TEST_CASE("of a large body the first megabyte is kept") {
    auto const largest = [](std::size_t size) {
        TempDir made;
        World signer("KeepTemporaryFiles yes\nTemporaryDirectory " + made.path());
        signer.client = {"localhost", "127.0.0.1"};
        signer.send(signer.plain, std::string(size - 2, 'x') + "\r\n");
        std::size_t found = 0;
        for (auto const& [name, text] : files_in(made.path())) found = std::max(found, text.size());
        return found;
    };
    CHECK(largest(max_body_copy) == max_body_copy);
    // One octet less than the line's end: the canonical form ends the line.
    CHECK(largest(max_body_copy + 10) == max_body_copy + 2);
}

TEST_CASE("a failed message's header stands beside the one that its signature tells of") {
    TempDir dir;
    World signer("Diagnostics yes");
    auto headers = signer.signed_message();
    World world("DiagnosticDirectory " + dir.path());
    CHECK(world.send(headers).edits.contains("dkim=pass"));
    CHECK(files_in(dir.path()).empty());
    headers[2].second = " changed";
    world.send(headers);
    CHECK(dir.read("Q1") == "z tag headers:\n\nFrom: a@example.com\nSubject: x\nDate: Sat, 21 Nov 2026 "
                            "09:00:00 +0000\n--------------------\n\nReceived headers:\n\nDKIM-Signature:" +
                                headers[0].second +
                                "\nFrom: a@example.com\nSubject: changed\nDate: Sat, 21 Nov 2026 "
                                "09:00:00 +0000\n");
    // A queue id never leads out of the directory.
    world.macros.values["i"] = "../../x";
    world.send(headers);
    CHECK(files_in(dir.path()).contains("_......x"));
    // Without z= there is nothing to show.
    TempDir none;
    World plain("DiagnosticDirectory " + none.path());
    auto without = plain.signed_message();
    without[2].second = " changed";
    plain.send(without);
    CHECK(files_in(none.path()).empty());
}

TEST_CASE("z= is decoded within its bounds, and broken encodings are none") {
    CHECK(*copied_fields("From:=20a|To:=20b=7Cc") == std::vector<std::string>{"From: a", "To: b|c"});
    CHECK(*copied_fields("a:\r\n b =3D") == std::vector<std::string>{"a:b="});
    for (auto const* broken : {"a=2", "a=", "a=G0", "a=2G", "a|b=4"}) CHECK_FALSE(copied_fields(broken));
    std::string const most(max_copied_fields - 1, '|');
    CHECK(copied_fields(most)->size() == max_copied_fields);
    CHECK_FALSE(copied_fields(most + "|"));
    // The whole of the largest field that is read: the one that makes OpenDKIM 2.11 abort.
    CHECK(copied_fields(std::string(max_signature_field, 'x'))->front().size() == max_signature_field);
}

TEST_CASE("Statistics has a record for each verified message, as opendkim-importstats reads them") {
    TempDir dir;
    World world("Statistics " + dir.path("s") + "\nStatisticsName mx1");
    auto headers = world.signed_message(); // what is signed has no record
    world.send(headers);
    headers[2].second = " changed";
    world.send(headers);
    world.send({{"From", " x@other.example"}});
    std::regex const expected("V3\n"
                              "MQ1\tmx1\texample.com\t192.0.2.7\t[0-9]{10}\t7\t1\t-1\t-1\n"
                              "Sexample.com\t1\t0\t-1\t0\t1\n"
                              "MQ1\tmx1\texample.com\t192.0.2.7\t[0-9]{10}\t7\t1\t-1\t-1\n"
                              "Sexample.com\t0\t0\t-1\t28\t1\n"
                              "MQ1\tmx1\tother.example\t192.0.2.7\t[0-9]{10}\t0\t0\t-1\t-1\n");
    INFO(dir.read("s"));
    CHECK(std::regex_match(dir.read("s"), expected));
    World nowhere("Statistics /nonexistent/s");
    CHECK(nowhere.send(headers).verdict == "accept");
    CHECK(nowhere.log.expect("/nonexistent/s"));
}

TEST_CASE("a stranger's words do not break a statistics record") {
    VerifiedMessage message;
    message.job_id = "a\tb";
    message.sender_domain = "x\ny";
    SignatureResult result;
    result.kind = SignatureResult::Kind::permerror;
    result.domain = "d\n\tM";
    result.error = 2;
    message.results.push_back(result);
    CHECK(statistics_record(message, Atps::pass, "us", 7) ==
          "Ma\\x09b\tus\tx\\x0ay\tunknown\t7\t0\t1\t1\t-1\nSd\\x0a\\x09M\t0\t0\t-1\t2\t-1\n");
}
