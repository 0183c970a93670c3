// What Postfix does itself for native tables and not for socketmap: and tcp: ones: folding, partial keys.
#pragma once

#include "common/base/error.h"
#include "sql-maps/lookup.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::sql_maps {

// The parameter that names the table decides how it is searched.
enum class MapClass {
    plain,     // the key as it came, in lower case
    domain,    // virtual_mailbox_domains, mydestination: the same
    parents,   // relay_domains: d, parent ... (parent_domain_matches_subdomains, as by default)
    address,   // sender_login, bcc, relocated, sender_dependent_relayhost: u+x@d, u@d, (u+x, u), @d
    rewriting, // virtual, canonical: as address; an extension that was left out comes back in the result
    mailbox,   // virtual_mailbox_maps: u+x@d, u@d, @d
    transport, // u+x@d, u@d, d, .parent ...
    access,    // u+x@d, u@d, d, parent ..., u+x@, u@; host names and networks
};

// "virtual", "canonical", "transport", "access", "sender_login" and so on, as main.cf's parameters are
// called.
std::optional<MapClass> parse_map_class(std::string_view name);
std::string_view map_class_names(); // for messages

struct SearchRules {
    std::string recipient_delimiter;        // each character is one; empty: addresses have no extension
    std::vector<std::string> local_domains; // their users are also looked up without domain
};

struct Candidate {
    std::string key;
    std::string extension = {}; // with its delimiter; to be put into the result
    bool operator==(Candidate const&) const = default;
};

// The keys to ask for, in order, each once.
std::vector<Candidate> candidates(std::string_view key, MapClass map_class, SearchRules const& rules);

// The first candidate that is found decides; an error ends the search.
using KeyLookup = std::function<Result<Answer>(std::string_view key)>;
Result<Answer> search(std::string_view key, MapClass map_class, SearchRules const& rules,
                      KeyLookup const& lookup);

} // namespace postern::sql_maps
