// Asks the questions in OpenDKIM's order (its mlfi_eoh), so that the same message gets the same treatment.
#include "milter-dkim/decide/decision.h"

#include "common/base/text.h"
#include "milter-dkim/decide/origin.h"
#include "milter-dkim/decide/recipients.h"
#include "milter-dkim/message/sender.h"
#include "milter-dkim/tables/hosts.h"

#include <fmt/format.h>

#include <optional>

namespace postern::milter_dkim {

namespace {

using Action = Decision::Action;

std::string in_words(SigningTables::Failure const& failure) {
    switch (failure.kind) {
    case SigningTables::Failure::Kind::table_unreadable: return "error reading signing table";
    case SigningTables::Failure::Kind::unknown_key:
        return fmt::format("signing table references unknown key '{}'", printable(failure.key));
    case SigningTables::Failure::Kind::key_unusable:
        return fmt::format("error loading key '{}'", printable(failure.key));
    }
    return {};
}

// Each question ends the deciding when it gives an action.
class Decider {
  public:
    Decider(Configuration const& configuration, MessageFacts const& facts)
        : configuration_(configuration), settings_(configuration.settings), facts_(facts) {}

    Decision run(SetupHook const& setup) {
        auto action = ask(setup);
        if (reasons_.failed()) action = Action::tempfail;
        decision_.action = action;
        decision_.lines = reasons_.take();
        if (action != Action::sign) decision_.requests.clear();
        return std::move(decision_);
    }

  private:
    Action ask(SetupHook const& setup) {
        if (auto const ended = find_sender()) return *ended;
        if (is_exempt()) return Action::pass;
        bool const origin_ok = is_origin_ours(configuration_, facts_, reasons_);
        bool domain_ok = is_domain_ours();
        if (reasons_.failed()) return Action::tempfail;
        if (domain_ok && !origin_ok) tell_of_stranger();
        if (origin_ok && configuration_.tables) {
            if (auto const ended = ask_tables(domain_ok)) return *ended;
        }
        decision_.internal = origin_ok;
        if (setup)
            if (auto const ended = setup(decision_)) return *ended;
        if (domain_ok && origin_ok && decision_.requests.empty()) {
            if (auto const ended = add_default_request()) return *ended;
        }
        return final_action();
    }

    std::optional<Action> find_sender() {
        auto const [source, value] =
            sender_text(settings_.sender_macro, configuration_.sender_headers, facts_);
        if (trim(value).empty()) {
            reasons_.say(LogLevel::info, "can't determine message sender; accepting");
            return Action::malformed;
        }
        auto const sender = sender_of(value);
        if (sender && !sender->local_part.empty() && !sender->domain.empty()) {
            user_ = sender->local_part;
            decision_.sender_domain = to_lower(sender->domain);
        } else if (settings_.signs) {
            reasons_.say(LogLevel::info,
                         fmt::format("can't parse {}: header value '{}'", source, printable(trim(value))));
            return Action::malformed;
        }
        return std::nullopt;
    }

    bool is_exempt() {
        if (!configuration_.exempt_domains || decision_.sender_domain.empty()) return false;
        if (!reasons_.yes(configuration_.exempt_domains->contains(decision_.sender_domain))) return false;
        reasons_.why(fmt::format("domain '{}' exempted, accepting", decision_.sender_domain));
        return true;
    }

    bool is_signing_domain(std::string_view domain) {
        return reasons_.yes(configuration_.domains->contains(domain));
    }

    bool is_domain_ours() {
        if (!configuration_.domains) return false;
        auto const domain = decision_.sender_domain;
        if (is_signing_domain(domain) || is_signing_domain("*")) return true;
        reasons_.why(fmt::format("no signing domain match for '{}'", printable(domain)));
        if (settings_.sub_domains && is_subdomain_ours(domain)) return true;
        reasons_.why(fmt::format("no signing subdomain match for '{}'", printable(domain)));
        return false;
    }

    bool is_subdomain_ours(std::string const& domain) {
        for (auto dot = domain.find('.'); dot != std::string::npos; dot = domain.find('.', dot + 1)) {
            auto parent = domain.substr(dot + 1);
            if (parent.empty() || !is_signing_domain(parent)) continue;
            identity_ = "@" + parent; // OpenDKIM names the parent here, not the subdomain
            decision_.sender_domain = std::move(parent);
            return true;
        }
        return false;
    }

    void tell_of_stranger() {
        if (configuration_.external_ignore_list &&
            reasons_.yes(lists_client(*configuration_.external_ignore_list, facts_.client_name,
                                      facts_.client_address)))
            return;
        reasons_.say(LogLevel::notice, fmt::format("external host {} attempted to send as {}",
                                                   printable(facts_.client_name), decision_.sender_domain));
    }

    std::optional<Action> ask_tables(bool& domain_ok) {
        if (user_.empty()) return std::nullopt;
        auto requests = configuration_.tables->requests_for(user_, decision_.sender_domain,
                                                            settings_.multiple_signatures);
        if (!requests) {
            reasons_.say(LogLevel::error, in_words(requests.error()));
            reasons_.say(LogLevel::error, requests.error().why);
            return Action::tempfail;
        }
        decision_.requests = std::move(*requests);
        if (!decision_.requests.empty()) domain_ok = true;
        if (!domain_ok)
            reasons_.why(fmt::format("no signing table match for '{}@{}'", printable(user_),
                                     printable(decision_.sender_domain)));
        return std::nullopt;
    }

    std::optional<Action> add_default_request() {
        if (!settings_.signs) return Action::pass; // no key is needed to leave it alone
        auto request = default_request(configuration_, decision_.sender_domain);
        if (!request) {
            reasons_.say(LogLevel::error, request.error().text);
            return Action::tempfail;
        }
        decision_.requests.push_back(std::move(*request));
        return std::nullopt;
    }

    Action final_action() {
        if (decision_.requests.empty() && !settings_.verifies) return Action::pass;
        if (decision_.requests.empty()) return has_readable_author() ? Action::verify : Action::malformed;
        if (!settings_.signs) return Action::pass;
        if (auto const recipient = unsigned_recipient(configuration_, facts_.recipients, reasons_)) {
            reasons_.say(LogLevel::info,
                         fmt::format("skipping signing of mail to '{}'", printable(*recipient)));
            return Action::pass;
        }
        add_what_they_want();
        return Action::sign;
    }

    // Results are about somebody: without an author there is nobody.
    bool has_readable_author() const {
        auto const* from = find_header(*facts_.headers, "From");
        auto const author = from == nullptr ? std::nullopt : sender_of(*from);
        return settings_.weak_syntax_checks ||
               (author && !author->local_part.empty() && !author->domain.empty());
    }

    void add_what_they_want() {
        for (auto& request : decision_.requests)
            if (request.identity.empty()) request.identity = identity_;
        if (auto const recipient = length_recipient(configuration_, facts_.recipients, reasons_)) {
            decision_.tells_length = true;
            reasons_.say(LogLevel::info, fmt::format("BodyLengthDB matched {}, signing with l= requested",
                                                     printable(*recipient)));
        }
        decision_.names_third_party =
            configuration_.atps_domains &&
            reasons_.yes(configuration_.atps_domains->contains(decision_.sender_domain));
    }

    Configuration const& configuration_;
    Settings const& settings_;
    MessageFacts const& facts_;
    Decision decision_;
    Reasons reasons_;
    std::string user_;
    std::string identity_;
};

} // namespace

Result<SigningRequest> default_request(Configuration const& configuration, std::string const& domain) {
    if (configuration.default_key)
        return SigningRequest{domain, configuration.settings.selector, {}, configuration.default_key};
    return permanent(configuration.default_key_error.empty()
                         ? "no key for the default signing request: set KeyFile and Selector"
                         : configuration.default_key_error);
}

Decision decide(Configuration const& configuration, MessageFacts const& facts, SetupHook const& setup) {
    return Decider(configuration, facts).run(setup);
}

} // namespace postern::milter_dkim
