// Prints version, settings, values and explanations.
#include "milter-dkim/modes.h"

#include "common/base/text.h"
#include "common/config/words.h"
#include "milter-dkim/explain/explain.h"
#include "milter-dkim/rehearse/test_mode.h"
#include "milter-dkim/service.h"
#include "milter-dkim/tables/data_set_sql.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <unistd.h>

#include <cstdio>

namespace postern::milter_dkim {

namespace {

using daemon::CommandLine;

constexpr int exit_data_error = 65;

void print(std::string const& text) { std::fputs(text.c_str(), stdout); }

std::string this_host() {
    char name[256] = "";
    return gethostname(name, sizeof name - 1) == 0 && name[0] != '\0' ? name : "localhost";
}

// The lines of "opendkim -V" that still mean something.
std::string version_details(std::string const& program) {
    auto out = fmt::format("{}: OpenDKIM Filter v2.11.0\n\tPostern milter-dkim {}\n\tCompiled with {}\n",
                           program, POSTERN_VERSION, OPENSSL_VERSION_TEXT);
    out += "\tSupported signing algorithms:\n\t\trsa-sha256\n\t\ted25519-sha256\n"
           "\tSupported canonicalization algorithms:\n\t\trelaxed\n\t\tsimple\n\tActive code options:\n";
    if (POSTERN_BERKELEY_DB != 0) out += "\t\tUSE_DB\n";
    if (POSTERN_LMDB != 0) out += "\t\tUSE_MDB\n";
    return out + "\t\tUSE_ODBX\n\t\tUSE_UNBOUND\n";
}

// OpenDKIM writes switches as True and False, and has no value to tell of what is not set.
int print_setting(std::string const& path, std::string const& name) {
    auto const* row = settings_table().find(name);
    if (row == nullptr) return exit_data_error;
    std::optional<std::string> value;
    for (auto const& each : config::read_words(path).assignments)
        if (equals_ignoring_case(each.name, name)) value = each.value;
    if (!value) return daemon::exit_configuration;
    bool const is_switch = row->default_text == "yes" || row->default_text == "no";
    if (auto const set = parse_switch(*value); is_switch && set) value = *set ? "True" : "False";
    print(*value + "\n");
    return daemon::exit_ok;
}

explain::Case case_of(CommandLine const& line, std::string const& file,
                      std::shared_ptr<Generation const> generation, RehearsedMessage message) {
    Envelope envelope;
    auto const client = line.value("client").value_or("127.0.0.1");
    auto const halves = halve(client, '=');
    envelope.client_address = halves.before;
    bool const local = halves.before == "127.0.0.1" || halves.before == "::1";
    envelope.client_name = halves.after ? std::string(*halves.after)
                           : local      ? std::string("localhost")
                                        : "[" + envelope.client_address + "]";
    auto const* from = find_header(message.headers, "From");
    auto const sender = from == nullptr ? std::nullopt : sender_of(*from);
    envelope.mail_from =
        line.value("mail-from").value_or(sender ? sender->local_part + "@" + sender->domain : "");
    if (auto const recipients = line.values("rcpt"); !recipients.empty()) envelope.recipients = recipients;
    if (line.has("authenticated")) envelope.auth_type = "PLAIN";
    envelope.daemon_name = line.value("daemon-name").value_or("");
    envelope.host_name = this_host();
    envelope.job_id = "EXPLAIN";
    return {file == "-" ? "on standard input" : file, std::move(generation), std::move(message),
            std::move(envelope)};
}

int explain_file(std::string const& program, CommandLine const& line, std::string const& file,
                 std::shared_ptr<Generation const> generation) {
    auto const complain = [&](std::string const& what) {
        std::fputs(fmt::format("{}: {}: {}\n", program, file, what).c_str(), stderr);
        return daemon::exit_unavailable;
    };
    auto const text = read_message_file(file);
    if (!text) return complain(text.error().text);
    auto message = RehearsedMessage::parse(*text);
    if (!message) return complain(message.error().text);
    print(explanation(case_of(line, file, std::move(generation), std::move(*message))));
    return daemon::exit_ok;
}

} // namespace

std::optional<int> answer_question(std::string const& program, CommandLine const& line,
                                   std::string const& path) {
    if (line.has("V")) return print(version_details(program)), daemon::exit_ok;
    if (line.has("print-defaults")) {
        print(config::defaults_text(default_rows(settings_table()), config::FileStyle::words));
        return daemon::exit_ok;
    }
    if (line.has("Q")) {
        NullLog log;
        Metrics metrics;
        return query_data_set(program, DataSetOpener(database_opener(log, metrics)));
    }
    if (line.has("e")) return print_setting(path, *line.value("e"));
    if (auto const time = line.value("F"); time && !parse_number<std::uint32_t>(*time)) {
        std::fputs(fmt::format("{}: invalid time value\n", program).c_str(), stderr);
        return daemon::exit_usage;
    }
    return std::nullopt;
}

bool reads_messages(CommandLine const& line) { return line.has("t") || line.has("explain"); }

int answer_messages(std::string const& program, CommandLine const& line,
                    std::shared_ptr<Configuration const> configuration) {
    StreamLog log(program);
    log.set_threshold(LogLevel::error);
    Metrics metrics;
    auto const strict = configuration->settings.strict_test_mode;
    std::optional<std::int64_t> now;
    if (auto const time = line.value("F")) now = parse_number<std::uint32_t>(*time);
    auto generation = make_generation(std::move(configuration), nullptr, log, metrics, now);
    if (!generation) return log.error("{}", generation.error().text), daemon::exit_software;
    if (line.has("t"))
        return test_files({program, static_cast<int>(line.values("v").size()), strict}, *line.value("t"),
                          *generation);
    for (auto const& file : line.values("explain"))
        if (auto const code = explain_file(program, line, file, *generation); code != daemon::exit_ok)
            return code;
    return daemon::exit_ok;
}

} // namespace postern::milter_dkim
