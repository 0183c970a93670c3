// milter-dmarc: checks DMARC as a milter, in place of OpenDMARC.
#include "common/daemon/startup.h"
#include "milter-dmarc/service.h"
#include "milter-dmarc/test_mode.h"

#include <unistd.h>

#include <cstdio>

using namespace postern;
using daemon::CommandLine;

namespace {

constexpr daemon::ProgramText program{
    "milter-dmarc", "milter-dmarc [-AflnvV] [-c FILE] [-p SOCKET] [-P FILE] [-t FILES] [-u USER]",
    "Checks mail against its author's DMARC policy (RFC 9989) as a milter; replaces OpenDMARC."};

constexpr daemon::OptionSpec options[] = {
    daemon::help_option,
    daemon::version_option,
    daemon::check_option,
    daemon::print_defaults_option,
    {'c', "", "FILE", "the settings; else /etc/postern/opendmarc.conf, then /etc/opendmarc.conf"},
    {'p', "", "SOCKET", "where the MTA connects (Socket)"},
    {'P', "", "FILE", "where the process id is written (PidFile)"},
    {'u', "", "USER", "the user[:group] to become (UserID)"},
    {'f', "", "", "stay in the foreground (Background no)"},
    {'l', "", "", "log to syslog (Syslog yes)"},
    {'A', "", "", "start again after a crash (AutoRestart yes)"},
    {'t', "", "FILES",
     "judge the messages in these files, separated by commas, and print what would be done"},
    {'v', "", "", "log more"},
};

constexpr std::string_view settings_files[] = {"/etc/postern/opendmarc.conf", "/etc/opendmarc.conf",
                                               "/etc/opendmarc/opendmarc.conf"};

} // namespace

int main(int argc, char** argv) {
    auto const line =
        CommandLine::parse({argv + 1, static_cast<std::size_t>(argc > 0 ? argc - 1 : 0)}, options);
    if (auto const code = daemon::answer_standard_options(program, line, options)) return *code;
    if (line->has("print-defaults")) {
        auto const text =
            config::defaults_text(default_rows(milter_dmarc::settings_table()), config::FileStyle::words);
        std::fputs(text.c_str(), stdout);
        return daemon::exit_ok;
    }
    // As stock: without any file the defaults hold, and -p names the socket.
    auto const standard = daemon::first_existing(settings_files);
    auto const path = line->value("c").value_or(::access(standard.c_str(), F_OK) == 0 ? standard : "");
    auto const load = [&] { return milter_dmarc::load_configuration(path, *line); };
    auto const loaded = load();
    daemon::report_problems(program.name, loaded.problems);
    if (config::has_errors(loaded.problems)) return daemon::exit_configuration;
    if (line->has("n")) return daemon::exit_ok;

    if (auto const files = line->value("t")) return milter_dmarc::judge_files(*files, *loaded.configuration);
    auto const& settings = loaded.configuration->settings;
    auto const log =
        daemon::make_log({settings.syslog, "opendmarc", settings.syslog_facility, line->has("v")});
    Metrics metrics;
    milter_dmarc::Service service(loaded.configuration, load, *log, metrics);
    return daemon::run(service, milter_dmarc::process_of(settings), *log, metrics);
}
