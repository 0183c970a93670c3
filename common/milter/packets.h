// The milter protocol's packets: four octets of length in network order, a command or reply letter, its data.
#pragma once

#include "common/base/error.h"

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postern::milter {

// Letter and data together. The MTA's chunks of a body have at most 64 KB, but it sends a header field whole.
inline constexpr std::size_t max_packet = 1 << 20;

struct Packet {
    char letter = 0;
    std::string_view data;
};

// Octets in pieces of any size become packets.
class Decoder {
  public:
    void feed(std::string_view bytes);
    // Absent: more octets are needed. The packet's data stay until the next feed(). An error (malformed)
    // is for good: a length of 0, or of more than max_packet.
    Result<std::optional<Packet>> next();

  private:
    std::string buffer_;
    std::size_t taken_ = 0; // octets of buffer_ that were given out
};

// The parts' octets, one behind the other, as one packet's data.
void append_packet(std::string& to, char letter, std::initializer_list<std::string_view> parts = {});

std::string number_octets(std::uint32_t value);
// The number at the start of four or more octets.
std::uint32_t number_in(std::string_view octets);

// What ends with a NUL each: "name\0value\0". An error (malformed) when octets follow the last NUL.
Result<std::vector<std::string_view>> nul_terminated(std::string_view data);
// The text up to its first NUL: nothing else may go where a NUL ends it.
std::string_view up_to_nul(std::string_view text);

} // namespace postern::milter
