// Lengths, letters and strings that a NUL ends.
#include "common/milter/packets.h"

#include <fmt/format.h>

namespace postern::milter {

namespace {

constexpr std::size_t length_octets = 4;

}

void Decoder::feed(std::string_view bytes) {
    buffer_.erase(0, taken_);
    taken_ = 0;
    buffer_ += bytes;
}

Result<std::optional<Packet>> Decoder::next() {
    auto const left = std::string_view(buffer_).substr(taken_);
    if (left.size() < length_octets) return std::nullopt;
    auto const length = number_in(left);
    if (length == 0 || length > max_packet)
        return malformed(fmt::format("a milter packet of {} octets", length));
    if (left.size() - length_octets < length) return std::nullopt;
    taken_ += length_octets + length;
    return Packet{left[length_octets], left.substr(length_octets + 1, length - 1)};
}

void append_packet(std::string& to, char letter, std::initializer_list<std::string_view> parts) {
    std::size_t size = 1;
    for (auto const part : parts) size += part.size();
    to += number_octets(static_cast<std::uint32_t>(size));
    to += letter;
    for (auto const part : parts) to += part;
}

std::string number_octets(std::uint32_t value) {
    std::string out;
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xff);
    return out;
}

std::uint32_t number_in(std::string_view octets) {
    std::uint32_t value = 0;
    for (char const c : octets.substr(0, length_octets)) value = value << 8 | static_cast<unsigned char>(c);
    return value;
}

Result<std::vector<std::string_view>> nul_terminated(std::string_view data) {
    std::vector<std::string_view> out;
    while (!data.empty()) {
        auto const end = data.find('\0');
        if (end == std::string_view::npos) return malformed("a milter string without its end");
        out.push_back(data.substr(0, end));
        data.remove_prefix(end + 1);
    }
    return out;
}

std::string_view up_to_nul(std::string_view text) { return text.substr(0, text.find('\0')); }

} // namespace postern::milter
