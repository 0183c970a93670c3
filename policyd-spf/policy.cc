// The order of checks.
#include "policyd-spf/policy.h"

#include "common/base/text.h"
#include "common/spf/record.h"
#include "policyd-spf/bypass.h"
#include "policyd-spf/config_line.h"
#include "policyd-spf/per_user.h"
#include "policyd-spf/python_text.h"
#include "policyd-spf/rules.h"

#include <fmt/format.h>

#include <algorithm>

namespace postern::policyd_spf {

namespace {

bool is_private(spf::IpAddress const& address) {
    static auto const networks = Networks::parse("10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,"
                                                 "169.254.0.0/16,127.0.0.0/8,fc00::/7,fe80::/10,::1")
                                     .networks; // RFC 1918, RFC 6598, RFC 4193
    return networks.contains(address.unmapped());
}

std::string_view kind_word(Answer::Kind kind) {
    switch (kind) {
    case Answer::Kind::dunno: return "dunno";
    case Answer::Kind::prepend: return "prepend";
    case Answer::Kind::reject: return "reject";
    case Answer::Kind::defer: return "defer";
    case Answer::Kind::result_only: return "result_only";
    }
    return "dunno";
}

bool is_error(spf::Verdict verdict) {
    return verdict == spf::Verdict::permerror || verdict == spf::Verdict::temperror;
}

} // namespace

struct Policy::Case {
    Settings const& settings;
    Request const& request;
    bool per_user;
    spf::IpAddress client;
    Subject subject;
    Deadline deadline;
    Answer const* earlier = nullptr; // what was answered for this message before
    std::optional<Bypass::List> skipped_by;
    std::optional<Finding> helo;
    std::optional<Finding> decisive; // the finding that the answer is about
    std::string helo_field;

    bool logs(int level) const { return settings.debug_level >= level; }
    bool has_field_already() const { return earlier != nullptr && earlier->kind == Answer::Kind::prepend; }
    Answer with_field(std::string field) const {
        if (has_field_already()) return {Answer::Kind::dunno, "Header already pre-pended"};
        return {Answer::Kind::prepend, std::move(field)};
    }
    std::string shown(Answer const& answer) const;
};

// The answer as stock keeps it for the message's other recipients.
std::string Policy::Case::shown(Answer const& answer) const {
    std::string const kind(kind_word(answer.kind));
    auto const last = answer.kind == Answer::Kind::result_only ? "restriction" : kind;
    if (skipped_by) { // stock keeps the field of the first list alone
        auto const field = *skipped_by == Bypass::List::skip_addresses ? answer.text : "None";
        return python_list(
            {"N/A", std::string(Bypass::words_of(*skipped_by).result), "N/A", kind, field, last});
    }
    auto const finding = decisive.value_or(Finding{});
    std::vector<std::string> words = {verdict_word(finding.verdict),
                                      finding.explanation,
                                      std::string(scope_word(finding.scope)),
                                      kind,
                                      answer.text,
                                      last};
    bool const refused = answer.kind == Answer::Kind::reject || answer.kind == Answer::Kind::defer;
    if (subject.sender.empty() && !refused) // stock adds these two once more
        words.insert(words.end(), {helo_field, kind});
    return python_list(words);
}

std::string Policy::reply_to(Request const& request) {
    auto const level = settings_->debug_level;
    if (level >= 4) shared_.log.info("Found the end of entry");
    if (settings_->default_seed_only) // at every level, as stock does
        shared_.log.error("WARNING: Deprecated Config Option defaultSeedOnly in use in: {}",
                          printable(settings_->file));
    if (settings_->mock) return encode_action("dunno mock header field that should be ignored");
    auto const per_user = per_user_settings(request);
    auto const& settings = per_user.settings ? *per_user.settings : *settings_;
    if (level >= 3) shared_.log.info("Config: {}", printable(config_line(settings), 4000));
    auto answer = this->answer(request, settings, per_user.settings.has_value());
    if (settings.test_only && answer.kind != Answer::Kind::prepend)
        answer = {Answer::Kind::dunno, {}, answer.is_error};
    shared_.metrics
        .counter("postern_policy_answers_total", "Answers to Postfix",
                 fmt::format("action=\"{}\"", kind_word(answer.kind)))
        .add();
    log_answer(request, answer, settings);
    return encode_action(action_of(answer, settings));
}

PerUser Policy::per_user_settings(Request const& request) {
    if (settings_->per_user_file.empty()) return {};
    std::string const recipient =
        request.recipient && !request.recipient->empty() ? to_lower(*request.recipient) : "none";
    auto const level = settings_->debug_level;
    auto const file = printable(settings_->per_user_file);
    if (level >= 3) shared_.log.info("Starting to process per-user settings");
    if (level >= 3) shared_.log.info("User data: text,{}", file);
    if (level >= 4) {
        shared_.log.info("Reading per user data (type text) from:  \"{}\"", file);
        shared_.log.info("readUserConfigFile: Loading \"{}\"", file);
    }
    auto per_user = read_per_user(*settings_, recipient);
    if (level >= 5)
        for (auto const& [name, value] : per_user.found)
            shared_.log.info("readUserConfigFile: Found entry \"{}={}\" in per user settings", name,
                             printable(value));
    for (auto const& problem : per_user.problems)
        if (level >= 0 && problem.severity == config::Problem::Severity::error)
            shared_.log.error("{}", problem.to_string());
    if (level >= 4)
        shared_.log.info("Per-user settings for \"{}\": \"{}\"", printable(recipient),
                         printable(config_line(per_user.settings ? *per_user.settings : *settings_), 4000));
    if (level >= 2 && per_user.settings)
        shared_.log.info("Per user configuration data in use for: {}", printable(recipient));
    return per_user;
}

// The level is the program's: a recipient's own counts for the checks alone, as in stock.
void Policy::log_answer(Request const& request, Answer const& answer, Settings const& settings) {
    bool const nothing = answer.kind == Answer::Kind::dunno && answer.text.empty();
    if (settings_->debug_level >= 3)
        shared_.log.info("Action: {}: Text: {} Reject action: {}", nothing ? "None" : kind_word(answer.kind),
                         nothing ? "None" : printable(answer.text, 1500),
                         refusal_code({Answer::Kind::reject, {}, answer.is_error}, settings));
    auto const line = log_line_of(answer, settings);
    if (line.empty() || settings_->debug_level < 1) return;
    bool const named = settings.queue_id && request.queue_id;
    shared_.log.info("{}{}", named ? printable(*request.queue_id) + ": " : "", printable(line, 1500));
}

Answer Policy::answer(Request const& request, Settings const& settings, bool per_user) {
    auto const address = settings.prospective.empty() ? request.client_address : settings.prospective;
    if (!address) {
        if (settings.debug_level >= 2) shared_.log.info("spfcheck: No client address, exiting");
        return {};
    }
    auto const instance = request.instance.value_or("");
    auto const* const entry = instances_.find(instance);
    auto const* const earlier = entry != nullptr ? &entry->answer : nullptr;
    if (settings.debug_level >= 4)
        shared_.log.info("Cached data for this instance: {}",
                         entry != nullptr ? printable(entry->shown, 4000) : "[]");
    if (earlier != nullptr && !per_user)
        return earlier->kind == Answer::Kind::prepend
                   ? Answer{Answer::Kind::dunno, "Header already pre-pended"}
                   : *earlier;
    auto const client = spf::IpAddress::parse(*address);
    if (!client) { // stock dies of it; Postfix says "unknown" for clients without an address
        if (settings.debug_level >= 0)
            shared_.log.info("spfcheck: client_address \"{}\" is no IP address, not checked",
                             printable(*address));
        return {};
    }
    auto const shown = [](std::optional<std::string> const& value) {
        return value ? to_lower(*value) : "<UNKNOWN>";
    };
    Subject const subject{*address, shown(request.helo_name), shown(request.sender),
                          receiver_of(request, settings)};
    Case at{settings, request,      per_user,     *client,      subject, Deadline::after(total_time),
            earlier,  std::nullopt, std::nullopt, std::nullopt, {}};
    auto out = check(at);
    if (!per_user && out.kind != Answer::Kind::dunno)
        instances_.remember(instance, out, at.logs(4) ? at.shown(out) : "");
    return out;
}

// The recipient's domain; all of the address where some recipients have settings of their own.
std::string Policy::receiver_of(Request const& request, Settings const& settings) const {
    auto const recipient = to_lower(request.recipient.value_or(""));
    if (!settings_->per_user_file.empty()) return recipient.empty() ? "none" : recipient;
    if (settings.hide_receiver) return "<UNKNOWN>";
    if (recipient.empty()) return "none";
    auto const domain = halve(recipient, '@').after;
    return std::string(domain ? halve(*domain, '@').before : recipient);
}

// Whether a list says that the client is not checked; in Case::skipped_by, which one.
std::optional<Answer> Policy::skip_answer(Case& at) {
    Bypass const bypass(at.settings, shared_.resolver, shared_.checker, shared_.log);
    for (auto const list : Bypass::order) {
        auto const words = Bypass::words_of(list);
        if (at.logs(4) && bypass.is_set(list)) shared_.log.info("{}", words.enabled);
        bool const skipped = bypass.holds(list, at.client, at.request.helo_name.value_or(""), at.deadline);
        std::string field;
        if (skipped) {
            auto subject = at.subject;
            subject.client = at.request.client_address.value_or("<UNKNOWN>");
            field = skip_field(words.comment, subject, at.settings);
            at.skipped_by = list;
            if (at.logs(3)) shared_.log.info("{}", printable(field, 1500));
        }
        if (at.logs(4) && at.per_user && !words.used_per_user.empty())
            shared_.log.info("{}", words.used_per_user);
        if (skipped) return at.with_field(std::move(field));
    }
    return std::nullopt;
}

Answer Policy::check(Case& at) {
    if (auto skipped = skip_answer(at)) return std::move(*skipped);
    at.subject.sender = to_lower(at.request.sender.value_or(""));
    at.subject.helo = to_lower(at.request.helo_name.value_or(""));
    if (at.subject.sender.empty() && at.subject.helo.empty()) {
        if (at.logs(2)) shared_.log.info("spfcheck: No sender or helo, exiting");
        return {};
    }
    if (at.subject.helo.empty()) {
        at.subject.helo = domain_of_sender(at.subject.sender);
        if (at.subject.helo.empty()) at.subject.helo = "unknown";
    }
    if (at.settings.helo_reject != RejectPolicy::no_check)
        if (auto decided = helo_answer(at)) return std::move(*decided);
    if (at.subject.sender.empty()) return {}; // the HELO was not to be checked
    if (at.settings.mail_from_reject != RejectPolicy::no_check) return mail_from_answer(at);
    return at.helo ? at.with_field(at.helo_field) : Answer{};
}

Finding Policy::find(Case& at, Scope scope) {
    bool const helo = scope == Scope::helo;
    // Everything is in lower case but the local part, which macros see as it came.
    auto const mailbox = spf::split_sender(helo ? "" : *at.request.sender, at.subject.helo);
    spf::Query const query{at.client, helo ? "" : mailbox.local_part + "@" + to_lower(mailbox.domain),
                           at.subject.helo};
    spf::CheckLimits limits{.void_lookups = at.settings.void_limit};
    limits.time = std::min<std::chrono::milliseconds>(at.settings.lookup_time, at.deadline.remaining());
    auto const began = Deadline::Clock::now();
    auto const outcome = shared_.checker.check(query, limits);
    shared_.metrics.histogram("postern_spf_check_seconds", "Time of one SPF check")
        .observe(std::chrono::duration<double>(Deadline::Clock::now() - began).count());
    shared_.metrics
        .counter(
            "postern_spf_results_total", "SPF results",
            fmt::format("scope=\"{}\",result=\"{}\"", scope_word(scope), spf::to_string(outcome.verdict)))
        .add();
    if (outcome.void_names.size() > at.settings.void_limit && at.logs(1))
        shared_.log.info("spfcheck: void_limit={} domain={} void_lookups={}", at.settings.void_limit,
                         printable(mailbox.domain), printable(join(outcome.void_names, ","), 400));
    return {scope, outcome.verdict, outcome.explanation};
}

void Policy::log_finding(Case const& at, Rules const& rules, Finding const& finding) {
    if (at.logs(5))
        for (auto const& line : rules_lines(rules, at.settings))
            shared_.log.info("{}", printable(line, 1500));
    if (at.logs(2))
        shared_.log.info("spfcheck: pyspf result: \"[{}, {}, {}]\"", quoted(verdict_word(finding.verdict)),
                         quoted(finding.explanation), quoted(scope_word(finding.scope)));
}

void Policy::log_details(Case const& at, Finding const& finding) {
    if (at.logs(2))
        shared_.log.info("{}; {}", verdict_word(finding.verdict),
                         printable(details(finding.scope, at.subject), 1500));
}

std::optional<Answer> Policy::helo_answer(Case& at) {
    auto finding = find(at, Scope::helo);
    auto const rules = rules_of(Scope::helo, at.subject, at.settings);
    log_finding(at, rules, finding);
    if (rules.by_domain) finding.explanation = "Receiver policy for SPF " + verdict_word(finding.verdict);
    if (finding.verdict == spf::Verdict::none) finding.explanation = "no SPF record";
    log_details(at, finding);
    hint_at_private_client(at, finding);
    at.helo_field = header_field(finding, at.subject, at.settings);
    at.helo = at.decisive = finding;
    auto const fate = rules.fate_of(finding.verdict);
    if (fate == Answer::Kind::reject || fate == Answer::Kind::defer) {
        auto refused = refusal(at, finding, fate);
        if (refused.kind != Answer::Kind::prepend) return refused;
    }
    if (!at.subject.sender.empty()) return std::nullopt;
    if (!at.settings.helo_pass_restriction.empty() && finding.verdict == spf::Verdict::pass)
        return Answer{Answer::Kind::result_only, at.settings.helo_pass_restriction};
    auto answer = at.with_field(at.helo_field);
    answer.is_error = is_error(finding.verdict); // stock's line of debugLevel 3 says so, here only
    return answer;
}

Answer Policy::mail_from_answer(Case& at) {
    auto finding = find(at, Scope::mail_from);
    auto const rules = rules_of(Scope::mail_from, at.subject, at.settings);
    log_finding(at, rules, finding);
    if (rules.by_domain) finding.explanation = "Receiver policy for SPF " + verdict_word(finding.verdict);
    if (finding.verdict == spf::Verdict::none) finding.explanation = "no SPF record";
    auto const fate = rules.fate_of(finding.verdict);
    bool const refuses = fate == Answer::Kind::reject || fate == Answer::Kind::defer;
    auto field = at.helo_field;
    if (finding.verdict != spf::Verdict::none || !at.helo || at.helo->verdict == spf::Verdict::none) {
        log_details(at, finding);
        field = header_field(finding, at.subject, at.settings);
        if (at.logs(4) && !refuses && !at.per_user) shared_.log.info("not peruser");
        at.decisive = finding;
    }
    hint_at_private_client(at, finding);
    if (!at.settings.mail_from_pass_restriction.empty() && finding.verdict == spf::Verdict::pass)
        return {Answer::Kind::result_only, at.settings.mail_from_pass_restriction};
    if (!at.settings.helo_pass_restriction.empty() && at.helo && at.helo->verdict == spf::Verdict::pass)
        return {Answer::Kind::result_only, at.settings.helo_pass_restriction};
    if (refuses) {
        auto refused = refusal(at, finding, fate);
        if (refused.kind != Answer::Kind::prepend) return refused;
    }
    return at.with_field(std::move(field));
}

// The refusal, or an empty prepend where No_Mail spares a domain that does send mail.
Answer Policy::refusal(Case& at, Finding const& finding, Answer::Kind kind) {
    if (kind == Answer::Kind::reject && at.settings.no_mail && !is_no_mail_domain(at, finding.scope))
        return {Answer::Kind::prepend, {}};
    return {kind, refusal_text(kind, finding, at.subject, at.settings), is_error(finding.verdict)};
}

bool Policy::is_no_mail_domain(Case& at, Scope scope) {
    auto const domain = scope == Scope::helo ? at.subject.helo : domain_of_sender(at.subject.sender);
    auto const answer = shared_.resolver.lookup(domain, dns::RecordType::txt, at.deadline);
    if (!answer) return false;
    auto const is_spf = [](dns::DnsRecord const& each) { return spf::is_spf_record(each.data); };
    auto const record = std::ranges::find_if(answer->records, is_spf);
    if (record == answer->records.end()) return false;
    if (std::ranges::count_if(answer->records, is_spf) > 1) return false; // whichever came first
    if (at.logs(5))
        shared_.log.info("Pyspf Cached SPF record before {} No_Mail check: {}",
                         scope == Scope::helo ? "HELO" : "mfrom",
                         quoted_octets(record->data).substr(0, 1500));
    return record->data == "v=spf1 -all";
}

void Policy::hint_at_private_client(Case const& at, Finding const& finding) {
    bool const failed = finding.verdict == spf::Verdict::fail || finding.verdict == spf::Verdict::softfail;
    if (!failed || hinted_ || !at.logs(1) || !is_private(at.client)) return;
    hinted_ = true;
    shared_.log.warning(
        "spfcheck: client={} is a private address and fails SPF: does a proxy or container bridge hide "
        "the real client? If it is a relay of yours, put it into skip_addresses or Whitelist",
        at.client.to_string());
}

} // namespace postern::policyd_spf
