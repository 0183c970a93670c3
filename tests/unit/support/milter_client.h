// The MTA's side of the milter protocol, versions 2 and 6, octet for octet, over any stream socket.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postern::test {

struct MilterReply {
    char code = 0; // SMFIR_*: 'c' continue, 'a' accept, 'r' reject, 't' tempfail, 'y' reply text ...
    std::string data;

    bool operator==(MilterReply const&) const = default;
};

// Waits at most ten seconds for each reply; absent: the milter closed the connection or is late.
class MilterClient {
  public:
    explicit MilterClient(int descriptor) : descriptor_(descriptor) {} // taken over
    static std::optional<MilterClient> connect_unix(std::string const& path);
    static std::optional<MilterClient> connect_inet(std::uint16_t port);
    MilterClient(MilterClient&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    MilterClient& operator=(MilterClient&&) = delete;
    ~MilterClient();

    struct Negotiated {
        std::uint32_t version = 0;
        std::uint32_t actions = 0;
        std::uint32_t steps = 0;
        std::string macro_lists; // what follows, as sent: stage number and names
    };
    // What Postfix offers by default in protocol 6.
    static constexpr std::uint32_t all_actions = 0x1ff;
    static constexpr std::uint32_t all_steps = 0x1fffff;
    std::optional<Negotiated> negotiate(std::uint32_t version = 6, std::uint32_t actions = all_actions,
                                        std::uint32_t steps = all_steps);

    using Pairs = std::vector<std::pair<std::string, std::string>>;
    void macros(char command, Pairs const& values); // no reply
    // address: "192.0.2.1", "2001:db8::1"; empty: family unknown.
    std::optional<MilterReply> connect(std::string_view host, std::string_view address);
    std::optional<MilterReply> helo(std::string_view name);
    std::optional<MilterReply> mail(std::string_view path, std::vector<std::string> const& parameters = {});
    std::optional<MilterReply> recipient(std::string_view path);
    std::optional<MilterReply> header(std::string_view name, std::string_view value);
    std::optional<MilterReply> end_of_headers();
    std::optional<MilterReply> body(std::string_view chunk);
    // Everything up to and with the final answer, progress left out.
    std::vector<MilterReply> end_of_message();
    void abort();
    void quit();

    // One packet as it is; and one reply.
    void send(char command, std::string_view data);
    void send_octets(std::string_view octets);
    std::optional<MilterReply> receive();
    std::optional<MilterReply> ask(char command, std::string_view data);

  private:
    int descriptor_;
};

// "192.0.2.1" as SMFIC_CONNECT has it.
std::string milter_connect_data(std::string_view host, std::string_view address);
// Octets of one packet.
std::string milter_packet(char command, std::string_view data);
std::string milter_number(std::uint32_t value);

} // namespace postern::test
