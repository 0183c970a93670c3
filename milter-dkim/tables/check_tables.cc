// What of KeyTable and SigningTable will not work, told before a message meets it.
#include "common/base/text.h"
#include "milter-dkim/tables/tables.h"

#include <fmt/format.h>

#include <map>
#include <optional>

namespace postern::milter_dkim {

namespace {

using config::Place;
using config::Problem;

// Rows that one fault concerns: a directory that others may write to makes every key below it useless.
struct Fault {
    std::string why;
    Row const* first = nullptr;
    std::size_t rows = 0;
};

class Faults {
  public:
    void note(std::string const& why, Row const& row) {
        auto const [place, is_new] = places_.emplace(why, all_.size());
        if (is_new) all_.push_back({why, &row, 0});
        ++all_[place->second].rows;
    }
    std::vector<Fault> const& all() const { return all_; }

  private:
    std::vector<Fault> all_; // in the order of their first rows
    std::map<std::string, std::size_t> places_;
};

std::string sentence(Fault const& fault) {
    auto const key = printable(fault.first->key, 80);
    if (fault.rows == 1)
        return fmt::format("key \"{}\": {}; its senders get a temporary failure", key, fault.why);
    return fmt::format("key \"{}\" and {} more: {}; their senders get a temporary failure", key,
                       fault.rows - 1, fault.why);
}

Faults faults_of(std::vector<Row> const& rows, KeyStore const& keys) {
    Faults faults;
    for (auto const& each : rows) {
        auto const row = parse_key_row(each.value);
        if (!row)
            faults.note(row.error().text, each);
        else if (!row->has_placeholder())
            if (auto const key = keys.get(*row); !key) faults.note(key.error().text, each);
    }
    return faults;
}

// Why i= would be left out, where that does not depend on the sender.
std::optional<std::string> identity_fault(std::string_view value, DataSet const& keys) {
    auto const halves = halve(value, ':');
    auto const identity = std::string(trim(halves.after.value_or("")));
    if (identity.empty()) return std::nullopt;
    if (!identity.contains('@')) return fmt::format("the identity \"{}\" has no @", printable(identity, 80));
    if (identity.contains('%')) return std::nullopt;
    for (auto const name : split_words(halves.before, ", \t")) {
        auto const row = *keys.find(name);
        auto const key = row ? parse_key_row(*row) : permanent("no such key");
        if (key && !key->domain.contains('%') && identity_beside(identity, key->domain).empty())
            return fmt::format("the identity \"{}\" is not an address of {}", printable(identity, 80),
                               key->domain);
    }
    return std::nullopt;
}

void check_senders(DataSet const& senders, DataSet const& keys, std::vector<Problem>& problems) {
    auto const warn = [&](Place const& place, std::string text) {
        problems.push_back({Problem::Severity::warning, place, std::move(text)});
    };
    for (auto const& each : *senders.rows()) {
        auto const names = split_words(halve(each.value, ':').before, ", \t");
        if (names.empty()) warn(each.place, "the row names no key; its senders get a temporary failure");
        if (auto const fault = identity_fault(each.value, keys))
            warn(each.place, *fault + "; signatures have no i= for it");
        for (auto const name : names)
            if (name != "%" && !*keys.contains(name))
                warn(each.place, fmt::format("unknown key \"{}\"; its senders get a temporary failure",
                                             printable(name, 80)));
    }
}

} // namespace

void SigningTables::check(std::vector<Problem>& problems) const {
    auto const* rows = key_table_->rows();
    if (rows == nullptr) return;
    auto const faults = faults_of(*rows, *keys_);
    for (auto const& fault : faults.all())
        problems.push_back({Problem::Severity::warning, fault.first->place, sentence(fault)});
    if (signing_table_->rows() != nullptr) check_senders(*signing_table_, *key_table_, problems);
}

} // namespace postern::milter_dkim
