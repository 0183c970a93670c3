// milter-dkim-genzone: writes the records of a KeyTable.
#include "common/daemon/startup.h"
#include "milter-dkim/tools/genzone.h"
#include "milter-dkim/tools/tool_settings.h"

#include <fmt/format.h>

using namespace postern;
using namespace postern::milter_dkim::tools;

namespace {

constexpr daemon::ProgramText text{"milter-dkim-genzone", "milter-dkim-genzone [options] [DATASET]",
                                   "Writes the DNS records of all keys of a KeyTable, as a zone file or for\n"
                                   "nsupdate. Replaces opendkim-genzone."};

} // namespace

int main(int argc, char** argv) {
    auto const program = called_name(argc > 0 ? argv[0] : nullptr, std::string(text.name));
    auto const line = daemon::CommandLine::parse(
        {argv + 1, static_cast<std::size_t>(argc > 0 ? argc - 1 : 0)}, genzone_options());
    if (!line)
        return print({daemon::exit_usage,
                      {},
                      fmt::format("{}: {}\n{}", program, line.error().text, genzone_usage(program))});
    if (auto const answered = daemon::answer_standard_options(text, line, genzone_options()))
        return *answered;
    auto options = read_genzone_options(program, *line);
    if (!options)
        return print({daemon::exit_usage, {}, fmt::format("{}: {}\n", program, options.error().text)});
    if (options->data_set.empty() || line->has("x")) {
        auto const settings = read_tool_settings(program, line->value("x"));
        if (!settings) return daemon::exit_configuration;
        if (options->data_set.empty()) options->data_set = settings->key_table;
    }
    return print(generate_zone(*options));
}
