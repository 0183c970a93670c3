// Data sets as opendkim.conf names them: csl:, file:, refile:, db:, mdb:, dsn:.
#pragma once

#include "common/base/error.h"
#include "common/config/settings.h"

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postern::milter_dkim {

struct Row {
    std::string key;     // lower case; in a refile the pattern
    std::string written; // the key as written
    std::string value;
    config::Place place;
};

// Immutable once opened, so shared by all sessions. Keys are compared without case. A lookup fails
// (temporary) only where a server is asked.
class DataSet {
  public:
    virtual ~DataSet() = default;
    // The first row with this key, or whose pattern matches.
    virtual Result<std::optional<std::string>> find(std::string_view key) const = 0;
    // All of them, in the order of the rows.
    virtual Result<std::vector<std::string>> find_all(std::string_view key) const = 0;
    // A key that is there, by its place among those asked for.
    struct Hit {
        std::size_t index = 0;
        std::string value;
    };
    // Those of the keys that are there, in the order of the keys; only the first of them with first_only. A
    // database is asked once for all.
    virtual Result<std::vector<Hit>> find_in_order(std::span<std::string const> keys, bool first_only) const;
    Result<bool> contains(std::string_view key) const;
    // True for refile: one lookup of the whole key tries every pattern.
    virtual bool has_patterns() const { return false; }
    // The rows, where they can be listed; a database's cannot.
    virtual std::vector<Row> const* rows() const { return nullptr; }
};

// Opens what an opendkim.conf value names: "csl:a,b=c", "file:/p", "refile:/p", "db:/p", "mdb:/p", "dsn:...",
// a bare path ("/p", "./p", Berkeley DB when it ends with ".db") or a bare list. Rows that are wrong become
// warnings, the others serve; what cannot be opened at all is an error that says which kinds work.
class DataSetOpener {
  public:
    using Database = std::function<Result<std::unique_ptr<DataSet>>(std::string_view dsn)>;

    // database opens "dsn:"; empty: databases are refused.
    explicit DataSetOpener(Database database = {}) : database_(std::move(database)) {}
    Result<std::unique_ptr<DataSet>> open(std::string_view value, config::Place const& place,
                                          std::vector<config::Problem>& problems) const;

  private:
    Database database_;
};

inline constexpr std::size_t max_rows = 1000000; // of one file
inline constexpr std::size_t max_file = std::size_t{64} * 1024 * 1024;

std::unique_ptr<DataSet> list_set(std::vector<Row> rows);
std::unique_ptr<DataSet> pattern_set(std::vector<Row> rows);
// "*" stands for any octets, everything else for itself, without case.
bool matches_pattern(std::string_view pattern, std::string_view text);

} // namespace postern::milter_dkim
