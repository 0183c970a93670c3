// policyd-spf: checks SPF for Postfix, under spawn(8) or as a daemon.
#include "common/daemon/command_line.h"
#include "common/daemon/startup.h"
#include "policyd-spf/explain.h"
#include "policyd-spf/service.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <string_view>
#include <vector>

using namespace postern;

namespace {

constexpr daemon::OptionSpec options[] = {
    daemon::help_option,
    daemon::version_option,
    daemon::check_option,
    daemon::print_defaults_option,
    {0, "listen", "ADDRESS", "stand as a daemon on unix:/path or inet:port@host"},
    {0, "explain", "", "operands IP HELO SENDER [FILE]: show how the result comes about"},
    {0, "check-record", "DOMAIN", "show what a domain's record costs; exit 1 when it is not good"}};
constexpr daemon::ProgramText text{"policyd-spf", "policyd-spf [--listen ADDRESS] [FILE]",
                                   "Checks SPF (RFC 7208) for Postfix; replaces python policyd-spf."};
constexpr std::string_view paths[] = {"/etc/postern/policyd-spf.conf",
                                      "/etc/postfix-policyd-spf-python/policyd-spf.conf",
                                      "/etc/python-policyd-spf/policyd-spf.conf"};

policyd_spf::Width terminal_width() {
    winsize size{};
    return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

int show(policyd_spf::Report const& report) {
    std::fputs(report.text.c_str(), stdout);
    return report.good ? daemon::exit_ok : daemon::exit_failure;
}

int run(daemon::CommandLine const& line) {
    auto const& operands = line.operands();
    std::size_t const first = line.has("explain") ? 3 : 0;
    if (operands.size() < first)
        return std::fputs("policyd-spf: --explain IP HELO SENDER [FILE]\n", stderr), daemon::exit_usage;
    auto const path = operands.size() > first ? operands[first] : daemon::first_existing(paths);
    auto read = policyd_spf::read_settings(path);
    if (line.has("n")) {
        daemon::report_problems(text.name, read.problems);
        return config::has_errors(read.problems) ? daemon::exit_configuration : daemon::exit_ok;
    }
    bool const asks = line.has("explain") || line.has("check-record");
    if (asks && (operands.size() > first || !read.usable)) daemon::report_problems(text.name, read.problems);
    Metrics metrics;
    NullLog silent;
    policyd_spf::Surroundings asking(read.settings, silent, metrics);
    if (line.has("explain"))
        return show(policyd_spf::explain(asking.checker(), read.settings, operands[0], operands[1],
                                         operands[2], terminal_width()));
    if (auto const domain = line.value("check-record"))
        return show(policyd_spf::check_record(asking.checker(), read.settings, *domain, terminal_width()));
    return policyd_spf::serve(line.value("listen"), path, std::move(read), metrics);
}

} // namespace

int main(int argc, char** argv) {
    std::vector<char const*> arguments(argv + 1, argv + argc);
    if (!arguments.empty() && std::string_view(arguments[0]) == "-?")
        arguments[0] = "--help"; // as stock has it
    auto const line = daemon::CommandLine::parse(arguments, options);
    if (auto const code = daemon::answer_standard_options(text, line, options)) return *code;
    if (line->has("print-defaults")) {
        auto const rows = config::default_rows(policyd_spf::settings_table());
        std::fputs(config::defaults_text(rows, config::FileStyle::assignments).c_str(), stdout);
        return daemon::exit_ok;
    }
    return run(*line);
}
