// milter-dkim: signs and verifies DKIM as a milter, in place of OpenDKIM.
#include "common/base/text.h"
#include "common/daemon/startup.h"
#include "milter-dkim/command_line.h"
#include "milter-dkim/modes.h"
#include "milter-dkim/service.h"

#include <unistd.h>

#include <cstdio>
#include <memory>

using namespace postern;
using daemon::CommandLine;

namespace {

constexpr daemon::ProgramText program{
    "milter-dkim", "milter-dkim [-AfnvW] [-x FILE] [-p SOCKET] [-P FILE] [-u USER] ... | --explain FILE ...",
    "Signs and verifies mail (DKIM, RFC 6376) as a milter; replaces OpenDKIM."};

constexpr std::string_view settings_files[] = {"/etc/postern/opendkim.conf", "/etc/opendkim.conf",
                                               "/etc/opendkim/opendkim.conf"};

std::string called_name(char const* path) {
    std::string const name(
        halve_at_last(path == nullptr ? "" : path, '/').after.value_or(path == nullptr ? "" : path));
    return name.empty() ? std::string(program.name) : name;
}

// opendkim -n is content without one.
config::Problem no_socket(std::string const& path, bool runs) {
    using Severity = config::Problem::Severity;
    return {runs ? Severity::error : Severity::warning,
            {path, 0},
            "Socket is not set: where is the MTA to connect?"};
}

} // namespace

int main(int argc, char** argv) {
    auto const name = called_name(argc > 0 ? argv[0] : nullptr);
    auto const options = milter_dkim::help_options();
    auto const line = CommandLine::parse({argv + 1, static_cast<std::size_t>(argc > 0 ? argc - 1 : 0)},
                                         milter_dkim::command_line_options());
    if (auto const code = daemon::answer_standard_options(program, line, options)) return *code;
    if (line->has("?") || !line->operands().empty()) {
        std::fputs(daemon::help_text(program.synopsis, program.summary, options).c_str(), stderr);
        return daemon::exit_usage;
    }
    auto const path = line->value("x").value_or(daemon::first_existing(settings_files));
    if (auto const code = milter_dkim::answer_question(name, *line, path)) return *code;
    auto const command_line = milter_dkim::assignments_of(*line);
    auto const early = milter_dkim::read_settings(path, command_line).settings;
    // Relative paths in the settings count from BaseDirectory.
    if (!early.base_directory.empty() && chdir(early.base_directory.c_str()) != 0) {
        std::fprintf(stderr, "%s: cannot go to BaseDirectory %s\n", name.c_str(),
                     early.base_directory.c_str());
        return daemon::exit_configuration;
    }
    bool const runs = !line->has("n") && !milter_dkim::reads_messages(*line);
    std::unique_ptr<Log> log = std::make_unique<NullLog>();
    if (runs)
        log = daemon::make_log({early.syslog, early.syslog_name, early.syslog_facility, line->has("v")});
    Metrics metrics;
    auto const load = [&] { return milter_dkim::load_configuration(path, command_line, *log, metrics); };
    auto loaded = load();
    if (early.socket.empty() && !milter_dkim::reads_messages(*line))
        loaded.problems.push_back(no_socket(path, runs));
    daemon::report_problems(name, loaded.problems, log.get());
    if (config::has_errors(loaded.problems)) return daemon::exit_configuration;
    if (milter_dkim::reads_messages(*line))
        return milter_dkim::answer_messages(name, *line, std::move(loaded.configuration));
    if (line->has("n")) return daemon::exit_ok;

    auto const process = milter_dkim::process_of(loaded.configuration->settings);
    milter_dkim::Service service(std::move(loaded.configuration), load, *log, metrics);
    return daemon::run(service, process, *log, metrics);
}
