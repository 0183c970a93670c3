// Requests from bytes, actions to bytes.
#include "policyd-spf/protocol.h"

#include "common/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace postern::policyd_spf {

namespace {

// Length of the well-formed UTF-8 sequence at the start of text (RFC 3629); 0 when there is none.
std::size_t sequence_length(std::string_view text) {
    auto const octet = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    auto const first = octet(0);
    if (first < 0x80) return 1;
    std::size_t const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
    for (std::size_t i = 1; i < length; ++i)
        if ((octet(i) & 0xc0) != 0x80) return 0;
    bool const overlong = (first == 0xe0 && octet(1) < 0xa0) || (first == 0xf0 && octet(1) < 0x90);
    bool const no_scalar = (first == 0xed && octet(1) > 0x9f) || (first == 0xf4 && octet(1) > 0x8f);
    return overlong || no_scalar ? 0 : length;
}

std::string as_utf8(std::string_view text) {
    if (std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) >= 0x80; }))
        return std::string(text);
    std::string out;
    while (!text.empty()) {
        auto const length = sequence_length(text);
        if (length == 0)
            out += "\xef\xbf\xbd"; // U+FFFD
        else
            out += text.substr(0, length);
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return out;
}

struct Attribute {
    std::string_view name;
    std::optional<std::string> Request::* member;
};
constexpr std::array<Attribute, 6> attributes = {{{"client_address", &Request::client_address},
                                                  {"helo_name", &Request::helo_name},
                                                  {"sender", &Request::sender},
                                                  {"recipient", &Request::recipient},
                                                  {"instance", &Request::instance},
                                                  {"queue_id", &Request::queue_id}}};

} // namespace

Result<std::optional<Request>> Decoder::next() {
    for (;;) {
        auto const end = buffer_.find('\n', scanned_);
        bool const whole = end != std::string::npos;
        auto const size = (whole ? end : buffer_.size()) - taken_;
        if (size > max_line) return malformed(fmt::format("a line has more than {} octets", max_line));
        if (!whole) {
            buffer_.erase(0, std::exchange(taken_, 0)); // once for all lines of a piece
            scanned_ = buffer_.size();
            return std::nullopt;
        }
        used_ += size + 1;
        if (used_ > max_request)
            return malformed(fmt::format("a request has more than {} octets", max_request));
        auto const line = as_utf8(trim_right(std::string_view(buffer_).substr(taken_, size)));
        taken_ = scanned_ = end + 1;
        if (line.empty()) {
            if (watcher_) watcher_(line, true);
            used_ = 0;
            return std::exchange(request_, {});
        }
        take_line(line);
    }
}

void Decoder::take_line(std::string const& line) {
    auto const [before, value] = halve(line, '=');
    auto const name = trim(before);
    bool const matched = value && !name.empty() && name.find_first_of(" \t\r\v\f") == std::string_view::npos;
    if (watcher_) watcher_(line, matched);
    if (!matched) return;
    for (auto const& attribute : attributes)
        if (attribute.name == name) request_.*attribute.member = std::string(*value);
}

std::string encode_action(std::string_view action) {
    std::string out = "action=";
    for (char const c : action) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    return out + "\n\n";
}

} // namespace postern::policyd_spf
