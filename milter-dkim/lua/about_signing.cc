// What a setup script may want: signatures, verification, another header.
#include "milter-dkim/lua/functions.h"

#include "common/base/text.h"
#include "milter-dkim/decide/decision.h"
#include "milter-dkim/lua/field_text.h"
#include "milter-dkim/message/sender.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace postern::milter_dkim::lua {

namespace {

// sign()'s signer and signlen, which may stand in either order.
struct Wishes {
    std::string identity;
    std::optional<std::uint64_t> length;
};
std::expected<Wishes, std::string> wishes_in(Arguments const& arguments) {
    Wishes wishes;
    for (std::size_t i = 2; i < arguments.size(); ++i) {
        if (arguments.is_true_number(i)) {
            if (wishes.length) return std::unexpected(std::string(wrong_type));
            // More than a body can have is all of it.
            if (auto const length = std::min(arguments.number(i), 0x1p62); length >= 0)
                wishes.length = static_cast<std::uint64_t>(length);
        } else if (!arguments.is_text(i) || !wishes.identity.empty())
            return std::unexpected(std::string(wrong_type));
        else
            wishes.identity = arguments.text(i);
    }
    return wishes;
}

Result<SigningRequest> request_for(ScriptMessage const& message, Arguments const& arguments,
                                   std::string const& identity) {
    auto const& configuration = *message.configuration;
    if (arguments.size() < 2) {
        auto request = default_request(configuration, message.sender_domain);
        if (request) request->identity = identity_beside(identity, request->domain);
        return request;
    }
    auto made = configuration.tables->request(arguments.text(1), identity, message.sender_domain);
    if (made) return std::move(*made);
    return permanent(fmt::format("key '{}': {}", printable(arguments.text(1)), made.error().why));
}

// 1, or 0 and a line in the log.
Answer sign(ScriptMessage& message, Arguments const& arguments) {
    if (arguments.size() > 4) return raise(wrong_count);
    if (arguments.size() > 1 && !arguments.is_text(1)) return raise(wrong_type);
    auto const wishes = wishes_in(arguments);
    if (!wishes) return raise(wishes.error());
    if (arguments.size() > 1 && !message.configuration->tables) return raise("request requires KeyTable");
    if (message.requests.size() >= max_requests) return raise("too many signatures");
    // All signatures of a message share one pass over its body.
    if (wishes->length && message.body_limit && *wishes->length != *message.body_limit)
        return raise("signatures of one message cannot cover different lengths");
    auto request = request_for(message, arguments, wishes->identity);
    if (!request) {
        message.log->error("{}", request.error().text);
        return one(Value::number(0));
    }
    if (wishes->length) message.body_limit = wishes->length;
    message.requests.push_back(std::move(*request));
    return one(Value::number(1));
}

Answer sign_for(ScriptMessage& message, Arguments const& arguments) {
    if (arguments.size() != 2 && arguments.size() != 3) return raise(wrong_count);
    if (!arguments.is_text(1) || (arguments.size() == 3 && !arguments.is_flag(2)))
        return raise("invalid argument");
    if (!message.configuration->tables) return nil();
    auto const sender = sender_of(arguments.text(1));
    if (!sender) return raise("can't parse address");
    auto requests = message.configuration->tables->requests_for(sender->local_part, to_lower(sender->domain),
                                                                arguments.size() == 3 && arguments.flag(2));
    if (!requests) return raise(fmt::format("error processing key '{}'", printable(requests.error().key)));
    if (message.requests.size() + requests->size() > max_requests) return raise("too many signatures");
    for (auto& each : *requests) message.requests.push_back(std::move(each));
    return one(Value::number(static_cast<double>(requests->size())));
}

Answer verify(ScriptMessage& message, Arguments const&) {
    message.verifies = true;
    return nil();
}

Answer use_ltag(ScriptMessage& message, Arguments const&) {
    message.tells_length = true;
    return nil();
}

// Debian's OpenDKIM cannot either.
Answer resign(ScriptMessage&, Arguments const&) { return nil(); }

// What is signed or verified; the message itself stays as it is.
Answer replace_header(ScriptMessage& message, Arguments const& arguments) {
    if (arguments.size() != 4) return raise(wrong_count);
    if (!arguments.is_text(1) || !arguments.is_number(2) || !arguments.is_text(3)) return raise(wrong_type);
    auto const index = find_field(*message.headers, arguments.text(1), arguments.integer(2));
    if (!index) return nil();
    auto const value = arguments.text(3);
    if (!is_field_value(value)) return raise("not the value of a header field");
    message.replaced_octets += value.size();
    if (message.replaced_octets > max_replaced) return raise("too much is replaced");
    (*message.headers)[*index].second = " " + value;
    return nothing();
}

constexpr std::string_view known_tags[] = {"v", "a", "b", "bh", "c", "d", "h",
                                           "i", "l", "q", "s",  "t", "x", "z"};

bool is_tag(std::string_view name, std::string_view value) {
    bool const good_name = !name.empty() && name.size() <= 63 && is_alpha(name.front()) &&
                           std::ranges::all_of(name, [](char c) { return is_alnum(c) || c == '_'; });
    return good_name && value.size() <= max_tag_value &&
           std::ranges::find(known_tags, name) == std::end(known_tags) &&
           std::ranges::all_of(value, [](char c) { return is_printable(c) && c != ';'; });
}

// How many signatures will have it, or -1.
Answer xtag(ScriptMessage& message, Arguments const& arguments) {
    if (arguments.size() != 3) return raise(wrong_count);
    if (!arguments.is_text(1) || !arguments.is_text(2)) return raise(wrong_type);
    auto const name = arguments.text(1);
    auto const there =
        std::ranges::any_of(message.tags, [&](auto const& each) { return each.first == name; });
    if (there || !is_tag(name, arguments.text(2)) || message.tags.size() >= max_tags)
        return one(Value::number(-1));
    message.tags.emplace_back(name, arguments.text(2));
    return one(Value::number(static_cast<double>(message.requests.size())));
}

constexpr std::array signing{
    NamedFunction{"sign", sign},     NamedFunction{"signfor", sign_for},
    NamedFunction{"verify", verify}, NamedFunction{"use_ltag", use_ltag},
    NamedFunction{"resign", resign}, NamedFunction{"replace_header", replace_header},
};
constexpr std::array tags{NamedFunction{"xtag", xtag}};

} // namespace

std::span<NamedFunction const> signing_functions() { return signing; }
std::span<NamedFunction const> tag_functions() { return tags; }

} // namespace postern::milter_dkim::lua
