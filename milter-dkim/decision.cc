// Asks the questions in OpenDKIM's order (its mlfi_eoh), so that the same message gets the same treatment.
#include "milter-dkim/decision.h"

#include "common/base/text.h"
#include "milter-dkim/hosts.h"

#include <fmt/format.h>

namespace postern::milter_dkim {

namespace {

using Action = Decision::Action;

class Decider {
  public:
    Decider(Configuration const& configuration, MessageFacts const& facts)
        : configuration_(configuration), settings_(configuration.settings), facts_(facts) {}

    Decision run() {
        if (auto ended = find_sender()) return end(*ended);
        if (auto ended = check_exempt()) return end(*ended);
        bool const origin_ok = check_origin();
        if (failed_) return end(Action::tempfail);
        bool domain_ok = check_domain();
        if (failed_) return end(Action::tempfail);
        if (domain_ok && !origin_ok) tell_of_stranger();
        if (origin_ok && configuration_.tables) {
            if (auto ended = apply_tables(domain_ok)) return end(*ended);
        }
        decision_.internal = origin_ok;
        if (domain_ok && origin_ok && decision_.requests.empty()) {
            if (auto ended = add_default_request()) return end(*ended);
        }
        return end(final_action());
    }

    bool comes_from_us() { return check_origin() && !failed_; }

  private:
    Decision end(Action action) {
        decision_.action = action;
        if (action != Action::sign) decision_.requests.clear();
        return std::move(decision_);
    }
    void say(LogLevel level, std::string text) { decision_.lines.push_back({level, std::move(text)}); }
    void why(std::string text) { decision_.lines.push_back({LogLevel::info, std::move(text), true}); }
    // A lookup that failed makes the whole decision temporary: guessing would send mail unsigned.
    bool yes(Result<bool> const& answer) {
        if (answer) return *answer;
        say(LogLevel::error, answer.error().text);
        failed_ = true;
        return false;
    }

    std::optional<Action> find_sender() {
        std::string value;
        std::string source;
        if (!settings_.sender_macro.empty()) {
            source = "macro " + settings_.sender_macro;
            value = facts_.macro(settings_.sender_macro).value_or("");
        }
        if (value.empty()) std::tie(source, value) = sender_field();
        if (trim(value).empty()) {
            say(LogLevel::info, "can't determine message sender; accepting");
            return Action::malformed;
        }
        auto const sender = sender_of(value);
        if (sender && !sender->local_part.empty() && !sender->domain.empty()) {
            user_ = sender->local_part;
            decision_.sender_domain = to_lower(sender->domain);
        } else if (settings_.signs) {
            say(LogLevel::info,
                fmt::format("can't parse {}: header value '{}'", source, printable(trim(value))));
            return Action::malformed;
        }
        return std::nullopt;
    }

    std::pair<std::string, std::string> sender_field() const {
        for (auto const& name : settings_.sender_headers)
            if (auto const* value = find_header(*facts_.headers, name)) return {name, *value};
        auto const* from = find_header(*facts_.headers, "From");
        return {"From", from == nullptr ? "" : *from};
    }

    std::optional<Action> check_exempt() {
        if (!configuration_.exempt_domains || decision_.sender_domain.empty()) return std::nullopt;
        bool const exempt = yes(configuration_.exempt_domains->contains(decision_.sender_domain));
        if (failed_) return Action::tempfail;
        if (!exempt) return std::nullopt;
        why(fmt::format("domain '{}' exempted, accepting", decision_.sender_domain));
        return Action::pass;
    }

    bool check_origin() { return by_mta() || by_macros() || by_client(); }

    bool by_mta() {
        if (!configuration_.mta) return false;
        auto const name = facts_.macro("{daemon_name}");
        if (name && yes(configuration_.mta->contains(*name))) return true;
        why(fmt::format("no MTA name match (host={}, MTA={})", facts_.macro("j").value_or("(null)"),
                        name.value_or("?")));
        return false;
    }

    bool by_macros() {
        if (!configuration_.macros) return false;
        if (auto const* rows = configuration_.macros->rows())
            for (auto const& row : *rows) {
                auto const value = facts_.macro("{" + row.key + "}");
                if (!value) continue;
                if (row.value.empty()) return true;
                for (auto const wanted : split(row.value, '|'))
                    if (*value == wanted) return true;
            }
        why("no macros match");
        return false;
    }

    bool by_client() {
        bool const internal =
            yes(lists_client(*configuration_.internal_hosts, facts_.client_name, facts_.client_address));
        bool const authenticated = !facts_.macro("{auth_type}").value_or("").empty();
        if (internal || authenticated) return true;
        why(fmt::format("{} [{}] not internal", printable(facts_.client_name), facts_.client_address));
        why("not authenticated");
        return false;
    }

    bool check_domain() {
        if (!configuration_.domains) return false;
        auto const& domain = decision_.sender_domain;
        if (yes(configuration_.domains->contains(domain)) || yes(configuration_.domains->contains("*")))
            return true;
        why(fmt::format("no signing domain match for '{}'", printable(domain)));
        if (settings_.sub_domains)
            for (auto dot = domain.find('.'); dot != std::string::npos; dot = domain.find('.', dot + 1)) {
                auto parent = domain.substr(dot + 1);
                if (parent.empty() || !yes(configuration_.domains->contains(parent))) continue;
                identity_ = "@" + parent; // OpenDKIM names the parent here, not the subdomain
                decision_.sender_domain = std::move(parent);
                return true;
            }
        why(fmt::format("no signing subdomain match for '{}'", printable(domain)));
        return false;
    }

    void tell_of_stranger() {
        if (configuration_.external_ignore_list &&
            yes(lists_client(*configuration_.external_ignore_list, facts_.client_name,
                             facts_.client_address)))
            return;
        say(LogLevel::notice, fmt::format("external host {} attempted to send as {}",
                                          printable(facts_.client_name), decision_.sender_domain));
    }

    std::optional<Action> apply_tables(bool& domain_ok) {
        if (user_.empty()) return std::nullopt;
        auto requests = configuration_.tables->requests_for(user_, decision_.sender_domain,
                                                            settings_.multiple_signatures);
        if (!requests) {
            tell_of(requests.error());
            return Action::tempfail;
        }
        decision_.requests = std::move(*requests);
        if (!decision_.requests.empty()) domain_ok = true;
        if (!domain_ok)
            why(fmt::format("no signing table match for '{}@{}'", printable(user_),
                            printable(decision_.sender_domain)));
        return std::nullopt;
    }

    void tell_of(SigningTables::Failure const& failure) {
        switch (failure.kind) {
        case SigningTables::Failure::Kind::table_unreadable:
            say(LogLevel::error, "error reading signing table");
            break;
        case SigningTables::Failure::Kind::unknown_key:
            say(LogLevel::error,
                fmt::format("signing table references unknown key '{}'", printable(failure.key)));
            break;
        case SigningTables::Failure::Kind::key_unusable:
            say(LogLevel::error, fmt::format("error loading key '{}'", printable(failure.key)));
            break;
        }
        say(LogLevel::error, failure.why);
    }

    std::optional<Action> add_default_request() {
        if (!settings_.signs) return Action::pass; // no key is needed to leave it alone
        if (!configuration_.default_key) {
            say(LogLevel::error, configuration_.default_key_error.empty()
                                     ? "no key for the default signing request: set KeyFile and Selector"
                                     : configuration_.default_key_error);
            return Action::tempfail;
        }
        decision_.requests.push_back(
            {decision_.sender_domain, settings_.selector, identity_, configuration_.default_key});
        return std::nullopt;
    }

    Action final_action() {
        if (decision_.requests.empty()) return settings_.verifies ? Action::verify : Action::pass;
        if (!settings_.signs) return Action::pass;
        if (configuration_.dont_sign_mail_to)
            for (auto const& recipient : facts_.recipients) {
                if (yes(configuration_.dont_sign_mail_to->contains(recipient))) {
                    say(LogLevel::info,
                        fmt::format("skipping signing of mail to '{}'", printable(recipient)));
                    return Action::pass;
                }
                if (failed_) return Action::tempfail;
            }
        if (!identity_.empty())
            for (auto& request : decision_.requests)
                if (request.identity.empty()) request.identity = identity_;
        return Action::sign;
    }

    Configuration const& configuration_;
    Settings const& settings_;
    MessageFacts const& facts_;
    Decision decision_;
    std::string user_;
    std::string identity_;
    bool failed_ = false;
};

// The text between the last "<" and the next ">", or the first word with an "@".
std::optional<mail::Mailbox> searched(std::string_view value) {
    auto candidate = value;
    if (auto const open = value.rfind('<'); open != std::string_view::npos)
        candidate = value.substr(open + 1, value.find('>', open) - open - 1);
    for (auto const word : split_words(candidate, " \t\r\n,;()\"")) {
        auto const halves = halve_at_last(word, '@');
        if (!halves.after || halves.before.empty() || halves.after->empty()) continue;
        return mail::Mailbox{{}, std::string(halves.before), std::string(*halves.after)};
    }
    return std::nullopt;
}

} // namespace

std::string const* find_header(HeaderList const& headers, std::string_view name) {
    for (auto const& [each, value] : headers)
        if (equals_ignoring_case(each, name)) return &value;
    return nullptr;
}

std::optional<mail::Mailbox> sender_of(std::string_view value) {
    if (auto const parsed = mail::parse_mailboxes(value))
        for (auto const& mailbox : *parsed)
            if (!mailbox.domain.empty()) return mailbox;
    return searched(value);
}

bool comes_from_us(Configuration const& configuration, MessageFacts const& facts) {
    return Decider(configuration, facts).comes_from_us();
}

Decision decide(Configuration const& configuration, MessageFacts const& facts) {
    return Decider(configuration, facts).run();
}

} // namespace postern::milter_dkim
