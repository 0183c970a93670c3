// Lists and files; patterns by a matcher without backtracking.
#include "milter-dkim/tables/data_set.h"

#include "common/base/text.h"
#include "milter-dkim/tables/data_set_db.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <unordered_map>

namespace postern::milter_dkim {

namespace {

using config::Place;
using config::Problem;

class ListSet final : public DataSet {
  public:
    explicit ListSet(std::vector<Row> rows) : rows_(std::move(rows)) {
        for (std::size_t i = 0; i < rows_.size(); ++i) by_key_.emplace(rows_[i].key, i);
    }
    Result<std::optional<std::string>> find(std::string_view key) const override {
        auto const found = by_key_.find(to_lower(key));
        if (found == by_key_.end()) return std::nullopt;
        return rows_[found->second].value;
    }
    Result<std::vector<std::string>> find_all(std::string_view key) const override {
        std::vector<std::string> values;
        if (auto value = find(key); *value) values.push_back(std::move(**value));
        return values;
    }
    std::vector<Row> const* rows() const override { return &rows_; }

  private:
    std::vector<Row> rows_;
    std::unordered_map<std::string, std::size_t> by_key_; // the first row of each key
};

class PatternSet final : public DataSet {
  public:
    explicit PatternSet(std::vector<Row> rows) : rows_(std::move(rows)) {}
    Result<std::optional<std::string>> find(std::string_view key) const override {
        auto const wanted = to_lower(key);
        for (auto const& row : rows_)
            if (matches_pattern(row.key, wanted)) return row.value;
        return std::nullopt;
    }
    Result<std::vector<std::string>> find_all(std::string_view key) const override {
        std::vector<std::string> values;
        auto const wanted = to_lower(key);
        for (auto const& row : rows_)
            if (matches_pattern(row.key, wanted)) values.push_back(row.value);
        return values;
    }
    bool has_patterns() const override { return true; }
    std::vector<Row> const* rows() const override { return &rows_; }

  private:
    std::vector<Row> rows_;
};

Result<std::string> read_whole(std::string const& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) return system_error("open " + path, errno, ErrorKind::permanent);
    std::string text;
    char buffer[65536];
    while (in.read(buffer, sizeof buffer) || in.gcount() > 0) {
        text.append(buffer, static_cast<std::size_t>(in.gcount()));
        if (text.size() > max_file) return permanent(path + " is too large");
    }
    if (in.bad() || (text.empty() && !in.eof())) return permanent("cannot read " + path);
    return text;
}

std::vector<Row> parse_list(std::string_view text, Place const& place) {
    std::vector<Row> rows;
    for (auto const item : split(text, ',')) {
        auto const halves = halve(trim(item), '=');
        if (halves.before.empty()) continue;
        rows.push_back({to_lower(trim(halves.before)), std::string(trim(halves.before)),
                        std::string(trim(halves.after.value_or(""))), place});
    }
    return rows;
}

// One row a line: key, blanks, value; "#" starts a comment.
Result<std::vector<Row>> parse_file(std::string const& path, std::vector<Problem>& problems) {
    auto const text = read_whole(path);
    if (!text) return std::unexpected(text.error());
    std::vector<Row> rows;
    int number = 0;
    for (auto line : split(*text, '\n')) {
        Place const place{path, ++number};
        line = trim(line.substr(0, line.find('#')));
        if (line.empty()) continue;
        if (line.contains('\0')) {
            problems.push_back({Problem::Severity::warning, place, "the row holds a NUL; it is left out"});
            continue;
        }
        if (rows.size() >= max_rows) return permanent(fmt::format("{} has over {} rows", path, max_rows));
        auto const end = line.find_first_of(" \t");
        auto const value = end == std::string_view::npos ? std::string_view() : trim(line.substr(end));
        rows.push_back(
            {to_lower(line.substr(0, end)), std::string(line.substr(0, end)), std::string(value), place});
    }
    return rows;
}

std::unexpected<Error> refused(std::string_view kind) {
    return permanent(
        fmt::format("data sets of kind \"{}\" are not read; use {}", printable(kind, 20), data_set_kinds()));
}

} // namespace

bool matches_pattern(std::string_view pattern, std::string_view text) {
    std::size_t p = 0;
    std::size_t t = 0;
    std::size_t star = std::string_view::npos;
    std::size_t resume = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            resume = t;
        } else if (p < pattern.size() && lower(pattern[p]) == lower(text[t])) {
            ++p;
            ++t;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            t = ++resume;
        } else
            return false;
    }
    while (p < pattern.size() && pattern[p] == '*') ++p;
    return p == pattern.size();
}

Result<std::vector<DataSet::Hit>> DataSet::find_in_order(std::span<std::string const> keys,
                                                         bool first_only) const {
    std::vector<Hit> hits;
    for (std::size_t i = 0; i < keys.size(); ++i) {
        auto value = find(keys[i]);
        if (!value) return std::unexpected(std::move(value.error()));
        if (!*value) continue;
        hits.push_back({i, std::move(**value)});
        if (first_only) break;
    }
    return hits;
}

Result<bool> DataSet::contains(std::string_view key) const {
    auto const found = find(key);
    if (!found) return std::unexpected(found.error());
    return found->has_value();
}

std::unique_ptr<DataSet> list_set(std::vector<Row> rows) {
    return std::make_unique<ListSet>(std::move(rows));
}

std::unique_ptr<DataSet> pattern_set(std::vector<Row> rows) {
    return std::make_unique<PatternSet>(std::move(rows));
}

Result<std::unique_ptr<DataSet>> DataSetOpener::open(std::string_view value, Place const& place,
                                                     std::vector<Problem>& problems) const {
    auto const halves = halve(value, ':');
    auto kind = halves.after ? to_lower(halves.before) : std::string();
    auto rest = halves.after.value_or(value);
    // A list may hold colons (IPv6 addresses, key rows): only known words are kinds.
    static constexpr std::string_view others[] = {"ldap",     "ldaps",  "ldapi",  "lua",
                                                  "memcache", "socket", "erlang", "repute"};
    if (kind == "dsn") {
        if (!database_) return permanent("this program reads no databases; use file:, refile: or csl:");
        return database_(rest);
    }
    for (auto const other : others)
        if (kind == other) return refused(kind);
    static constexpr std::string_view ours[] = {"csl", "file", "refile", "db", "bdb", "mdb", "lmdb"};
    if (std::ranges::find(ours, kind) == std::end(ours)) {
        rest = value;
        bool const is_path = value.starts_with('/') || value.starts_with("./") || value.starts_with("../");
        kind = value.ends_with(".db") ? "db" : is_path ? "file" : "csl";
    }
    if (kind == "csl") return list_set(parse_list(rest, place));
    std::string const path(rest);
    auto rows = kind.ends_with("mdb")  ? read_lmdb(path)
                : kind.ends_with("db") ? read_berkeley_db(path)
                                       : parse_file(path, problems);
    if (!rows) return std::unexpected(rows.error());
    if (kind == "refile") return pattern_set(std::move(*rows));
    return list_set(std::move(*rows));
}

} // namespace postern::milter_dkim
