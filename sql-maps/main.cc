// sql-maps: Postfix's SQL tables behind one pooled, failing-over service.
#include "common/daemon/service.h"
#include "common/daemon/startup.h"
#include "sql-maps/ask.h"
#include "sql-maps/import.h"
#include "sql-maps/service.h"

#include <fmt/format.h>

#include <unistd.h>

#include <cstdio>
#include <span>

using namespace postern;
using namespace postern::sql_maps;

namespace {

constexpr daemon::OptionSpec options[] = {
    daemon::help_option,
    daemon::version_option,
    daemon::check_option,
    daemon::print_defaults_option,
    {'c', "config", "FILE", "configuration file (/etc/postern/sql-maps.conf)"},
    {'q', "", "KEY", "look KEY up in the table that follows, TYPE:/PATH.cf or a map's NAME, and exit"},
    {0, "import", "DIRECTORY",
     "list and try the SQL tables of a Postfix (/etc/postfix), tell how to switch over"},
};

constexpr daemon::ProgramText program{
    "sql-maps", "sql-maps [-n] [-c FILE] [-q KEY MAP] [--import DIRECTORY]",
    "Serves Postfix's pgsql, mysql and sqlite tables over the proxymap, socketmap and tcp_table protocols."};

daemon::Process process_of(Settings const& settings) {
    daemon::Process process;
    process.name = "sql-maps";
    process.user = settings.user;
    process.pid_file = settings.pid_file;
    process.metrics_listen = settings.metrics_listen;
    return process;
}

} // namespace

int main(int argc, char** argv) {
    auto const line =
        daemon::CommandLine::parse(std::span(argv, static_cast<std::size_t>(argc)).subspan(1), options);
    if (auto const code = daemon::answer_standard_options(program, line, options)) return *code;
    if (line->has("print-defaults")) {
        fmt::print("{}", settings_defaults());
        return daemon::exit_ok;
    }
    auto const file = line->value("c").value_or(std::string(default_configuration));
    // The tools work before there is a configuration.
    bool const tool = line->has("q") || line->has("import");
    bool const defaults = tool && !line->has("c") && ::access(file.c_str(), F_OK) != 0;
    auto [settings, problems] = defaults ? SettingsResult() : read_settings(file);
    daemon::report_problems(program.name, problems);
    if (config::has_errors(problems)) return daemon::exit_configuration;
    if (auto const key = line->value("q")) {
        StreamLog log("sql-maps");
        return line->operands().size() == 1 ? ask(settings, *key, line->operands()[0], log)
                                            : daemon::exit_usage;
    }
    if (auto const directory = line->value("import")) {
        StreamLog log("sql-maps");
        return import_tables(std::move(settings), *directory, log);
    }
    if (line->has("n")) return check_maps(settings) ? daemon::exit_ok : daemon::exit_configuration;
    auto const log =
        daemon::make_log({settings.syslog, settings.syslog_name, settings.syslog_facility, settings.debug});
    Metrics metrics;
    auto const process = process_of(settings);
    SqlMaps service(std::move(settings), file, *log, metrics);
    return daemon::run(service, process, *log, metrics);
}
