// KeyTable and SigningTable: which keys sign for which sender.
#pragma once

#include "common/base/log.h"
#include "milter-dkim/sign/keys.h"
#include "milter-dkim/tables/data_set.h"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace postern::milter_dkim {

// One signature to be made.
struct SigningRequest {
    std::string domain;   // d=
    std::string selector; // s=
    std::string identity; // i=; empty: none
    std::shared_ptr<SigningKey const> key;
};

// A KeyTable row's value: domain:selector:key. "%" in the domain and in a path stands for the sender's
// domain.
struct KeyRow {
    std::string domain;
    std::string selector;
    std::string source; // a path when it begins with "/", "./" or "../", else the key itself

    bool is_path() const { return is_path(source); }
    static bool is_path(std::string_view source);
    bool has_placeholder() const { return domain.contains('%') || (is_path() && source.contains('%')); }
};
Result<KeyRow> parse_key_row(std::string_view value);

// The identity when it may be i= beside this d= (RFC 6376 3.5: an address there or below), else nothing: with
// another the signature would be good to nobody.
std::string identity_beside(std::string identity, std::string_view domain);

// Keys by their source, read once and kept; a failure is kept too, so that a broken file is not read for
// every message. Thread-safe.
class KeyStore {
  public:
    static constexpr std::size_t max_keys = 100000;

    KeyStore(KeyPolicy policy, Log& log) : policy_(std::move(policy)), log_(log) {}
    Result<std::shared_ptr<SigningKey const>> get(KeyRow const& row) const;
    Result<std::shared_ptr<SigningKey const>> get_file(std::string const& path) const;
    // When the oldest of the key files read so far was last changed, in unix seconds; 0: none was read.
    std::int64_t oldest_change() const;

  private:
    Result<std::shared_ptr<SigningKey const>> load(KeyRow const& row) const;
    // Keys in one unsafe directory are one line in the log.
    void tell_once(std::string const& warning) const;

    KeyPolicy policy_;
    Log& log_;
    mutable std::mutex mutex_; // guards keys_ and told_
    mutable std::set<std::string> told_;
    mutable std::map<std::string, Result<std::shared_ptr<SigningKey const>>, std::less<>> keys_;
};

class SigningTables {
  public:
    // Why a sender that the table names cannot be signed for now.
    struct Failure {
        enum class Kind { table_unreadable, unknown_key, key_unusable } kind;
        std::string key;
        std::string why; // for the log
    };
    using Requests = std::expected<std::vector<SigningRequest>, Failure>;

    SigningTables(std::unique_ptr<DataSet> key_table, std::unique_ptr<DataSet> signing_table,
                  std::shared_ptr<KeyStore> keys)
        : key_table_(std::move(key_table)), signing_table_(std::move(signing_table)), keys_(std::move(keys)) {
    }

    // Nothing matches: no requests. The first match, or all of them with multiple; a row that names several
    // keys with commas gives one request each.
    Requests requests_for(std::string_view user, std::string_view domain, bool multiple) const;
    // Reads every key that can be known beforehand, and reports the rows that will not work; those that one
    // fault concerns in one line.
    void check(std::vector<config::Problem>& problems) const;

    // With one key of the KeyTable, by its name. "%" in the identity and the row stands for the domain.
    std::expected<SigningRequest, Failure> request(std::string const& key_name, std::string const& identity,
                                                   std::string_view domain) const;
    // For people: the rows of the SigningTable that match, in the order in which they are asked; a
    // database's cannot be shown.
    std::vector<Row const*> rows_for(std::string_view user, std::string_view domain) const;

    DataSet const& key_table() const { return *key_table_; }
    DataSet const& signing_table() const { return *signing_table_; }
    KeyStore const& keys() const { return *keys_; }

  private:
    Result<std::vector<std::string>> matches(std::string_view user, std::string_view domain,
                                             bool multiple) const;

    std::unique_ptr<DataSet> key_table_;
    std::unique_ptr<DataSet> signing_table_;
    std::shared_ptr<KeyStore> keys_;
};

} // namespace postern::milter_dkim
