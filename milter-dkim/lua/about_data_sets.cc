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
    auto const* set = set_of(*message.configuration, static_cast<int>(arguments.number(1)));
    return set == nullptr ? nil() : one(Value::handle(set));
}

// nil when it could not be asked.
Answer check(ScriptMessage& message, Arguments const& arguments) {
    if (arguments.size() != 2) return raise(wrong_count);
    auto const* set = set_at(message, arguments, 0);
    if (set == nullptr || !arguments.is_text(1)) return raise(wrong_type);
    auto const found = set->contains(arguments.text(1));
    return found ? one(Value::number(*found ? 1 : 0)) : nil();
}

// Keys are compared without case whether icase is given or not. A database would need a connection for each
// message; those of the configuration have theirs.
Answer open(ScriptMessage& message, Arguments const& arguments) {
    if (arguments.size() != 1 && arguments.size() != 2) return raise(wrong_count);
    if (!arguments.is_text(0) || (arguments.size() == 2 && !arguments.is_flag(1))) return raise(wrong_type);
    if (message.opened.size() >= max_opened) return raise("too many data sets");
    std::vector<config::Problem> problems;
    auto set = DataSetOpener().open(arguments.text(0), {"script", 0}, problems);
    if (!set) return raise(set.error().text);
    message.opened.push_back(std::move(*set));
    return one(Value::handle(message.opened.back().get()));
}

Answer close(ScriptMessage& message, Arguments const& arguments) {
    if (arguments.size() != 1) return raise(wrong_count);
    if (!arguments.is_handle(0)) return raise(wrong_type);
    auto const closed =
        std::erase_if(message.opened, [&](auto const& each) { return each.get() == arguments.handle(0); });
    return one(Value::number(closed > 0 ? 1 : 0));
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
