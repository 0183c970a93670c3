// Life as a child of Dovecot's master: the environment, the status report, the log's lines; tokens.
#include "auth-socket/dovecot_master.h"
#include "auth-socket/mechanisms/mechanism.h"
#include "auth-socket/tokens.h"
#include "tests/unit/support/catch.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace postern;
using namespace postern::auth_socket;

namespace {

using Variables = std::map<std::string, std::string, std::less<>>;

Result<std::optional<MasterEnvironment>> read(Variables const& variables) {
    return read_master_environment([&](char const* name) -> char const* {
        auto const at = variables.find(name);
        return at == variables.end() ? nullptr : at->second.c_str();
    });
}

Variables const dovecot23{{"DOVECOT_CHILD_PROCESS", "1"},
                          {"GENERATION", "5"},
                          {"CLIENT_LIMIT", "1000"},
                          {"CONFIG_FILE", "/run/dovecot/config"},
                          {"SOCKET_COUNT", "3"},
                          {"SOCKET0_SETTINGS", "login"},
                          {"SOCKET1_SETTINGS", "auth-master"},
                          {"SOCKET2_SETTINGS", "mine\tssl\ttype=userdb"}};

struct Directory {
    std::string path;
    Directory() {
        char name[] = "/tmp/tokens-XXXXXX";
        path = ::mkdtemp(name);
    }
    Directory(Directory const&) = delete;
    Directory& operator=(Directory const&) = delete;
    ~Directory() { std::filesystem::remove_all(path); }
};

} // namespace

TEST_CASE("only a child of Dovecot's master finds the master's environment") {
    CHECK_FALSE(read({})->has_value());
    CHECK_FALSE(read({{"SOCKET_COUNT", "3"}, {"CLIENT_LIMIT", "1"}})->has_value());
    auto const found = read(dovecot23);
    REQUIRE(found->has_value());
    CHECK((*found)->generation == 5);
    CHECK((*found)->client_limit == 1000);
    CHECK((*found)->dovecot_conf() == "/run/dovecot/dovecot.conf");
    REQUIRE((*found)->sockets.size() == 3);
    CHECK((*found)->sockets[0].name == "login");
    CHECK((*found)->sockets[1].type.empty());
    CHECK((*found)->sockets[2].name == "mine");
    CHECK((*found)->sockets[2].type == "userdb");
}

TEST_CASE("2.4's master names the configuration itself") {
    auto variables = dovecot23;
    variables["CONFIG_FILE"] = "/etc/dovecot/dovecot.conf";
    CHECK((*read(variables))->dovecot_conf() == "/etc/dovecot/dovecot.conf");
}

TEST_CASE("a master's environment that is broken is an error, not a start without sockets") {
    for (auto const* name : {"GENERATION", "CLIENT_LIMIT", "SOCKET_COUNT"}) {
        auto variables = dovecot23;
        variables[name] = "12x";
        CHECK_FALSE(read(variables).has_value());
    }
    auto variables = dovecot23;
    variables["SOCKET_COUNT"] = "256";
    CHECK(read(variables).has_value());
    variables["SOCKET_COUNT"] = "257";
    CHECK_FALSE(read(variables).has_value());
}

TEST_CASE("the status report is three numbers in the machine's order") {
    auto const report = status_report(4711, 5, 1000);
    REQUIRE(report.size() == 12);
    std::uint32_t numbers[3];
    std::copy(report.begin(), report.end(), reinterpret_cast<char*>(numbers));
    CHECK(numbers[0] == 4711);
    CHECK(numbers[1] == 5);
    CHECK(numbers[2] == 1000);
}

TEST_CASE("a line for Dovecot's log process has level and pid before it and no second name") {
    CHECK(MasterLog::line(LogLevel::info, 17, "auth: sql(a): unknown user") == "\x01\x02"
                                                                               "17 sql(a): unknown user\n");
    CHECK(MasterLog::line(LogLevel::debug, 17, "x") == "\x01\x01"
                                                       "17 x\n");
    CHECK(MasterLog::line(LogLevel::warning, 17, "x") == "\x01\x03"
                                                         "17 x\n");
    CHECK(MasterLog::line(LogLevel::error, 17, std::string(3000, 'x')) == "\x01\x04"
                                                                          "17 " +
                                                                              std::string(2000, 'x') + "\n");
}

TEST_CASE("a socket that was passed tells where it is bound") {
    Directory const directory;
    auto listener = net::Listener::open({.address = *net::parse_address(directory.path + "/auth-master"),
                                         .mode = 0600,
                                         .owner = {},
                                         .group = {}});
    REQUIRE(listener.has_value());
    CHECK(bound_address(listener->descriptor())->path == directory.path + "/auth-master");
    auto inet = net::Listener::open(
        {.address = *net::parse_address("inet:127.0.0.1:0"), .mode = {}, .owner = {}, .group = {}});
    REQUIRE(inet.has_value());
    auto const address = bound_address(inet->descriptor());
    CHECK(address->host == "127.0.0.1");
    CHECK(address->port == inet->port());
    CHECK_FALSE(bound_address(-1).has_value());
}

// Computed with Python's hmac as HMAC-SHA-1(key user, pid + session + service + secret).
TEST_CASE("a token is what Dovecot's auth would have made of the same secret") {
    Tokens const tokens(std::string(32, 'k'));
    TokenClaim const claim{"imap", "4711", "alice@example.com", "abcDEF"};
    CHECK(tokens.make(claim) == "8f92672ad7beb3dde87d07c85a2e884d526d83c8");
    CHECK(tokens.fits(claim, tokens.make(claim)));
    CHECK_FALSE(tokens.fits({"imap", "4711", "bob@example.com", "abcDEF"}, tokens.make(claim)));
    CHECK_FALSE(tokens.fits(claim, ""));
    CHECK_FALSE(Tokens().fits(claim, tokens.make(claim)));
}

TEST_CASE("DOVECOT-TOKEN lets in the right token only, and is not for auth_mechanisms") {
    CHECK(find_mechanism("DOVECOT-TOKEN") == nullptr);
    Tokens const tokens;
    MechanismContext context;
    context.tokens = &tokens;
    auto const token = tokens.make({"imap", "4711", "alice", "s"});
    auto const answer = [&](std::string const& response) {
        return token_mechanism().make(context)->receive(response);
    };
    using namespace std::string_literals;
    auto const good = answer("imap\0"s + "4711\0"s + "alice\0s\0"s + token);
    REQUIRE(std::holds_alternative<Trusted>(good));
    CHECK(std::get<Trusted>(good).user == "alice");
    CHECK(std::get<Trusted>(good).ground == Trusted::Ground::token);
    CHECK(std::holds_alternative<Refused>(answer("imap\0"s + "4712\0"s + "alice\0s\0"s + token)));
    CHECK(std::holds_alternative<Refused>(answer("imap\0"s + "4711\0"s + "alice\0s\0"s)));
    CHECK(std::holds_alternative<Refused>(answer("imap\0"s + "4711\0"s + "alice\0s"s)));
    CHECK(std::holds_alternative<Refused>(answer("")));
    context.tokens = nullptr;
    CHECK(std::holds_alternative<Refused>(answer("imap\0"s + "4711\0"s + "alice\0s\0"s + token)));
}

TEST_CASE("the token secret outlives the process and is replaced when it was tampered with") {
    Directory const directory;
    auto const path = directory.path + "/auth-token-secret.dat";
    TokenClaim const claim{"imap", "1", "a", "s"};
    auto const first = Tokens::kept_in(path)->make(claim);
    CHECK(Tokens::kept_in(path)->make(claim) == first);
    struct stat status{};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0600);
    CHECK(status.st_size == static_cast<off_t>(token_secret_size));
    ::chmod(path.c_str(), 0644);
    auto const second = Tokens::kept_in(path)->make(claim);
    CHECK(second != first);
    std::ofstream(path, std::ios::app) << "x";
    CHECK(Tokens::kept_in(path)->make(claim) != second);
    std::filesystem::remove(path);
    std::filesystem::create_symlink("/dev/null", path);
    CHECK(Tokens::kept_in(path).has_value());
    CHECK_FALSE(Tokens::kept_in("/nonexistent/secret").has_value());
}
