// milter-dkim-rotate: the next DKIM key, published and seen everywhere before it signs.
#include "common/daemon/startup.h"
#include "common/dns/unbound.h"
#include "milter-dkim/tools/rotate/options.h"
#include "milter-dkim/tools/rotate/rotate.h"

#include <vector>

using namespace postern;
using namespace postern::milter_dkim::tools;

namespace {

constexpr daemon::ProgramText program{
    "milter-dkim-rotate", "milter-dkim-rotate [-n] [-x FILE] [-d DOMAIN] [-k KEYFILE] [options]",
    "Makes each domain's next DKIM key, publishes it, waits until every authoritative server shows it,\n"
    "switches the KeyTable and reloads the daemon; empties the old record's p= when its time is over."};

} // namespace

int main(int argc, char** argv) {
    std::vector<char const*> const arguments(argv + 1, argv + argc);
    auto const line = daemon::CommandLine::parse(arguments, rotate_options());
    if (auto const answered = daemon::answer_standard_options(program, line, rotate_options()))
        return *answered;
    StreamLog log(std::string(program.name));
    auto const options = read_rotate_options(*line, unix_time());
    if (!options) return log.error("{}", options.error().text), daemon::exit_usage;
    if (options->verbose) log.set_threshold(LogLevel::debug);

    Metrics metrics;
    dns::ResolverSettings settings;
    settings.nameservers = options->resolver;
    auto const resolver = dns::make_unbound_resolver(settings, log, metrics);
    if (!resolver) return log.error("{}", resolver.error().text), daemon::exit_configuration;
    NetworkDnsServers servers;
    return rotate(*options, **resolver, servers, log);
}
