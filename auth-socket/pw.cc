// auth-socket-pw: makes and tests stored passwords, with doveadm pw's options.
#include "auth-socket/schemes/scheme.h"
#include "common/base/text.h"
#include "common/daemon/command_line.h"
#include "common/daemon/startup.h"

#include <fmt/format.h>

#include <cstdio>
#include <iostream>

#include <termios.h>
#include <unistd.h>

using namespace postern;
using namespace postern::auth_socket;

namespace {

constexpr daemon::ProgramText text{
    "auth-socket-pw", "auth-socket-pw [-l] [-p PASSWORD] [-r ROUNDS] [-s SCHEME] [-t HASH] [-u USER] [-V]",
    "Makes stored passwords and tests them; takes the options of doveadm pw."};
constexpr daemon::OptionSpec options[] = {
    daemon::help_option,
    {0, "version", "", "print the version and exit"},
    {'l', "", "", "list the password schemes"},
    {'p', "", "PASSWORD", "the password; without it, it is asked for"},
    {'r', "", "ROUNDS", "rounds of BLF-CRYPT, SHA256-CRYPT, SHA512-CRYPT, PBKDF2, ARGON2*, SCRAM-*"},
    {'s', "", "SCHEME", "the scheme, with .b64 or .hex behind it for another encoding (default: CRYPT)"},
    {'t', "", "HASH", "test whether the password fits this stored password"},
    {'u', "", "USER", "the user name, for DIGEST-MD5"},
    {'V', "", "", "test what was made, too"},
};

int fail(std::string_view why) {
    fmt::print(stderr, "auth-socket-pw: {}\n", why);
    return daemon::exit_temporary; // as doveadm pw
}

// A terminal shows nothing of what is typed.
Secret ask(char const* prompt) {
    termios before{};
    auto const terminal = ::tcgetattr(STDIN_FILENO, &before) == 0;
    if (terminal) {
        auto silent = before;
        silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
        fmt::print(stderr, "{}", prompt);
    }
    std::string line;
    std::getline(std::cin, line);
    if (terminal) {
        ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fmt::print(stderr, "\n");
    }
    return Secret(std::move(line));
}

int list_schemes() {
    for (auto const& scheme : schemes()) fmt::print("{} ", scheme.name);
    fmt::print("\n");
    return daemon::exit_ok;
}

int test(std::string const& stored, PasswordAttempt const& attempt) {
    auto const credential = read_stored_password(stored, "CRYPT");
    if (!credential) return fail(credential.error().text);
    auto const same = verify_password(*credential, attempt);
    if (!same) return fail(same.error().text);
    if (!*same) return fail("the password does not fit");
    fmt::print("{} (verified)\n", stored);
    return daemon::exit_ok;
}

int make(daemon::CommandLine const& line, PasswordAttempt const& attempt) {
    GenerateOptions how;
    if (auto const rounds = line.value("r")) {
        auto const number = parse_number<unsigned>(*rounds);
        if (!number || *number == 0) return fail("-r needs a number of rounds");
        how.rounds = *number;
    }
    auto const made = make_stored_password(line.value("s").value_or("CRYPT"), attempt, how);
    if (!made) return fail(made.error().text);
    if (line.has("V")) return test(*made, attempt);
    fmt::print("{}\n", *made);
    return daemon::exit_ok;
}

} // namespace

int main(int argc, char** argv) {
    auto const line =
        daemon::CommandLine::parse(std::span(argv, static_cast<std::size_t>(argc)).subspan(1), options);
    if (auto const code = daemon::answer_standard_options(text, line, options)) return *code;
    if (line->has("l")) return list_schemes();
    auto const given = line->value("p");
    auto const password = given ? Secret(std::string_view(*given)) : ask("Enter the password: ");
    if (!given && !line->has("t") && ::isatty(STDIN_FILENO) != 0 &&
        !equal_in_constant_time(ask("Once more: ").reveal(), password.reveal()))
        return fail("the two do not agree");
    auto const user = line->value("u").value_or("");
    PasswordAttempt const attempt{password.reveal(), user};
    return line->has("t") ? test(*line->value("t"), attempt) : make(*line, attempt);
}
