// opendkim(8)'s letters.
#include "milter-dkim/command_line.h"

namespace postern::milter_dkim {

namespace {

using daemon::OptionSpec;

constexpr OptionSpec options[] = {
    daemon::help_option,
    daemon::version_option,
    daemon::check_option,
    daemon::print_defaults_option,
    {'x', "", "FILE", "the settings; else /etc/postern/opendkim.conf, then /etc/opendkim.conf"},
    {'e', "", "NAME", "print the value of one setting and exit"},
    {'p', "", "SOCKET", "where the MTA connects (Socket)"},
    {'f', "", "", "stay in the foreground (Background no)"},
    {'b', "", "MODES", "s sign, v verify (Mode)"},
    {'d', "", "DOMAINS", "whose mail is signed (Domain)"},
    {'D', "", "", "sign subdomains too (SubDomains yes)"},
    {'k', "", "FILE", "the private key (KeyFile)"},
    {'s', "", "NAME", "the selector (Selector)"},
    {'c', "", "FORMS", "header/body canonicalization (Canonicalization)"},
    {'S', "", "NAME", "signature algorithm (SignatureAlgorithm)"},
    {'o', "", "FIELDS", "header fields not to sign (OmitHeaders)"},
    {'L', "", "LIMIT", "what a signature must cover (Minimum)"},
    {'T', "", "SECONDS", "wait for the DNS (DNSTimeout)"},
    {'u', "", "USER", "the user[:group] to become (UserID)"},
    {'P', "", "FILE", "where the process id is written (PidFile)"},
    {'l', "", "", "log to syslog (Syslog yes)"},
    {'W', "", "", "log why a message is signed or not (LogWhy yes)"},
    {'A', "", "", "start again after a crash (AutoRestart yes)"},
    {'q', "", "", "hold mail that fails (Quarantine yes)"},
    {'r', "", "", "refuse broken headers (RequiredHeaders yes)"},
    {'X', "", "", "accepted: obsolete settings are always warnings here"},
    {'v', "", "", "log more"},
};

struct Letter {
    std::string_view option;
    std::string_view setting;
    std::string_view value; // empty: the option's argument
};
constexpr Letter letters[] = {
    {"p", "Socket", ""},
    {"f", "Background", "no"},
    {"b", "Mode", ""},
    {"d", "Domain", ""},
    {"D", "SubDomains", "yes"},
    {"k", "KeyFile", ""},
    {"s", "Selector", ""},
    {"c", "Canonicalization", ""},
    {"S", "SignatureAlgorithm", ""},
    {"o", "OmitHeaders", ""},
    {"L", "Minimum", ""},
    {"T", "DNSTimeout", ""},
    {"u", "UserID", ""},
    {"P", "PidFile", ""},
    {"l", "Syslog", "yes"},
    {"W", "LogWhy", "yes"},
    {"A", "AutoRestart", "yes"},
    {"q", "Quarantine", "yes"},
    {"r", "RequiredHeaders", "yes"},
};

} // namespace

std::span<OptionSpec const> command_line_options() { return options; }

std::vector<config::Assignment> assignments_of(daemon::CommandLine const& line) {
    std::vector<config::Assignment> out;
    for (auto const& [option, setting, value] : letters)
        if (line.has(option))
            out.push_back({std::string(setting),
                           value.empty() ? line.value(option).value_or("") : std::string(value),
                           {"option -" + std::string(option), 0}});
    return out;
}

} // namespace postern::milter_dkim
