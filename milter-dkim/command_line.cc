// opendkim(8)'s letters.
#include "milter-dkim/command_line.h"

namespace postern::milter_dkim {

namespace {

using daemon::OptionSpec;

constexpr OptionSpec options[] = {
    daemon::help_option,
    {0, "version", "", "print the version and exit"},
    {'V', "", "", "print the version, algorithms and what is built in, and exit"},
    daemon::check_option,
    daemon::print_defaults_option,
    {0, "explain", "FILE", "tell step by step what is done with the message, and why (-: standard input)"},
    {0, "client", "ADDRESS[=NAME]", "with --explain: it comes from there (127.0.0.1=localhost)"},
    {0, "authenticated", "", "with --explain: the client is logged in"},
    {0, "mail-from", "ADDRESS", "with --explain: the envelope's sender (as From)"},
    {0, "rcpt", "ADDRESS", "with --explain: a recipient; may be given several times"},
    {0, "daemon-name", "NAME", "with --explain: the MTA's {daemon_name}"},
    {'t', "", "FILES", "verify the messages in files, separated by commas, as opendkim -t"},
    {'F', "", "TIME", "with -t: sign at this time, in seconds since 1970"},
    {'Q', "", "", "ask a data set: its name and KEY/COUNT are lines on standard input"},
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
    {'v', "", "", "log more; with -t print more, twice still more"},
    // Not in the help: obsolete settings are always warnings here, and the help itself.
    {'X', "", "", ""},
    {'?', "", "", ""},
};
constexpr std::size_t hidden = 2;

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

std::span<OptionSpec const> help_options() { return std::span(options).first(std::size(options) - hidden); }

std::vector<config::Assignment> assignments_of(daemon::CommandLine const& line) {
    std::vector<config::Assignment> out;
    for (auto const& [option, setting, value] : letters)
        if (line.has(option))
            out.push_back({std::string(setting),
                           value.empty() ? line.value(option).value_or("") : std::string(value),
                           {"option -" + std::string(option), 0}});
    // As OpenDKIM's test mode: it verifies unless it is told otherwise.
    if (line.has("t") && !line.has("b")) out.push_back({"Mode", "v", {"option -t", 0}});
    return out;
}

} // namespace postern::milter_dkim
