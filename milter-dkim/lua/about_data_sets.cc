// Data sets: those of the configuration, and others that a script opens.
#include "milter-dkim/lua/functions.h"

#include <algorithm>
#include <array>

namespace postern::milter_dkim::lua {

namespace {

DataSet const* set_of(Configuration const& configuration, int code) {
    switch (static_cast<DataSetCode>(code)) {
    case DataSetCode::domains: return configuration.domains.get();
    case DataSetCode::third_party: return configuration.trust_signatures_from.get();
    case DataSetCode::dont_sign_to: return configuration.dont_sign_mail_to.get();
    case DataSetCode::mtas: return configuration.mta.get();
    case DataSetCode::macros: return configuration.macros.get();
    case DataSetCode::signing_table:
        return configuration.tables ? &configuration.tables->signing_table() : nullptr;
    }
    return nullptr;
}

// The set that a handle stands for; a script may hand anything over.
DataSet const* set_at(ScriptMessage const& message, Arguments const& arguments, std::size_t index) {
    if (!arguments.is_handle(index)) return nullptr;
    auto const* wanted = arguments.handle(index);
    for (int code = 1; code <= static_cast<int>(DataSetCode::signing_table); ++code)
        if (auto const* set = set_of(*message.configuration, code); set != nullptr && set == wanted)
            return set;
    for (auto const& each : message.opened)
        if (each.get() == wanted) return each.get();
    return nullptr;
}

Answer handle(ScriptMessage& message, Arguments const& arguments) {
    if (arguments.size() != 2) return raise(wrong_count);
    if (!arguments.is_number(1)) return raise(wrong_type);
    auto const* set = set_of(*message.configuration, arguments.integer(1));
    return set == nullptr ? nil() : one(Value::handle(set));
}

// nil when it could not be asked. A database that did not answer is not waited for again.
Answer check(ScriptMessage& message, Arguments const& arguments) {
    if (arguments.size() != 2) return raise(wrong_count);
    auto const* set = set_at(message, arguments, 0);
    if (set == nullptr || !arguments.is_text(1)) return raise(wrong_type);
    bool const is_database = set->rows() == nullptr;
    if (is_database && ++message.set_questions > max_set_questions) return raise("too many questions");
    if (std::ranges::find(message.silent, set) != message.silent.end()) return nil();
    auto const found = set->contains(arguments.text(1));
    if (found) return one(Value::number(*found ? 1 : 0));
    message.silent.push_back(set);
    message.log->error("odkim.db_check(): {}", found.error().text);
    return nil();
}

// Keys are compared without case whether icase is given or not; a database compares as it does.
Answer open(ScriptMessage& message, Arguments const& arguments) {
    if (arguments.size() != 1 && arguments.size() != 2) return raise(wrong_count);
    if (!arguments.is_text(0) || (arguments.size() == 2 && !arguments.is_flag(1))) return raise(wrong_type);
    if (message.opened.size() >= max_opened) return raise("too many data sets");
    auto set = message.configuration->script_sets->open(arguments.text(0));
    if (!set) return raise(set.error().text);
    message.opened.push_back(std::move(*set));
    return one(Value::handle(message.opened.back().get()));
}

Answer close(ScriptMessage& message, Arguments const& arguments) {
    if (arguments.size() != 1) return raise(wrong_count);
    if (!arguments.is_handle(0)) return raise(wrong_type);
    auto const opened = std::ranges::find(message.opened, arguments.handle(0),
                                          [](auto const& each) -> void const* { return each.get(); });
    if (opened == message.opened.end()) return one(Value::number(0));
    message.opened.erase(opened); // one of them: a database opened twice is closed twice
    return one(Value::number(1));
}

constexpr std::array functions{
    NamedFunction{"get_dbhandle", handle},
    NamedFunction{"db_check", check, false},
    NamedFunction{"db_open", open, false},
    NamedFunction{"db_close", close, false},
};

} // namespace

std::span<NamedFunction const> data_set_functions() { return functions; }

} // namespace postern::milter_dkim::lua
