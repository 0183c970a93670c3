// milter-dkim-testmsg: signs or verifies the message on standard input.
#include "common/base/clock.h"
#include "common/daemon/startup.h"
#include "milter-dkim/tools/testmsg.h"
#include "milter-dkim/tools/tool_settings.h"

#include <fmt/format.h>

#include <cstdio>

using namespace postern;
using namespace postern::milter_dkim::tools;

namespace {

constexpr daemon::ProgramText text{
    "milter-dkim-testmsg", "milter-dkim-testmsg [-C] [-d DOMAIN -s SELECTOR -k FILE] <MESSAGE",
    "Signs the message on standard input, or verifies it when -d, -s and -k are not\n"
    "given. Replaces opendkim-testmsg."};

Result<std::string> read_input() {
    std::string message;
    char buffer[65536];
    while (auto const size = std::fread(buffer, 1, sizeof buffer, stdin)) {
        message.append(buffer, size);
        if (message.size() > largest_test_message) return permanent("the message is too large");
    }
    if (std::ferror(stdin) != 0) return permanent("standard input cannot be read");
    return message;
}

} // namespace

int main(int argc, char** argv) {
    auto const program = called_name(argc > 0 ? argv[0] : nullptr, std::string(text.name));
    auto const line = daemon::CommandLine::parse(
        {argv + 1, static_cast<std::size_t>(argc > 0 ? argc - 1 : 0)}, testmsg_options());
    if (line && (line->has("help") || line->has("version")))
        return *daemon::answer_standard_options(text, line, testmsg_options());
    auto const signing = line ? line->has("d") + line->has("s") + line->has("k") : 1;
    if (signing != 0 && signing != 3)
        return print(
            {daemon::exit_configuration,
             {},
             (line ? "" : fmt::format("{}: {}\n", program, line.error().text)) + testmsg_usage(program)});
    TestmsgOptions const options{program,
                                 line->has("C"),
                                 line->value("d").value_or(""),
                                 line->value("s").value_or(""),
                                 line->value("k").value_or(""),
                                 unix_time()};
    auto const settings = read_tool_settings(program, line->value("x"));
    if (!settings) return daemon::exit_configuration;
    auto const message = read_input();
    if (!message)
        return print({daemon::exit_software, {}, fmt::format("{}: {}\n", program, message.error().text)});
    if (signing == 3) return print(sign_message(options, *message));
    StreamLog log(program);
    log.set_threshold(LogLevel::error);
    Metrics metrics;
    auto const resolver = tool_resolver(*settings, log, metrics);
    if (!resolver)
        return print({daemon::exit_software, {}, fmt::format("{}: {}\n", program, resolver.error().text)});
    return print(verify_message(options, *message, **resolver));
}
