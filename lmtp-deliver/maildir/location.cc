// Reads mail_location.
#include "lmtp-deliver/maildir/location.h"

#include "common/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace postern::lmtp_deliver {

namespace {

std::vector<std::string> fields(std::string_view text) {
    std::vector<std::string> out(1);
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != ':') {
            out.back() += text[i];
        } else if (i + 1 < text.size() && text[i + 1] == ':') {
            out.back() += ':';
            ++i;
        } else {
            out.emplace_back();
        }
    }
    return out;
}

Result<std::string> absolute(std::string_view path, std::optional<std::string> const& home) {
    std::string out(path);
    bool const in_home = path == "~" || path.starts_with("~/");
    if (in_home || !path.starts_with('/')) {
        if (!home || home->empty())
            return temporary(fmt::format("\"{}\" needs a home directory, the user has none", path));
        out = *home + '/' + std::string(in_home ? path.substr(std::min<std::size_t>(2, path.size())) : path);
    }
    while (out.size() > 1 && out.ends_with('/')) out.pop_back();
    if (!out.starts_with('/')) return temporary(fmt::format("\"{}\" is not an absolute path", out));
    return out;
}

} // namespace

Result<MailLocation> parse_mail_location(std::string_view text, std::optional<std::string> const& home) {
    auto const [driver, rest] = halve(text, ':');
    if (!equals_ignoring_case(driver, "maildir") || !rest)
        return temporary(
            fmt::format("mail location \"{}\" is not a Maildir (maildir:PATH)", printable(text)));
    auto const parts = fields(*rest);
    auto root = absolute(parts.front(), home);
    if (!root) return std::unexpected(root.error());
    MailLocation out{*root, *root, *root, "subscriptions", Layout::maildirpp, false};
    for (std::size_t i = 1; i < parts.size(); ++i) {
        auto const [name, value] = halve(parts[i], '=');
        auto const argument = value.value_or("");
        if (equals_ignoring_case(name, "LAYOUT")) {
            if (equals_ignoring_case(argument, "fs"))
                out.layout = Layout::fs;
            else if (!equals_ignoring_case(argument, "maildir++"))
                return temporary(
                    fmt::format("LAYOUT={} is not supported: maildir++ or fs", printable(argument)));
        } else if (equals_ignoring_case(name, "INBOX") || equals_ignoring_case(name, "CONTROL")) {
            auto path = absolute(argument, home);
            if (!path) return std::unexpected(path.error());
            (equals_ignoring_case(name, "INBOX") ? out.inbox : out.control) = std::move(*path);
        } else if (equals_ignoring_case(name, "SUBSCRIPTIONS")) {
            if (argument.empty() || argument.contains('/'))
                return temporary("SUBSCRIPTIONS= is no file name");
            out.subscriptions = argument;
        } else if (equals_ignoring_case(name, "UTF-8")) {
            out.utf8 = true;
        } else if (ends_with_ignoring_case(name, "DIRNAME") || equals_ignoring_case(name, "MAILBOXDIR")) {
            return temporary(fmt::format("{}= is not supported in a mail location", name));
        }
    }
    return out;
}

} // namespace postern::lmtp_deliver
