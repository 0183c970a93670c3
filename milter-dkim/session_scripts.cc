// The policy scripts' part in a session: what they see of it, and what follows from what they want.
#include "common/base/text.h"
#include "milter-dkim/session.h"

#include <fmt/format.h>

namespace postern::milter_dkim {

using milter::Verdict;

lua::ScriptMessage& Session::script(milter::Macros const& macros) {
    if (!message_.script) message_.script = std::make_unique<lua::ScriptMessage>();
    auto& script = *message_.script;
    script.configuration = generation_->configuration.get();
    script.resolver = generation_->resolver.get();
    script.log = &log_;
    script.facts = facts(macros);
    script.headers = &message_.headers;
    script.envelope_from = message_.envelope_from;
    script.sender_domain = message_.decision.sender_domain;
    return script;
}

bool Session::run_script(std::optional<lua::Script> const& script, lua::Hook hook, milter::Editor* editor) {
    auto& message = *message_.script;
    message.editor = editor;
    message.result.reset();
    auto const done = lua::run_script(*script, hook, message);
    message.editor = nullptr;
    if (!done) {
        write(LogLevel::error,
              fmt::format("dkimf_lua_{}_hook() failed: {}", to_string(hook), printable(done.error().text)));
        message_.scripted = handle(settings().on_internal_error, "7.0", "internal DKIM error", editor);
        return false;
    }
    if (message.result) message_.scripted = message.verdict();
    return !message.result;
}

std::optional<Decision::Action> Session::run_setup_script(Decision& decision, milter::Macros const& macros) {
    auto& message = script(macros);
    message.sender_domain = decision.sender_domain;
    message.requests = std::move(decision.requests);
    if (!run_script(generation_->configuration->setup_script, lua::Hook::setup, nullptr))
        return Decision::Action::scripted;
    decision.requests = message.requests;
    decision.verifies_too = message.verifies;
    return std::nullopt;
}

// What passes, passes without results that strangers forged; what is to be signed does not pass unsigned.
Verdict Session::after_scripted(milter::Macros const& macros) {
    if (message_.scripted->action != Verdict::Action::accept) return *message_.scripted;
    if (!message_.signer) return pass(macros);
    message_.verifier.reset();
    return Verdict::next();
}

void Session::show_signatures(std::vector<SignatureResult> const* results) {
    auto& shown = message_.script->signatures;
    shown.clear();
    if (!message_.verifier) return; // a script that failed has let the message go on unverified
    for (std::size_t i = 0; i < message_.verifier->signature_count(); ++i)
        shown.push_back(
            {&message_.verifier->signature_field(i), results == nullptr ? nullptr : &(*results)[i]});
}

// Accept is no end here: signatures are still to be added.
bool Session::run_final_script(milter::Editor& editor, milter::Macros const& macros,
                               std::vector<SignatureResult> const* results) {
    if (!generation_->configuration->final_script) return true;
    script(macros);
    show_signatures(results);
    bool const goes_on = run_script(generation_->configuration->final_script, lua::Hook::final, &editor);
    if (message_.signer) message_.signer->set_extra_tags(message_.script->tags);
    return goes_on || (message_.script->result && message_.scripted->action == Verdict::Action::accept);
}

// What it ignores, the verifier must know before it sees the body.
Verdict Session::run_screen_script(milter::Macros const& macros) {
    if (!generation_->configuration->screen_script) return Verdict::next();
    script(macros);
    show_signatures(nullptr);
    if (!run_script(generation_->configuration->screen_script, lua::Hook::screen, nullptr))
        return after_scripted(macros);
    for (std::size_t i = 0; i < message_.script->ignored.size(); ++i)
        if (message_.script->ignored[i]) message_.verifier->ignore(i);
    return Verdict::next();
}

} // namespace postern::milter_dkim
