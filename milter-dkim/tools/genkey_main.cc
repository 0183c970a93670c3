// milter-dkim-genkey: makes a key pair and the record that publishes it.
#include "common/daemon/startup.h"
#include "milter-dkim/tools/genkey.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <vector>

using namespace postern;
using namespace postern::milter_dkim::tools;

namespace {

constexpr daemon::ProgramText program{
    "milter-dkim-genkey", "milter-dkim-genkey [-b BITS] [-d DOMAIN] [-D DIR] [-s SELECTOR] [options]",
    "Makes a DKIM key: SELECTOR.private for the signer, SELECTOR.txt for the zone file.\n"
    "Replaces opendkim-genkey."};

void say(std::string_view text) { fmt::print(stderr, "{}: {}\n", program.name, text); }

} // namespace

int main(int argc, char** argv) {
    std::vector<char const*> const given(argv + 1, argv + argc);
    auto const completed = complete_long_names(given, genkey_options());
    std::vector<char const*> arguments;
    for (auto const& each : completed) arguments.push_back(each.c_str());
    auto const line = daemon::CommandLine::parse(arguments, genkey_options());
    if (auto const answered = daemon::answer_standard_options(program, line, genkey_options()))
        return *answered == daemon::exit_usage ? daemon::exit_failure : *answered; // stock's code

    auto const options = read_genkey_options(*line);
    if (!options) return say(options.error().text), daemon::exit_failure;
    for (auto const& warning : options->warnings) say("WARNING: " + warning);
    if (options->verbosity > 0) say("generating private key");
    auto const key = generate_key_files(*options);
    if (!key) return say(key.error().text), daemon::exit_failure;
    if (options->verbosity > 0) {
        say("private key written to " + key->private_file);
        say("DNS TXT record written to " + key->record_file);
    }
    if (options->hints.value_or(::isatty(STDOUT_FILENO) == 1))
        fmt::print("{}", publishing_hints(*options, *key));
    return daemon::exit_ok;
}
