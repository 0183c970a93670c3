// Puts functions and constants together.
#include "milter-dkim/lua/scripts.h"

#include "common/config/settings.h"
#include "milter-dkim/lua/functions.h"
#include "milter-dkim/lua/machine.h"
#include "milter-dkim/results/signature_numbers.h"

#include <fmt/format.h>

#include <utility>

namespace postern::milter_dkim::lua {

namespace {

using Group = std::span<NamedFunction const> (*)();

std::vector<Group> groups_of(Hook hook) {
    switch (hook) {
    case Hook::setup:
        return {message_functions, client_functions,  data_set_functions,
                signing_functions, verdict_functions, tag_functions};
    case Hook::screen:
        return {message_functions, data_set_functions, signature_functions, screening_functions};
    case Hook::final:
        return {message_functions,  client_functions,  signature_functions, result_functions,
                delivery_functions, verdict_functions, tag_functions};
    }
    return {};
}

Answer called(NamedFunction const& function, ScriptMessage& message, Arguments const& arguments) {
    // ctx is checked for what it is: a script may hand anything over.
    if (function.takes_context) {
        if (arguments.size() == 0) return raise(wrong_count);
        if (!arguments.is_handle(0) || arguments.handle(0) != &message) return raise(wrong_type);
    }
    return function.call(message, arguments);
}

std::vector<Function> functions_of(Hook hook, ScriptMessage& message) {
    std::vector<Function> functions;
    for (auto const group : groups_of(hook))
        for (auto const& each : group())
            functions.push_back({std::string(each.name), [&each, &message](Arguments const& arguments) {
                                     return called(each, message, arguments);
                                 }});
    return functions;
}

constexpr NamedNumber data_sets[] = {{"DB_DOMAINS", 1}, {"DB_THIRDPARTY", 2}, {"DB_DONTSIGNTO", 3},
                                     {"DB_MTAS", 4},    {"DB_MACROS", 5},     {"DB_SIGNINGTABLE", 6}};

constexpr NamedNumber results[] = {
    {"SMFIS_REJECT", 1}, {"SMFIS_DISCARD", 2}, {"SMFIS_ACCEPT", 3}, {"SMFIS_TEMPFAIL", 4}};

void add(std::vector<std::pair<std::string, Value>>& globals, std::span<NamedNumber const> constants) {
    for (auto const& [name, value] : constants) globals.emplace_back(name, Value::number(value));
}

std::vector<std::pair<std::string, Value>> globals_of(Hook hook, ScriptMessage& message) {
    std::vector<std::pair<std::string, Value>> globals{{"ctx", Value::handle(&message)}};
    if (hook != Hook::final) add(globals, data_sets);
    if (hook != Hook::screen) add(globals, results);
    if (hook == Hook::final) {
        add(globals, body_hash_results);
        add(globals, signature_errors);
    }
    globals.insert(globals.end(), message.exported.begin(), message.exported.end());
    return globals;
}

} // namespace

std::string_view to_string(Hook hook) {
    switch (hook) {
    case Hook::setup: return "setup";
    case Hook::screen: return "screen";
    case Hook::final: return "final";
    }
    return "?";
}

Result<Script> load_script(std::string const& path) {
    auto text = config::read_file(path);
    if (!text) return std::unexpected(std::move(text.error()));
    if (text->size() > max_script) return permanent(path + " is too large");
    if (auto checked = lua::check(*text, "@" + path); !checked) return std::unexpected(checked.error());
    return Script{path, std::move(*text)};
}

Result<> run_script(Script const& script, Hook hook, ScriptMessage& message) {
    return run({script.text, "@" + script.path, functions_of(hook, message), globals_of(hook, message)});
}

milter::Verdict ScriptMessage::verdict() const {
    milter::Verdict verdict{result.value_or(milter::Verdict::Action::next), {}, {}, {}};
    bool const rejects = verdict.action == milter::Verdict::Action::reject;
    if (!reply || (!rejects && verdict.action != milter::Verdict::Action::tempfail)) return verdict;
    if (!reply->code.starts_with(rejects ? '5' : '4')) return verdict;
    return {verdict.action, reply->code, reply->enhanced, reply->text};
}

} // namespace postern::milter_dkim::lua
