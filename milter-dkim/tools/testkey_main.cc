// milter-dkim-testkey: compares keys with what the DNS publishes.
#include "common/daemon/startup.h"
#include "milter-dkim/tools/testkey.h"
#include "milter-dkim/tools/tool_settings.h"

#include <fmt/format.h>

using namespace postern;
using namespace postern::milter_dkim::tools;

namespace {

constexpr daemon::ProgramText text{
    "milter-dkim-testkey", "milter-dkim-testkey [-d DOMAIN -s SELECTOR] [-k FILE] [-v] [-x FILE]",
    "Compares DKIM keys with what the DNS publishes: one key, or all of the KeyTable.\n"
    "Replaces opendkim-testkey."};

} // namespace

int main(int argc, char** argv) {
    auto const program = called_name(argc > 0 ? argv[0] : nullptr, std::string(text.name));
    auto const line = daemon::CommandLine::parse(
        {argv + 1, static_cast<std::size_t>(argc > 0 ? argc - 1 : 0)}, testkey_options());
    if (!line)
        return print({daemon::exit_configuration,
                      {},
                      fmt::format("{}: {}\n{}", program, line.error().text, testkey_usage(program))});
    if (auto const answered = daemon::answer_standard_options(text, line, testkey_options()))
        return *answered;
    auto const settings = read_tool_settings(program, line->value("x"));
    if (!settings) return daemon::exit_configuration;
    StreamLog log(program);
    log.set_threshold(LogLevel::error);
    Metrics metrics;
    auto const resolver = tool_resolver(*settings, log, metrics);
    if (!resolver)
        return print({daemon::exit_software, {}, fmt::format("{}: {}\n", program, resolver.error().text)});
    return print(test_keys(read_testkey_options(program, *line, *settings), *settings, **resolver));
}
