// Looks senders up in the SigningTable in OpenDKIM's order, and keys in the KeyTable.
#include "milter-dkim/tables/tables.h"

#include "common/base/text.h"
#include "common/mail/domain.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

namespace postern::milter_dkim {

namespace {

constexpr std::size_t max_identity = 255; // octets

// A d= or s= goes into the signature unquoted (RFC 6376 3.5).
bool is_domain_text(std::string_view text) {
    if (text.empty() || text.size() > 253) return false;
    for (char const c : text)
        if (!is_alnum(c) && c != '.' && c != '-' && c != '_') return false;
    return true;
}

std::string filled(std::string_view text, std::string_view domain) { return replace_all(text, "%", domain); }

// The forms of an address that a table without patterns is asked for, most exact first.
std::vector<std::string> forms_of(std::string_view user, std::string_view domain) {
    auto const local = std::string(user);
    auto const host = std::string(domain);
    std::vector<std::string> forms{local + "@" + host, host};
    for (auto dot = host.find('.'); dot != std::string::npos; dot = host.find('.', dot + 1)) {
        forms.push_back(local + "@" + host.substr(dot));
        forms.push_back(host.substr(dot));
    }
    forms.push_back(local + "@*");
    forms.emplace_back("*");
    return forms;
}

} // namespace

bool KeyRow::is_path(std::string_view source) {
    return source.starts_with('/') || source.starts_with("./") || source.starts_with("../");
}

Result<KeyRow> parse_key_row(std::string_view value) {
    auto const first = halve(value, ':');
    auto const second = halve(first.after.value_or(""), ':');
    if (!first.after || !second.after) return permanent("expected domain:selector:key");
    KeyRow row{std::string(trim(first.before)), std::string(trim(second.before)),
               std::string(trim(*second.after))};
    if (!is_domain_text(filled(row.domain, "x.example"))) return permanent("the domain is not usable as d=");
    if (!is_domain_text(row.selector)) return permanent("the selector is not usable as s=");
    if (row.source.empty()) return permanent("the key is missing");
    return row;
}

std::string identity_beside(std::string identity, std::string_view domain) {
    auto const of = halve_at_last(identity, '@').after;
    bool const is_clean = identity.size() <= max_identity && std::ranges::all_of(identity, [](char c) {
                              return c > 0x20 && c < 0x7f && c != ';'; // it stands in the signature unquoted
                          });
    if (of && is_clean && mail::is_at_or_below(to_lower(*of), to_lower(domain))) return identity;
    return {};
}

Result<std::shared_ptr<SigningKey const>> KeyStore::load(KeyRow const& row) const {
    if (!row.is_path()) return SigningKey::parse(row.source, policy_.minimum_bits);
    std::string warning;
    auto key = load_key(row.source, policy_, warning);
    if (!warning.empty()) tell_once(warning);
    return key;
}

void KeyStore::tell_once(std::string const& warning) const {
    std::lock_guard const lock(mutex_);
    if (told_.size() < max_keys && told_.insert(warning).second) log_.warning("{}", warning);
}

std::int64_t KeyStore::oldest_change() const {
    std::lock_guard const lock(mutex_);
    std::int64_t oldest = 0;
    for (auto const& [source, key] : keys_) {
        struct stat info{};
        if (!key || !KeyRow::is_path(source) || stat(source.c_str(), &info) != 0) continue;
        if (oldest == 0 || info.st_mtime < oldest) oldest = info.st_mtime;
    }
    return oldest;
}

Result<std::shared_ptr<SigningKey const>> KeyStore::get(KeyRow const& row) const {
    {
        std::lock_guard const lock(mutex_);
        if (auto const found = keys_.find(row.source); found != keys_.end()) return found->second;
    }
    auto key = load(row);
    std::lock_guard const lock(mutex_);
    if (keys_.size() >= max_keys) keys_.erase(keys_.begin());
    return keys_.emplace(row.source, std::move(key)).first->second;
}

Result<std::shared_ptr<SigningKey const>> KeyStore::get_file(std::string const& path) const {
    // Here a name is always a path, relative to the working directory.
    return get(KeyRow{{}, {}, KeyRow::is_path(path) ? path : "./" + path});
}

Result<std::vector<std::string>> SigningTables::matches(std::string_view user, std::string_view domain,
                                                        bool multiple) const {
    std::vector<std::string> values;
    if (signing_table_->has_patterns()) {
        auto found = signing_table_->find_all(fmt::format("{}@{}", user, domain));
        if (found && !multiple && found->size() > 1) found->resize(1);
        return found;
    }
    auto hits = signing_table_->find_in_order(forms_of(user, domain), !multiple);
    if (!hits) return std::unexpected(std::move(hits.error()));
    for (auto& hit : *hits) values.push_back(std::move(hit.value));
    return values;
}

std::expected<SigningRequest, SigningTables::Failure> SigningTables::request(std::string const& key_name,
                                                                             std::string const& identity,
                                                                             std::string_view domain) const {
    using Kind = Failure::Kind;
    auto const value = key_table_->find(key_name);
    if (!value) return std::unexpected(Failure{Kind::table_unreadable, key_name, value.error().text});
    if (!*value) return std::unexpected(Failure{Kind::unknown_key, key_name, "no such row in the KeyTable"});
    auto row = parse_key_row(**value);
    if (!row) return std::unexpected(Failure{Kind::key_unusable, key_name, row.error().text});
    row->domain = filled(row->domain, domain);
    // A sender's domain must not lead out of the keys' directory.
    if (row->is_path() && row->source.contains('%')) {
        if (!is_domain_text(domain) || domain.contains(".."))
            return std::unexpected(
                Failure{Kind::key_unusable, key_name, "the sender's domain fits no file name"});
        row->source = filled(row->source, domain);
    }
    if (!is_domain_text(row->domain))
        return std::unexpected(
            Failure{Kind::key_unusable, key_name, "the sender's domain is not usable as d="});
    auto key = keys_->get(*row);
    if (!key) return std::unexpected(Failure{Kind::key_unusable, key_name, key.error().text});
    return SigningRequest{row->domain, row->selector, identity_beside(filled(identity, domain), row->domain),
                          *key};
}

SigningTables::Requests SigningTables::requests_for(std::string_view user, std::string_view domain,
                                                    bool multiple) const {
    auto const found = matches(user, domain, multiple);
    if (!found) return std::unexpected(Failure{Failure::Kind::table_unreadable, {}, found.error().text});
    std::vector<SigningRequest> requests;
    for (auto const& value : *found) {
        auto const halves = halve(value, ':');
        auto const identity = std::string(trim(halves.after.value_or("")));
        auto const names = split_words(halves.before, ", \t");
        if (names.empty())
            return std::unexpected(
                Failure{Failure::Kind::table_unreadable, {}, "a matching row names no key"});
        for (auto const name : names) {
            auto made = request(std::string(name == "%" ? domain : name), identity, domain);
            if (!made) return std::unexpected(std::move(made.error()));
            requests.push_back(std::move(*made));
        }
    }
    return requests;
}

std::vector<Row const*> SigningTables::rows_for(std::string_view user, std::string_view domain) const {
    std::vector<Row const*> found;
    auto const* rows = signing_table_->rows();
    if (rows == nullptr) return found;
    if (signing_table_->has_patterns()) {
        auto const address = fmt::format("{}@{}", user, domain);
        for (auto const& row : *rows)
            if (matches_pattern(row.key, address)) found.push_back(&row);
        return found;
    }
    for (auto const& form : forms_of(user, domain))
        for (auto const& row : *rows)
            if (equals_ignoring_case(row.key, form)) found.push_back(&row);
    return found;
}

} // namespace postern::milter_dkim
