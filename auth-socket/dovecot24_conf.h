// What the files that read Dovecot 2.4's way of writing share.
#pragma once

#include "auth-socket/settings.h"
#include "auth-socket/users/sql.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace postern::auth_socket {

// A passdb or userdb block within the file, and how its settings are found.
class Database24 {
  public:
    Database24(config::Block const& root, config::Block const& block, std::string_view kind)
        : root_(root), block_(block), kind_(kind) {}

    // In the block with or without prefixes (query, sql_query, passdb_query, passdb_sql_query), or, with
    // prefixes, for all blocks of the file.
    config::Assignment const* setting(std::string_view name) const;
    std::string value(std::string_view name) const; // empty when it is not set
    bool flag(std::string_view name, bool fallback, std::vector<config::Problem>& problems) const;
    // A list: words, or a block of names that are yes.
    std::vector<std::string> list(std::string_view name) const;
    // fields { }; only "%{" begins a variable in their values.
    Fields fields(std::vector<config::Problem>& problems) const;

    std::string driver() const;
    config::Block const& root() const { return root_; }
    config::Block const& block() const { return block_; }
    std::string_view kind() const { return kind_; }
    // Does the name mean this setting in this block?
    bool names(std::string_view given, std::string_view name) const;

  private:
    std::string driver_prefix() const;

    config::Block const& root_;
    config::Block const& block_;
    std::string_view kind_;
};

// What 2.4 writes where 2.3 has args.
void understand_dovecot24_database(Database24 const& source, DatabaseBlock& database,
                                   std::vector<config::Problem>& problems);
// sql_driver, "pgsql HOST { }", query. Null: a mistake, which problems has.
std::shared_ptr<SqlSettings const> sql_settings_24(Database24 const& database,
                                                   std::vector<config::Problem>& problems);

} // namespace postern::auth_socket
