// Looks a client up the way OpenDKIM does: by asking the data set for each form of it.
#include "milter-dkim/tables/hosts.h"

#include "common/base/text.h"

#include <arpa/inet.h>

#include <array>
#include <cstdint>

namespace postern::milter_dkim {

namespace {

// The first form that is listed decides, "!form" before "form".
class Forms {
  public:
    void add(std::string form) {
        forms_.push_back("!" + form);
        forms_.push_back(std::move(form));
    }
    Result<bool> listed_in(DataSet const& hosts) const {
        auto const hits = hosts.find_in_order(forms_, true);
        if (!hits) return std::unexpected(hits.error());
        return !hits->empty() && hits->front().index % 2 == 1;
    }

  private:
    std::vector<std::string> forms_;
};

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
    Forms forms;
    for (std::size_t at = 0; at != std::string::npos; at = wanted.find('.', at + 1))
        forms.add(wanted.substr(at));
    return forms.listed_in(hosts);
}

Result<bool> lists_address(DataSet const& hosts, std::string_view address) {
    auto const parsed = parse_address(address);
    if (!parsed) return false;
    Forms forms;
    forms.add(text_of(*parsed));
    for (int bits = parsed->bits(); bits >= 0; --bits) {
        auto const network = text_of(network_of(*parsed, bits));
        forms.add(network + "/" + std::to_string(bits));
        if (parsed->family == AF_INET) forms.add(network + "/" + mask_text(bits));
    }
    return forms.listed_in(hosts);
}

Result<bool> lists_client(DataSet const& hosts, std::string_view name, std::string_view address) {
    auto const by_name = lists_host(hosts, name);
    if (!by_name || *by_name) return by_name;
    return lists_address(hosts, address);
}

} // namespace postern::milter_dkim
