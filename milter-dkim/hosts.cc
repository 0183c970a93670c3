// Looks a client up the way OpenDKIM does: by asking the data set for each form of it.
#include "milter-dkim/hosts.h"

#include "common/base/text.h"

#include <arpa/inet.h>

#include <array>
#include <cstdint>

namespace postern::milter_dkim {

namespace {

// Absent: not listed in this form. False: excluded.
Result<std::optional<bool>> listed(DataSet const& hosts, std::string const& form) {
    auto const excluded = hosts.contains("!" + form);
    if (!excluded) return std::unexpected(excluded.error());
    if (*excluded) return false;
    auto const included = hosts.contains(form);
    if (!included) return std::unexpected(included.error());
    if (*included) return true;
    return std::nullopt;
}

struct Octets {
    int family = AF_INET;
    std::array<unsigned char, 16> octets{};

    int bits() const { return family == AF_INET ? 32 : 128; }
};

std::optional<Octets> parse_address(std::string_view text) {
    std::string const address(text);
    Octets out;
    if (inet_pton(AF_INET, address.c_str(), out.octets.data()) == 1) return out;
    in6_addr six{};
    if (inet_pton(AF_INET6, address.c_str(), &six) != 1) return std::nullopt;
    if (IN6_IS_ADDR_V4MAPPED(&six)) {
        std::copy(six.s6_addr + 12, six.s6_addr + 16, out.octets.begin());
        return out;
    }
    out.family = AF_INET6;
    std::copy(six.s6_addr, six.s6_addr + 16, out.octets.begin());
    return out;
}

std::string text_of(Octets const& address) {
    char text[INET6_ADDRSTRLEN] = "";
    inet_ntop(address.family, address.octets.data(), text, sizeof text);
    return text;
}

Octets network_of(Octets address, int bits) {
    for (int i = 0; i < address.bits() / 8; ++i) {
        int const kept = std::clamp(bits - i * 8, 0, 8);
        address.octets[static_cast<std::size_t>(i)] &= static_cast<unsigned char>(0xff00 >> kept);
    }
    return address;
}

std::string mask_text(int bits) {
    Octets all;
    all.octets.fill(0xff);
    return text_of(network_of(all, bits));
}

} // namespace

Result<bool> lists_host(DataSet const& hosts, std::string_view name) {
    if (name.empty() || name.front() == '[') return false;
    auto const wanted = to_lower(name);
    for (std::size_t at = 0; at != std::string::npos; at = wanted.find('.', at + 1)) {
        auto const answer = listed(hosts, wanted.substr(at));
        if (!answer) return std::unexpected(answer.error());
        if (*answer) return **answer;
    }
    return false;
}

Result<bool> lists_address(DataSet const& hosts, std::string_view address) {
    auto const parsed = parse_address(address);
    if (!parsed) return false;
    if (auto const answer = listed(hosts, text_of(*parsed)); !answer || *answer)
        return answer ? Result<bool>(**answer) : std::unexpected(answer.error());
    for (int bits = parsed->bits(); bits >= 0; --bits) {
        auto const network = text_of(network_of(*parsed, bits));
        auto answer = listed(hosts, network + "/" + std::to_string(bits));
        if (answer && !*answer && parsed->family == AF_INET)
            answer = listed(hosts, network + "/" + mask_text(bits));
        if (!answer) return std::unexpected(answer.error());
        if (*answer) return **answer;
    }
    return false;
}

Result<bool> lists_client(DataSet const& hosts, std::string_view name, std::string_view address) {
    auto const by_name = lists_host(hosts, name);
    if (!by_name || *by_name) return by_name;
    return lists_address(hosts, address);
}

} // namespace postern::milter_dkim
