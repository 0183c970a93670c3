// The functions of the table odkim (opendkim-lua(3)), each with the message that it is about.
#pragma once

#include "milter-dkim/lua/script_message.h"
#include "milter-dkim/lua/value.h"

#include <span>
#include <string_view>

namespace postern::milter_dkim::lua {

inline constexpr std::string_view wrong_count = "incorrect argument count";
inline constexpr std::string_view wrong_type = "incorrect argument type";
inline Answer raise(std::string_view text) { return std::unexpected(std::string(text)); }

struct NamedFunction {
    std::string_view name;
    Answer (*call)(ScriptMessage&, Arguments const&);
    bool takes_context = true; // its first argument is ctx
};

// In groups, by what they are for.
std::span<NamedFunction const> message_functions();   // all scripts
std::span<NamedFunction const> client_functions();    // setup and final
std::span<NamedFunction const> data_set_functions();  // setup and screen
std::span<NamedFunction const> signing_functions();   // setup
std::span<NamedFunction const> signature_functions(); // screen and final
std::span<NamedFunction const> screening_functions(); // screen
std::span<NamedFunction const> result_functions();    // final: what became of signatures
std::span<NamedFunction const> delivery_functions();  // final: what becomes of the message
std::span<NamedFunction const> verdict_functions();   // setup and final
std::span<NamedFunction const> tag_functions();       // setup and final

// Numbers that stand for data sets in get_dbhandle().
enum class DataSetCode { domains = 1, third_party, dont_sign_to, mtas, macros, signing_table };

} // namespace postern::milter_dkim::lua
