// auth-socket: Dovecot's auth protocols for Postfix, Exim, deliveries and Dovecot itself.
#include "auth-socket/dovecot_master.h"
#include "auth-socket/service.h"
#include "common/config/assignments.h"
#include "common/daemon/command_line.h"
#include "common/daemon/service.h"
#include "common/daemon/startup.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

using namespace postern;
using namespace postern::auth_socket;

namespace {

constexpr daemon::ProgramText text{"auth-socket", "auth-socket [-n] [-c DOVECOT_CONF] [-o FILE]",
                                   "Checks passwords and looks up users for Postfix, Exim and Dovecot; "
                                   "replaces Dovecot's auth and saslauthd."};
constexpr daemon::OptionSpec options[] = {
    daemon::help_option,
    daemon::version_option,
    daemon::check_option,
    daemon::print_defaults_option,
    {'c', "", "FILE", "the dovecot.conf (default: /etc/dovecot/dovecot.conf)"},
    {'o', "", "FILE",
     "what Dovecot has no word for (default: /etc/postern/auth-socket.conf, if it is there)"},
};

int print_defaults() {
    fmt::print("# {}\n{}\n# dovecot.conf\n{}", "auth-socket.conf",
               config::defaults_text(config::default_rows(own_table()), config::FileStyle::assignments),
               config::defaults_text(config::default_rows(dovecot_table()), config::FileStyle::assignments));
    return daemon::exit_ok;
}

} // namespace

int main(int argc, char** argv) {
    auto const line =
        daemon::CommandLine::parse(std::span(argv, static_cast<std::size_t>(argc)).subspan(1), options);
    if (auto const code = daemon::answer_standard_options(text, line, options)) return *code;
    if (line->has("print-defaults")) return print_defaults();

    auto master = read_master_environment([](char const* name) { return std::getenv(name); });
    if (!master) return fmt::print(stderr, "{}\n", master.error().text), daemon::exit_configuration;
    OwnSettings own;
    std::vector<config::Problem> problems;
    auto const own_file = line->value("o").value_or(own_configuration_path);
    if (line->has("o") || ::access(own_file.c_str(), F_OK) == 0) problems = read_own_settings(own_file, own);

    auto const dovecot_conf =
        line->value("c").value_or(*master ? (*master)->dovecot_conf() : "/etc/dovecot/dovecot.conf");
    Metrics metrics;
    std::unique_ptr<Log> log = *master
                                   ? std::make_unique<MasterLog>()
                                   : daemon::make_log({.syslog = own.syslog, .identity = own.syslog_name});
    Hashing hashing(own.hash_workers != 0 ? own.hash_workers
                                          : std::max(1U, std::thread::hardware_concurrency()),
                    metrics);
    Helper helper;
    auto const load = [&](std::vector<config::Problem>& found) {
        return load_configuration(dovecot_conf, own, helper, hashing, *log, metrics, found);
    };
    auto configuration = load(problems);
    auto const wrong = config::has_errors(problems);
    if (*master)
        report_in_log(problems, *log);
    else
        daemon::report_problems(text.name, problems, wrong && !line->has("n") ? log.get() : nullptr);
    if (wrong) return daemon::exit_configuration;
    if (line->has("n")) return daemon::exit_ok;

    auto const& settings = configuration.settings;
    if (settings.authenticator.debug) log->set_threshold(LogLevel::debug);
    daemon::Process process;
    process.name = text.name;
    process.user = !own.user.empty()                ? own.user
                   : !settings.service_user.empty() ? settings.service_user
                                                    : settings.internal_user;
    process.metrics_listen = own.metrics_listen;
    if (*master) settle_as_child_of_master();
    AuthService service(std::move(configuration), own, load, helper, *log, metrics, std::move(*master));
    return daemon::run(service, process, *log, metrics);
}
