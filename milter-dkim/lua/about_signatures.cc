// The signatures that a message came with: in a screen script to choose among them, in a final one with their
// results.
#include "milter-dkim/lua/functions.h"

#include <array>

namespace postern::milter_dkim::lua {

namespace {

// The signature that a handle stands for; a script may hand anything over.
std::optional<std::size_t> index_of(ScriptMessage const& message, Arguments const& arguments,
                                    std::size_t at) {
    if (!arguments.is_handle(at)) return std::nullopt;
    for (std::size_t i = 0; i < message.signatures.size(); ++i)
        if (message.signatures[i].field == arguments.handle(at)) return i;
    return std::nullopt;
}

Answer count(ScriptMessage& message, Arguments const&) {
    return one(Value::number(static_cast<double>(message.signatures.size())));
}

Answer handle(ScriptMessage& message, Arguments const& arguments) {
    if (arguments.size() != 2) return raise(wrong_count);
    if (!arguments.is_number(1)) return raise(wrong_type);
    auto const index = arguments.number(1);
    if (!(index >= 0 && index < static_cast<double>(message.signatures.size())))
        return raise("invalid request");
    return one(Value::handle(message.signatures[static_cast<std::size_t>(index)].field));
}

Answer handles(ScriptMessage& message, Arguments const&) {
    List list;
    for (auto const& each : message.signatures) list.push_back(Value::handle(each.field));
    return one(Value::list(std::move(list)));
}

Answer domain(ScriptMessage& message, Arguments const& arguments) {
    auto const index = index_of(message, arguments, 0);
    if (!index) return raise(wrong_type);
    return one(Value::text(message.signatures[*index].field->tag("d")));
}

Answer identity(ScriptMessage& message, Arguments const& arguments) {
    auto const index = index_of(message, arguments, 0);
    if (!index) return raise(wrong_type);
    auto const& field = *message.signatures[*index].field;
    return one(Value::text(field.tags.find("i") ? field.tag("i") : "@" + field.tag("d")));
}

Answer ignore(ScriptMessage& message, Arguments const& arguments) {
    auto const index = index_of(message, arguments, 0);
    if (!index) return raise(wrong_type);
    message.ignored.resize(message.signatures.size());
    message.ignored[*index] = true;
    return nil();
}

// The manual has sig_bodylength(sig), OpenDKIM's code sig_bodylength(ctx, sig).
template <auto Member>
Answer of_result(ScriptMessage& message, Arguments const& arguments) {
    if (arguments.size() != 1 && arguments.size() != 2) return raise(wrong_count);
    auto const index = index_of(message, arguments, arguments.size() - 1);
    if (!index) return raise(wrong_type);
    auto const* result = message.signatures[*index].result;
    return result == nullptr ? nil() : one(Value::number(static_cast<double>(result->*Member)));
}

constexpr std::array common{
    NamedFunction{"get_sigcount", count},
    NamedFunction{"get_sighandle", handle},
    NamedFunction{"get_sigarray", handles},
    NamedFunction{"sig_getdomain", domain, false},
    NamedFunction{"sig_getidentity", identity, false},
};
constexpr std::array screening{NamedFunction{"sig_ignore", ignore, false}};
constexpr std::array results{
    NamedFunction{"sig_result", of_result<&SignatureResult::error>, false},
    NamedFunction{"sig_bhresult", of_result<&SignatureResult::body_hash>, false},
    NamedFunction{"sig_bodylength", of_result<&SignatureResult::body_length>, false},
    NamedFunction{"sig_canonlength", of_result<&SignatureResult::covered>, false},
};

} // namespace

std::span<NamedFunction const> signature_functions() { return common; }
std::span<NamedFunction const> screening_functions() { return screening; }
std::span<NamedFunction const> result_functions() { return results; }

} // namespace postern::milter_dkim::lua
