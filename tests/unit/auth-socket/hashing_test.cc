// An unknown user is as much work as a known one, and a challenge does not tell them apart. Work is counted.
#include "auth-socket/schemes/kinds.h"
#include "common/base/encoding.h"
#include "common/base/text.h"
#include "tests/unit/auth-socket/fixture.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/skip.h"

#include <fstream>

using namespace postern;
using namespace postern::auth_socket;
using namespace postern::auth_socket::test;

namespace {

constexpr std::string_view hello = "VERSION\t1\t1\nCPID\t4242\n";

struct Street : House {
    explicit Street(std::string const& stored = {}) {
        users->rows.clear();
        if (!stored.empty()) move_in("known@x", stored);
    }
    void move_in(std::string const& name, std::string const& stored) {
        users->rows[name] = {fields({{"password", stored}})};
    }
    std::uint64_t work(std::string const& name, std::string const& password = "wrong") {
        auto const before = hashing.slow_hashes();
        Request request;
        request.original_user = name;
        request.mechanism = "PLAIN";
        (void)authority()->check_password(request, "", Secret(password));
        return hashing.slow_hashes() - before;
    }
    // The challenge that SCRAM-SHA-256 gives to this name, without its nonce.
    std::string challenge(std::string const& name) {
        client.mechanisms = {"SCRAM-SHA-256"};
        auto const mine = session();
        auto const said = mine->receive(std::string(hello) + "AUTH\t1\tSCRAM-SHA-256\tservice=smtp\tresp=" +
                                        base64_encode("n,,n=" + name + ",r=abc") + "\n");
        auto const text = base64_decode(split(trim(*said), '\t').at(2)).value();
        return text.substr(text.find(",s="));
    }
    // What a whole exchange with a wrong proof comes to.
    std::string refusal(std::string const& name) {
        client.mechanisms = {"SCRAM-SHA-256"};
        auto const mine = session();
        auto const said = mine->receive(std::string(hello) + "AUTH\t1\tSCRAM-SHA-256\tservice=smtp\tresp=" +
                                        base64_encode("n,,n=" + name + ",r=abc") + "\n");
        auto const text = base64_decode(split(trim(*said), '\t').at(2)).value();
        auto const last =
            "c=biws," + text.substr(0, text.find(",s=")) + ",p=" + base64_encode(std::string(32, 'x'));
        return mine->receive("CONT\t1\t" + base64_encode(last) + "\n").value();
    }
};

std::string stored(std::string const& scheme, unsigned rounds = 0) {
    return make_stored_password(scheme, {"secret", "known@x"}, {rounds}).value();
}

constexpr std::string_view scram =
    "{SCRAM-SHA-256}8192,xjFaXrH27tIx6PA2u6toqA==,4YuEjH6+oJUZxtuXyvtk0Ftdv3PiXMnEMYIk10fJ1+k=,"
    "E1rPYgBGslsZ2vp5JW81idx2AMHWqEkOSM6Vrip+oc8=";

} // namespace

TEST_CASE("a login as nobody hashes once, as a wrong password of a user does, in every slow scheme") {
    for (auto const& text :
         {stored("BLF-CRYPT", 4), stored("ARGON2ID", 1), stored("PBKDF2"), stored("SHA512-CRYPT", 1000),
          stored("SHA256-CRYPT", 1000), stored("MD5-CRYPT"), stored("SCRAM-SHA-1")}) {
        INFO(text);
        Street street(text);
        CHECK(street.work("known@x") == 1);
        CHECK(street.work("nobody@x") == 1);
        CHECK(street.work("known@x", "secret") == 1);
        CHECK(street.work("nobody@x") == 1);
    }
}

TEST_CASE("in a house of quick schemes nobody costs nothing either") {
    Street street(stored("SSHA256"));
    CHECK(street.work("known@x") == 0);
    CHECK(street.work("nobody@x") == 0);
}

TEST_CASE("before any user was met, nobody costs what the default scheme does") {
    Street street;
    auto slow = passdb(street.users);
    slow.block.default_scheme = "BLF-CRYPT";
    auto quick = passdb(street.users);
    quick.block.default_scheme = "SHA256.b64";
    auto const work = [&](ConfiguredPassdb const& database) {
        Hashing hashing(1, street.metrics);
        auto const before = hashing.slow_hashes();
        Authenticator const authority({}, {database}, {}, hashing, street.log);
        Request request;
        request.original_user = "nobody@x";
        request.mechanism = "PLAIN";
        CHECK(authority.check_password(request, "", Secret(std::string_view("x"))).verdict ==
              Verdict::unknown_user);
        return hashing.slow_hashes() - before;
    };
    CHECK(work(slow) == 1);
    CHECK(work(quick) == 0);
}

TEST_CASE("a user who logs in again and again does not decide what nobody costs") {
    Street street(stored("BLF-CRYPT", 4));
    for (int i = 0; i < 30; ++i) {
        auto const name = "u" + std::to_string(i) + "@x";
        street.move_in(name, stored("BLF-CRYPT", 4));
        street.work(name);
    }
    street.move_in("cheap@x", "{PLAIN}secret");
    for (int i = 0; i < 200; ++i) street.work("cheap@x", "secret");
    std::uint64_t total = 0;
    for (int i = 0; i < 100; ++i) total += street.work("nobody" + std::to_string(i) + "@x");
    CHECK(total >= 80);
    CHECK(street.work("nobody1@x") == street.work("nobody1@x")); // the same each time
}

TEST_CASE("a user without a stored password costs a hash too") {
    Street street(stored("BLF-CRYPT", 4));
    street.work("known@x");
    street.move_in("locked@x", "");
    CHECK(street.work("locked@x") == 1);
}

TEST_CASE("a master user who does not exist costs a hash, too") {
    Street street(stored("BLF-CRYPT", 4));
    auto const masters = std::make_shared<MemoryUsers>();
    masters->rows["boss@x"] = {fields({{"password", stored("BLF-CRYPT", 4)}})};
    auto master = passdb(masters, "master");
    master.block.master = true;
    Authenticator const authority({}, {master, passdb(street.users)}, {}, street.hashing, street.log);
    for (auto const* name : {"boss@x", "nobody@x"}) {
        auto const before = street.hashing.slow_hashes();
        Request request;
        request.mechanism = "PLAIN";
        request.original_user = name;
        CHECK(authority.check_password(request, "known@x", Secret(std::string("wrong"))).verdict !=
              Verdict::ok);
        CHECK(street.hashing.slow_hashes() == before + 1);
    }
}

TEST_CASE("a user whom only the second passdb knows costs what one does whom none knows") {
    Street street;
    auto const second = std::make_shared<MemoryUsers>();
    second->rows["known@x"] = {fields({{"password", stored("BLF-CRYPT", 4)}})};
    Authenticator const authority({}, {passdb(street.users), passdb(second)}, {}, street.hashing, street.log);
    for (auto const* name : {"known@x", "nobody@x"}) {
        auto const before = street.hashing.slow_hashes();
        Request request;
        request.mechanism = "PLAIN";
        request.original_user = name;
        CHECK(authority.check_password(request, "", Secret(std::string("wrong"))).verdict != Verdict::ok);
        CHECK(street.hashing.slow_hashes() == before + 1);
    }
}

TEST_CASE("SCRAM asks nobody the same question each time, in the users' own form") {
    Street street{std::string(scram)};
    CHECK(street.challenge("known@x") == ",s=xjFaXrH27tIx6PA2u6toqA==,i=8192");
    auto const asked = street.challenge("nobody@x");
    CHECK(asked.ends_with(",i=8192"));
    CHECK(asked.size() == street.challenge("known@x").size());
    CHECK(street.challenge("nobody@x") == asked);
    CHECK(street.challenge("Nobody@X") == asked);
    CHECK(street.challenge("nobody2@x") != asked);
    CHECK(street.hashing.slow_hashes() == 0);
}

TEST_CASE("SCRAM asks nobody the same question after a restart") {
    std::string machine; // containers often have none
    std::ifstream("/etc/machine-id") >> machine;
    if (machine.empty()) return postern::test::skip_case("this machine has no /etc/machine-id");
    Street street{std::string(scram)};
    street.challenge("known@x");
    auto const asked = street.challenge("nobody@x");
    Street after_restart{std::string(scram)};
    after_restart.challenge("known@x");
    CHECK(after_restart.challenge("nobody@x") == asked);
}

TEST_CASE("passwords in plain text are as much work and as steady a question for SCRAM as nobody's") {
    Street street("{PLAIN}secret");
    auto const work = [&](std::string const& name) {
        auto const before = street.hashing.slow_hashes();
        CHECK(street.challenge(name) == street.challenge(name));
        return street.hashing.slow_hashes() - before;
    };
    CHECK(work("known@x") == 2);
    CHECK(work("nobody@x") == 2);
    CHECK(street.challenge("nobody@x").ends_with(",i=4096"));
}

TEST_CASE("SCRAM refuses nobody, a wrong proof and a user of another scheme in the same words") {
    Street street{std::string(scram)};
    street.move_in("bcrypt@x", stored("BLF-CRYPT", 4));
    for (auto const* name : {"known@x", "nobody@x", "bcrypt@x"}) {
        INFO(name);
        CHECK(street.refusal(name) == fmt::format("FAIL\t1\tuser={}\n", name));
    }
    CHECK(street.log.contains("sql(known@x): Password mismatch"));
    CHECK(street.log.contains("sql(nobody@x): unknown user"));
    CHECK_FALSE(street.log.contains("(nobody@x): Password mismatch"));
    CHECK(street.log.contains("Requested SCRAM-SHA-256 scheme, but we have only BLF-CRYPT"));
}

TEST_CASE("that an account is disabled is told only to whom has proven to own it") {
    Street street("{PLAIN}secret");
    street.users->rows["known@x"][0].set("user_disabled", "Y");
    street.client.mechanisms = {"CRAM-MD5"};
    street.client.mechanism.fixed_nonce = "1";
    street.client.mechanism.host_name = "h";
    auto const answer = [&](std::string const& password) {
        auto const mine = street.session();
        auto const said = mine->receive(std::string(hello) + "AUTH\t1\tCRAM-MD5\tservice=smtp\n").value();
        auto const challenge = base64_decode(split(trim(said), '\t').at(2)).value();
        auto const proof = hex_encode(kinds::cram_md5_response(kinds::cram_md5_state(password), challenge));
        return mine->receive("CONT\t1\t" + base64_encode("known@x " + proof) + "\n").value();
    };
    CHECK(answer("wrong") == "FAIL\t1\tuser=known@x\n");
    CHECK(answer("secret") == "FAIL\t1\tuser=known@x\tcode=user_disabled\n");
}
