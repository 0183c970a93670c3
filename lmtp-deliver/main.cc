// lmtp-deliver: takes mail over LMTP and delivers it into Maildirs.
#include "common/daemon/service.h"
#include "common/daemon/startup.h"
#include "lmtp-deliver/service.h"

#include <fmt/format.h>

#include <csignal>
#include <span>

using namespace postern;
using namespace postern::lmtp_deliver;

namespace {

constexpr daemon::ProgramText text{"lmtp-deliver", "lmtp-deliver [-n] [-c DOVECOT_CONF] [-o FILE]",
                                   "Delivers mail into Maildirs over LMTP; replaces Dovecot's lmtp."};
constexpr daemon::OptionSpec options[] = {
    daemon::help_option,
    daemon::version_option,
    daemon::check_option,
    daemon::print_defaults_option,
    {'c', "", "FILE", "the dovecot.conf (default: /etc/dovecot/dovecot.conf)"},
    {'o', "", "FILE",
     "what Dovecot has no word for (default: /etc/postern/lmtp-deliver.conf, if it is there)"},
};

} // namespace

int main(int argc, char** argv) {
    auto const line =
        daemon::CommandLine::parse(std::span(argv, static_cast<std::size_t>(argc)).subspan(1), options);
    if (auto const code = daemon::answer_standard_options(text, line, options)) return *code;
    if (line->has("print-defaults")) {
        fmt::print("{}", settings_defaults());
        return daemon::exit_ok;
    }
    auto const read = [dovecot_conf = line->value("c").value_or(dovecot_configuration_path),
                       own = line->value("o")] { return read_configuration(dovecot_conf, own); };
    auto configuration = read();
    bool const wrong = config::has_errors(configuration.problems);
    auto const log = daemon::make_log({.syslog = configuration.own.syslog,
                                       .identity = configuration.own.syslog_name,
                                       .facility = configuration.settings.syslog_facility,
                                       .debug = false});
    daemon::report_problems(text.name, configuration.problems, line->has("n") ? nullptr : log.get());
    if (wrong) return daemon::exit_configuration;
    if (line->has("n")) return daemon::exit_ok;

    std::signal(SIGXFSZ, SIG_IGN); // a file too large is an error of that copy, not the end of the daemon
    daemon::Process process;
    process.name = text.name;
    process.user = configuration.process_user();
    process.umask = 0077;
    process.metrics_listen = configuration.own.metrics_listen;
    Metrics metrics;
    LmtpService service(std::move(configuration), read, *log, metrics);
    return daemon::run(service, process, *log, metrics);
}
