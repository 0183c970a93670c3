// The IgnoreHosts file: host names, addresses and networks.
#pragma once

#include "common/base/error.h"

#include <string>
#include <string_view>
#include <vector>

namespace postern::milter_dmarc {

// One entry a line, '#' begins a comment: "mail.example.com", ".example.com" (all names below), "192.0.2.1",
// "192.0.2.0/24", "2001:db8::/32"; a leading "!" excludes what a later or earlier entry would match.
class HostList {
  public:
    static constexpr std::size_t max_entries = 100000;

    // 127.0.0.1.
    static HostList standard();
    // The error names the line of what cannot be read.
    static Result<HostList> parse(std::string_view text, std::string const& file);
    static Result<HostList> load(std::string const& path);

    // name: the client's host name, "[192.0.2.1]" when it has none; address: in text form.
    bool contains(std::string_view name, std::string_view address) const;

  private:
    struct Network {
        std::string octets; // 4 or 16
        unsigned bits = 0;
    };
    struct Entry {
        bool excluded = false;
        std::string name; // lower case; empty: a network
        Network network;
    };
    static Result<Entry> parse_entry(std::string_view text);
    static bool matches(Entry const& entry, std::string_view name, std::string_view octets);

    std::vector<Entry> entries_;
};

} // namespace postern::milter_dmarc
