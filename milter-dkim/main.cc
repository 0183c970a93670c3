// milter-dkim: signs and verifies DKIM as a milter, in place of OpenDKIM.
#include "common/base/text.h"
#include "common/config/words.h"
#include "common/daemon/startup.h"
#include "milter-dkim/command_line.h"
#include "milter-dkim/service.h"

#include <unistd.h>

#include <cstdio>
#include <memory>

using namespace postern;
using daemon::CommandLine;

namespace {

constexpr daemon::ProgramText program{
    "milter-dkim", "milter-dkim [-AfnvW] [-x FILE] [-p SOCKET] [-P FILE] [-u USER] ...",
    "Signs and verifies mail (DKIM, RFC 6376) as a milter; replaces OpenDKIM."};

constexpr std::string_view settings_files[] = {"/etc/postern/opendkim.conf", "/etc/opendkim.conf",
                                               "/etc/opendkim/opendkim.conf"};

int print_setting(std::string const& path, std::string const& name) {
    auto const* row = milter_dkim::settings_table().find(name);
    if (row == nullptr) return daemon::exit_usage;
    std::string value(row->default_text);
    for (auto const& each : config::read_words(path).assignments)
        if (equals_ignoring_case(each.name, name)) value = each.value;
    std::puts(value.c_str());
    return daemon::exit_ok;
}

} // namespace

int main(int argc, char** argv) {
    auto const options = milter_dkim::command_line_options();
    auto const line =
        CommandLine::parse({argv + 1, static_cast<std::size_t>(argc > 0 ? argc - 1 : 0)}, options);
    if (auto const code = daemon::answer_standard_options(program, line, options)) return *code;
    if (line->has("print-defaults")) {
        auto const text =
            config::defaults_text(default_rows(milter_dkim::settings_table()), config::FileStyle::words);
        std::fputs(text.c_str(), stdout);
        return daemon::exit_ok;
    }
    auto const path = line->value("x").value_or(daemon::first_existing(settings_files));
    if (line->has("e")) return print_setting(path, *line->value("e"));
    auto const command_line = milter_dkim::assignments_of(*line);
    auto const early = milter_dkim::read_settings(path, command_line).settings;
    // Relative paths in the settings count from BaseDirectory.
    if (!early.base_directory.empty() && chdir(early.base_directory.c_str()) != 0) {
        std::fprintf(stderr, "milter-dkim: cannot go to BaseDirectory %s\n", early.base_directory.c_str());
        return daemon::exit_configuration;
    }
    std::unique_ptr<Log> log = std::make_unique<NullLog>();
    if (!line->has("n"))
        log = daemon::make_log({early.syslog, early.syslog_name, early.syslog_facility, line->has("v")});
    Metrics metrics;
    auto const load = [&] { return milter_dkim::load_configuration(path, command_line, *log, metrics); };
    auto loaded = load();
    daemon::report_problems(program.name, loaded.problems, log.get());
    if (config::has_errors(loaded.problems)) return daemon::exit_configuration;
    if (line->has("n")) return daemon::exit_ok;

    auto const process = milter_dkim::process_of(loaded.configuration->settings);
    milter_dkim::Service service(std::move(loaded.configuration), load, *log, metrics);
    return daemon::run(service, process, *log, metrics);
}
