// milter-dmarc-check: shows the DMARC policy of domains, in place of opendmarc-check.
#include "common/daemon/startup.h"
#include "common/dns/unbound.h"
#include "milter-dmarc/settings.h"
#include "milter-dmarc/tools/check.h"

#include <cstdio>

using namespace postern;

namespace {

constexpr daemon::ProgramText program{
    "milter-dmarc-check", "milter-dmarc-check [-c FILE] DOMAIN...",
    "Shows the DMARC policy that applies to mail of each domain; replaces opendmarc-check."};

constexpr daemon::OptionSpec options[] = {
    daemon::help_option,
    daemon::version_option,
    {'c', "", "FILE", "take Nameservers, DMARCbisWalkMode and PublicSuffixList from this configuration"},
};

int fail(std::string const& text, int code) {
    std::fprintf(stderr, "milter-dmarc-check: %s\n", text.c_str());
    return code;
}

int check_all(std::vector<std::string> const& domains, milter_dmarc::Settings const& settings) {
    NullLog log;
    Metrics metrics;
    dns::ResolverSettings resolver_settings;
    resolver_settings.nameservers = settings.nameservers;
    auto const resolver = dns::make_unbound_resolver(resolver_settings, log, metrics);
    if (!resolver) return fail(resolver.error().text, daemon::exit_configuration);
    auto const suffixes = mail::PublicSuffixes::load(settings.public_suffix_list);
    if (!suffixes) return fail(suffixes.error().text, daemon::exit_configuration);
    int code = daemon::exit_ok;
    for (auto const& domain : domains) {
        milter_dmarc::Discovery discovery(**resolver, *suffixes, {.mode = settings.discovery_mode},
                                          Deadline::after(std::chrono::seconds(30)));
        auto const answer = milter_dmarc::check_domain(domain, discovery);
        std::fputs(answer.text.c_str(), stdout);
        if (!answer.error.empty()) code = fail(answer.error, answer.exit_code);
    }
    return code;
}

} // namespace

int main(int argc, char** argv) {
    auto const line =
        daemon::CommandLine::parse({argv + 1, static_cast<std::size_t>(argc > 0 ? argc - 1 : 0)}, options);
    if (auto const code = daemon::answer_standard_options(program, line, options)) return *code;
    if (line->operands().empty()) return fail("no domain given (try --help)", daemon::exit_usage);
    milter_dmarc::SettingsResult read;
    if (auto const path = line->value("c")) read = milter_dmarc::read_settings(*path);
    if (config::has_errors(read.problems)) {
        daemon::report_problems(program.name, read.problems);
        return daemon::exit_configuration;
    }
    return check_all(line->operands(), read.settings);
}
