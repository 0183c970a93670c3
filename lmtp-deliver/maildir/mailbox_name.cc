// Turns mailbox names into directories.
#include "lmtp-deliver/maildir/mailbox_name.h"

#include "common/base/text.h"
#include "lmtp-deliver/protocol.h"

#include <cstdint>

namespace postern::lmtp_deliver {

namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

bool stands_for_itself(char c) { return c >= 0x20 && c < 0x7f && c != '&'; }

// One code point from the front of valid UTF-8.
char32_t take_code_point(std::string_view& utf8) {
    auto const first = static_cast<unsigned char>(utf8.front());
    std::size_t const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    char32_t point = length == 1 ? first : first & (0xffU >> (length + 1));
    for (std::size_t i = 1; i < length; ++i)
        point = point << 6 | (static_cast<unsigned char>(utf8[i]) & 0x3fU);
    utf8.remove_prefix(length);
    return point;
}

void append_utf8(std::string& out, char32_t point) {
    auto const put = [&](char32_t octet) { out += static_cast<char>(octet); };
    if (point < 0x80) return put(point);
    if (point < 0x800) {
        put(0xc0 | point >> 6);
    } else if (point < 0x10000) {
        put(0xe0 | point >> 12);
        put(0x80 | (point >> 6 & 0x3f));
    } else {
        put(0xf0 | point >> 18);
        put(0x80 | (point >> 12 & 0x3f));
        put(0x80 | (point >> 6 & 0x3f));
    }
    put(0x80 | (point & 0x3f));
}

// UTF-16 in base64 without padding.
std::string encode_shifted(std::u16string_view units) {
    std::string out = "&";
    std::uint32_t bits = 0;
    int held = 0;
    for (char16_t const unit : units) {
        bits = bits << 16 | unit;
        held += 16;
        while (held >= 6) {
            held -= 6;
            out += alphabet[bits >> held & 0x3f];
        }
        bits &= (1U << held) - 1;
    }
    if (held > 0) out += alphabet[bits << (6 - held) & 0x3f];
    return out + '-';
}

std::optional<std::u16string> decode_shifted(std::string_view text) {
    std::u16string units;
    std::uint32_t bits = 0;
    int held = 0;
    for (char const c : text) {
        auto const digit = alphabet.find(c);
        if (digit == std::string_view::npos) return std::nullopt;
        bits = bits << 6 | static_cast<std::uint32_t>(digit);
        held += 6;
        if (held >= 16) {
            held -= 16;
            units += static_cast<char16_t>(bits >> held);
            bits &= (1U << held) - 1;
        }
    }
    if (held >= 6 || bits != 0) return std::nullopt;
    return units;
}

bool append_units(std::string& out, std::u16string_view units) {
    for (std::size_t i = 0; i < units.size(); ++i) {
        char32_t point = units[i];
        if (point >= 0xdc00 && point < 0xe000) return false;
        if (point >= 0xd800 && point < 0xdc00) {
            if (++i == units.size() || units[i] < 0xdc00 || units[i] >= 0xe000) return false;
            point = 0x10000 + ((point - 0xd800) << 10) + (units[i] - 0xdc00U);
        }
        append_utf8(out, point);
    }
    return true;
}

Result<> check_part(std::string_view part, Layout layout) {
    if (part.contains('/')) return permanent("Name must not have '/' characters");
    if (layout == Layout::maildirpp && part.contains('.'))
        return permanent("Name must not have '.' characters");
    if (layout == Layout::fs &&
        (part.starts_with('.') || part.starts_with('~') || part == "cur" || part == "new" || part == "tmp"))
        return permanent("Name is reserved");
    for (char const c : part)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
            return permanent("Name has control characters");
    return {};
}

} // namespace

std::optional<std::string> mutf7_encode(std::string_view utf8) {
    if (!is_utf8(utf8)) return std::nullopt;
    std::string out;
    while (!utf8.empty()) {
        if (char const c = utf8.front(); stands_for_itself(c) || c == '&') {
            out += c;
            if (c == '&') out += '-';
            utf8.remove_prefix(1);
            continue;
        }
        std::u16string units;
        while (!utf8.empty() && !stands_for_itself(utf8.front()) && utf8.front() != '&') {
            auto const point = take_code_point(utf8);
            if (point < 0x10000) {
                units += static_cast<char16_t>(point);
            } else {
                units += static_cast<char16_t>(0xd800 + ((point - 0x10000) >> 10));
                units += static_cast<char16_t>(0xdc00 + ((point - 0x10000) & 0x3ff));
            }
        }
        out += encode_shifted(units);
    }
    return out;
}

std::optional<std::string> mutf7_decode(std::string_view text) {
    auto const whole = text;
    std::string out;
    while (!text.empty()) {
        if (text.front() != '&') {
            if (!stands_for_itself(text.front())) return std::nullopt;
            out += text.front();
            text.remove_prefix(1);
            continue;
        }
        auto const end = text.find('-');
        if (end == std::string_view::npos) return std::nullopt;
        auto const units = decode_shifted(text.substr(1, end - 1));
        if (!units) return std::nullopt;
        if (units->empty())
            out += '&';
        else if (!append_units(out, *units))
            return std::nullopt;
        text.remove_prefix(end + 1);
    }
    // Every name has one spelling; another one would be a second folder of the same name.
    if (mutf7_encode(out) != whole) return std::nullopt;
    return out;
}

Result<MailboxName> read_mailbox_name(std::string_view name, char separator, Layout layout,
                                      bool utf8_on_disk) {
    if (equals_ignoring_case(name, "INBOX")) return MailboxName{true, "", "INBOX"};
    if (name.empty()) return permanent("Name is empty");
    if (!is_utf8(name)) return permanent("Name is not valid UTF-8");
    if (name.starts_with(separator)) return permanent("Begins with hierarchy separator");
    if (name.ends_with(separator)) return permanent("Ends with hierarchy separator");
    MailboxName out;
    for (auto const part : split(name, separator)) {
        if (part.empty()) return permanent("Has adjacent hierarchy separators");
        if (auto done = check_part(part, layout); !done) return std::unexpected(done.error());
        auto const on_disk = utf8_on_disk ? std::string(part) : *mutf7_encode(part);
        if (!out.subscription.empty()) out.subscription += '\t';
        out.subscription += on_disk;
        if (layout == Layout::maildirpp)
            out.folder += '.';
        else if (!out.folder.empty())
            out.folder += '/';
        out.folder += on_disk;
        if (on_disk.size() > max_folder_name) return permanent("Name is too long");
    }
    if (layout == Layout::maildirpp && out.folder.size() > max_folder_name)
        return permanent("Name is too long");
    return out;
}

} // namespace postern::lmtp_deliver
