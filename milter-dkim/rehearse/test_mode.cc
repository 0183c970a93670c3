// Prints what OpenDKIM prints in its test modes.
#include "milter-dkim/rehearse/test_mode.h"

#include "common/base/text.h"
#include "common/daemon/command_line.h"
#include "milter-dkim/message/sender.h"
#include "milter-dkim/verify/verifier.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>

namespace postern::milter_dkim {

namespace {

using Stage = Rehearsal::Stage;
using Kind = SignatureResult::Kind;

constexpr int exit_data_error = 65;

std::string_view callback_name(Stage stage) {
    switch (stage) {
    case Stage::connect: return "mlfi_connect";
    case Stage::mail_from: return "mlfi_envfrom";
    case Stage::recipient: return "mlfi_envrcpt";
    case Stage::header: return "mlfi_header";
    case Stage::end_of_headers: return "mlfi_eoh";
    case Stage::body: return "mlfi_body";
    case Stage::end_of_message: return "mlfi_eom";
    }
    return {};
}

std::string_view status_name(milter::Verdict const& verdict) {
    using Action = milter::Verdict::Action;
    switch (verdict.action) {
    case Action::next: return "SMFIS_CONTINUE";
    case Action::skip: return "SMFIS_SKIP";
    case Action::accept: return "SMFIS_ACCEPT";
    case Action::discard: return "SMFIS_DISCARD";
    case Action::reject: return "SMFIS_REJECT";
    case Action::tempfail: return "SMFIS_TEMPFAIL";
    }
    return {};
}

class FileTest {
  public:
    FileTest(TestMode const& mode, std::string name, Generation const& generation)
        : mode_(mode), name_(std::move(name)), generation_(generation) {}

    int run(std::shared_ptr<Generation const> const& generation) {
        auto const text = read_message_file(name_);
        auto const shown = name_ == "-" ? "(stdin)" : name_;
        if (!text) return complain(name_, text.error().text, daemon::exit_unavailable);
        name_ = shown;
        if (mode_.strict)
            if (auto const line = first_bare_line(*text))
                return complain(name_, fmt::format("line {}: not CRLF-terminated", *line), exit_data_error);
        auto const message = RehearsedMessage::parse(*text);
        if (!message) return complain(name_, message.error().text, daemon::exit_software);
        Envelope envelope;
        envelope.host_name = "DEBUG-j";
        envelope.job_id = "DEBUG-i";
        auto const done = rehearse(generation, *message, envelope);
        print_steps(done);
        if (!done.reached_end()) return daemon::exit_software;
        for (auto const& change : done.changes) print_change(change);
        print_results(*message, done);
        return daemon::exit_ok;
    }

  private:
    int complain(std::string const& name, std::string const& what, int code) const {
        std::fputs(fmt::format("{}: {}: {}\n", mode_.program, name, what).c_str(), stderr);
        return code;
    }
    static std::optional<std::size_t> first_bare_line(std::string_view text) {
        std::size_t number = 0;
        for (auto const line : split(text, '\n')) {
            bool const last = line.data() + line.size() == text.data() + text.size();
            ++number;
            if ((last && !line.empty()) || (!last && !line.ends_with('\r'))) return number;
        }
        return std::nullopt;
    }
    void print_steps(Rehearsal const& done) const {
        for (auto const& step : done.steps) {
            bool const ends = &step == &done.steps.back();
            if (mode_.verbosity < (ends ? 1 : 2)) continue;
            auto const where = step.stage == Stage::connect ? std::string() : name_ + ": ";
            auto const line =
                step.stage == Stage::header ? fmt::format("line {}: ", step.line) : std::string();
            std::fputs(fmt::format("{}: {}{}{}() returned {}\n", mode_.program, where, line,
                                   callback_name(step.stage), status_name(step.verdict))
                           .c_str(),
                       stderr);
        }
        if (mode_.verbosity > 1)
            std::fputs(fmt::format("{}: mlfi_close() returned SMFIS_CONTINUE\n", mode_.program).c_str(),
                       stderr);
    }
    void print_change(Rehearsal::Change const& change) const {
        using What = Rehearsal::Change::Kind;
        auto const value = change.value.starts_with(' ') ? change.value.substr(1) : change.value;
        if (mode_.verbosity > 1) {
            auto const* what = change.kind == What::insert ? "INSHEADER"
                               : change.kind == What::add  ? "ADDHEADER"
                                                           : "CHGHEADER";
            if (!change.name.empty())
                std::fputs(fmt::format("### {}: idx={} hname='{}' hvalue='{}'\n", what, change.index,
                                       change.name, value)
                               .c_str(),
                           stdout);
        } else if (change.kind == What::insert && change.name == "DKIM-Signature")
            std::fputs(fmt::format("{}: {}:\n{}: {}\n", mode_.program, name_, change.name, value).c_str(),
                       stdout);
    }
    void print_results(RehearsedMessage const& message, Rehearsal const& done) const {
        auto const& settings = generation_.configuration->settings;
        for (auto const& change : done.changes)
            if (change.name == "DKIM-Signature") return;
        auto const* from = find_header(message.headers, "From");
        if (!settings.verifies || from == nullptr) return;
        auto const sender = sender_of(*from);
        Verifier verifier(*generation_.configuration, *generation_.resolver, message.headers,
                          sender ? to_lower(sender->domain) : std::string());
        verifier.body(message.body);
        auto const results = verifier.finish();
        if (results.empty())
            std::fputs(fmt::format("{}: {}: message not signed\n", mode_.program, name_).c_str(), stdout);
        else
            std::fputs(fmt::format("{}: {}: {}\n", mode_.program, name_, in_words(chosen(results))).c_str(),
                       stdout);
    }
    // The one that speaks for the message.
    static SignatureResult const& chosen(std::vector<SignatureResult> const& results) {
        for (auto const& each : results)
            if (each.kind == Kind::pass) return each;
        for (auto const& each : results)
            if (each.kind != Kind::neutral) return each;
        return results.front();
    }
    static std::string in_words(SignatureResult const& result) {
        auto const bits = result.key_bits == 0 ? std::string() : fmt::format(", {}-bit key", result.key_bits);
        auto const selector = printable(result.selector);
        auto const domain = printable(result.domain);
        if (result.kind == Kind::pass)
            return fmt::format("verification (s={}, d={}{}{}) succeeded", selector, domain, bits,
                               result.dnssec.empty() ? "" : ", " + result.dnssec);
        auto const why = !result.reason.empty() ? result.reason
                         : !result.why.empty()  ? result.why
                                                : std::string(to_string(result.kind));
        return fmt::format("verification (s={} d={}{}, {}) failed: {}", selector, domain, bits,
                           result.dnssec.empty() ? "unknown" : result.dnssec, printable(why));
    }

    TestMode const& mode_;
    std::string name_;
    Generation const& generation_;
};

int answer_query(std::string const& program, DataSet const& set, std::string const& question) {
    auto const halves = halve_at_last(question, '/');
    auto const count = parse_number<unsigned>(halves.after.value_or(""));
    if (!count) {
        std::fputs(fmt::format("{}: invalid query '{}'\n", program, printable(question)).c_str(), stderr);
        return daemon::exit_usage;
    }
    auto const found = set.find(halves.before);
    if (!found || !*found) {
        std::puts(
            fmt::format("{}: dkimf_db_get(): {}", program, found ? "record not found" : found.error().text)
                .c_str());
        return daemon::exit_ok;
    }
    unsigned shown = 0;
    // One value takes the whole row.
    for (auto const value : *count == 1 ? std::vector<std::string_view>{**found} : split(**found, ':')) {
        if (shown++ == *count) break;
        std::puts(fmt::format("'{}'", value).c_str());
    }
    return daemon::exit_ok;
}

} // namespace

int test_files(TestMode const& mode, std::string_view files,
               std::shared_ptr<Generation const> const& generation) {
    for (auto const path : split_words(files, ","))
        if (auto const code = FileTest(mode, std::string(path), *generation).run(generation);
            code != daemon::exit_ok)
            return code;
    return daemon::exit_ok;
}

int query_data_set(std::string const& program, DataSetOpener const& opener) {
    bool const asks = isatty(0) != 0;
    if (asks)
        std::puts(fmt::format("{}: enter a data set (csl:a,b=c file:PATH refile:PATH ...)", program).c_str());
    std::string name;
    if (!std::getline(std::cin, name)) return daemon::exit_ok;
    std::vector<config::Problem> problems;
    auto const set = opener.open(name, {"standard input", 1}, problems);
    if (!set) {
        std::fputs(fmt::format("{}: {}: dkimf_db_open(): {}\n", program, name, set.error().text).c_str(),
                   stderr);
        return daemon::exit_software;
    }
    if (asks) std::puts(fmt::format("{}: enter KEY/COUNT", program).c_str());
    std::string question;
    while (std::getline(std::cin, question))
        if (auto const code = answer_query(program, **set, question); code != daemon::exit_ok) return code;
    std::puts("");
    return daemon::exit_ok;
}

} // namespace postern::milter_dkim
