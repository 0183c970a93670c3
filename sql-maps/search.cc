// Partial keys in the order of virtual(5), canonical(5), transport(5) and access(5).
#include "sql-maps/search.h"

#include "common/base/text.h"

#include <algorithm>
#include <utility>

namespace postern::sql_maps {

namespace {

constexpr std::pair<std::string_view, MapClass> class_names[] = {
    {"plain", MapClass::plain},
    {"domain", MapClass::domain},
    {"virtual_mailbox_domains", MapClass::domain},
    {"virtual_alias_domains", MapClass::domain},
    {"relay_domains", MapClass::parents},
    {"mydestination", MapClass::domain},
    {"address", MapClass::address},
    {"sender_login", MapClass::address},
    {"sender_bcc", MapClass::address},
    {"recipient_bcc", MapClass::address},
    {"relocated", MapClass::address},
    {"relay_recipient", MapClass::address},
    {"local_recipient", MapClass::address},
    {"sender_dependent_relayhost", MapClass::address},
    {"sasl_password", MapClass::address},
    {"virtual", MapClass::rewriting},
    {"virtual_alias", MapClass::rewriting},
    {"canonical", MapClass::rewriting},
    {"sender_canonical", MapClass::rewriting},
    {"recipient_canonical", MapClass::rewriting},
    {"generic", MapClass::address}, // propagate_unmatched_extensions leaves it out by default
    {"virtual_mailbox", MapClass::mailbox},
    {"transport", MapClass::transport},
    {"access", MapClass::access},
};

// A local part in its pieces.
struct Address {
    std::string local; // with extension
    std::string user;  // without
    std::string extension;
    std::string domain;
    bool has_domain = false;
};

// Postfix splits at the first delimiter that has something before it, and never these names.
Address divided(std::string const& key, std::string const& delimiters) {
    auto const [local, domain] = halve_at_last(key, '@');
    Address out{std::string(local), std::string(local), "", std::string(domain.value_or("")),
                domain.has_value()};
    if (local == "mailer-daemon" || local == "double-bounce") return out;
    if (delimiters.contains('-') && (local.starts_with("owner-") || local.ends_with("-request"))) return out;
    auto const at = out.local.find_first_of(delimiters);
    if (delimiters.empty() || at == std::string::npos || at == 0) return out;
    out.user = out.local.substr(0, at);
    out.extension = out.local.substr(at);
    return out;
}

class Keys {
  public:
    void add(std::string key, std::string extension = {}) {
        bool const known = std::ranges::any_of(all_, [&](Candidate const& c) { return c.key == key; });
        if (!key.empty() && !known) all_.push_back({std::move(key), std::move(extension)});
    }
    std::vector<Candidate> take() { return std::move(all_); }

  private:
    std::vector<Candidate> all_;
};

// The domain itself and its parents, those with or without their leading dot.
void add_domains(Keys& keys, std::string_view domain, bool dotted) {
    keys.add(std::string(domain));
    for (auto dot = domain.find('.', 1); dot != std::string_view::npos; dot = domain.find('.', dot + 1))
        keys.add(std::string(domain.substr(dotted ? dot : dot + 1)));
}

// An IPv4 or IPv6 address and its networks, octet by octet (hextet by hextet).
void add_networks(Keys& keys, std::string address, char separator) {
    keys.add(address);
    for (auto at = address.rfind(separator); at != std::string::npos; at = address.rfind(separator)) {
        address.resize(at);
        while (address.ends_with(separator)) address.pop_back();
        keys.add(address);
    }
}

bool is_ipv4(std::string_view key) {
    return key.find_first_not_of("0123456789.") == std::string_view::npos && key.contains('.');
}

void add_full(Keys& keys, std::string const& key, Address const& address, bool returns_extension) {
    keys.add(key);
    if (address.extension.empty()) return;
    keys.add(address.has_domain ? address.user + "@" + address.domain : address.user,
             returns_extension ? address.extension : "");
}

void add_local_user(Keys& keys, Address const& address, SearchRules const& rules, bool returns_extension) {
    auto const is_local = [&](std::string const& domain) {
        return equals_ignoring_case(domain, address.domain);
    };
    if (!address.has_domain || !std::ranges::any_of(rules.local_domains, is_local)) return;
    keys.add(address.local);
    keys.add(address.user, returns_extension ? address.extension : "");
}

void add_access(Keys& keys, std::string const& key, Address const& address) {
    if (!address.has_domain) {
        if (is_ipv4(key))
            add_networks(keys, key, '.');
        else if (key.contains(':'))
            add_networks(keys, key, ':');
        else
            add_domains(keys, key, false);
        return;
    }
    add_full(keys, key, address, false);
    if (!address.domain.empty()) add_domains(keys, address.domain, false);
    if (address.local.empty()) return;
    keys.add(address.local + "@");
    keys.add(address.user + "@");
}

// "a@x, b" with "+ext": "a+ext@x,b+ext".
std::string with_extension(std::string const& addresses, std::string const& extension) {
    std::vector<std::string> out;
    for (auto const piece : split_words(addresses, ", \t")) {
        auto const [local, domain] = halve_at_last(piece, '@');
        out.push_back(std::string(local) + (local.empty() ? "" : extension) +
                      (domain ? "@" + std::string(*domain) : ""));
    }
    return join(out, ",");
}

} // namespace

std::optional<MapClass> parse_map_class(std::string_view name) {
    for (auto const& [known, map_class] : class_names)
        if (name == known) return map_class;
    return std::nullopt;
}

std::string_view map_class_names() {
    return "virtual, canonical, generic, transport, access, sender_login, sender_bcc, recipient_bcc, "
           "relocated, "
           "virtual_mailbox, relay_domains, domain, address, plain";
}

std::vector<Candidate> candidates(std::string_view text, MapClass map_class, SearchRules const& rules) {
    auto const key = to_lower(text);
    auto address = divided(key, rules.recipient_delimiter);
    // What goes back into the result is as the client wrote it.
    address.extension = text.substr(address.user.size(), address.extension.size());
    bool const rewriting = map_class == MapClass::rewriting;
    Keys keys;
    switch (map_class) {
    case MapClass::plain:
    case MapClass::domain: keys.add(key); break;
    case MapClass::parents: add_domains(keys, key, false); break;
    case MapClass::address:
    case MapClass::rewriting:
        add_full(keys, key, address, rewriting);
        add_local_user(keys, address, rules, rewriting);
        if (!address.domain.empty()) keys.add("@" + address.domain);
        break;
    case MapClass::mailbox:
        add_full(keys, key, address, false);
        if (!address.domain.empty()) keys.add("@" + address.domain);
        break;
    case MapClass::transport:
        if (!address.has_domain) {
            keys.add(key); // "*", or a domain alone
            if (key != "*") add_domains(keys, key, true);
            break;
        }
        add_full(keys, key, address, false);
        if (!address.domain.empty()) add_domains(keys, address.domain, true);
        break;
    case MapClass::access: add_access(keys, key, address); break;
    }
    return keys.take();
}

Result<Answer> search(std::string_view key, MapClass map_class, SearchRules const& rules,
                      KeyLookup const& lookup) {
    for (auto const& [candidate, extension] : candidates(key, map_class, rules)) {
        auto answer = lookup(candidate);
        if (!answer || !*answer) {
            if (!answer) return answer;
            continue;
        }
        return extension.empty() ? answer : Answer(with_extension(**answer, extension));
    }
    return Answer();
}

} // namespace postern::sql_maps
