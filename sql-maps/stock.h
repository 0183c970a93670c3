// The stock proxymap(8), asked on a client's behalf for tables that are not SQL.
#pragma once

#include "common/base/error.h"
#include "common/net/stream.h"
#include "sql-maps/lookup.h"
#include "sql-maps/proxymap.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace postern::sql_maps {

// One client's connection to it. Tests put their own in its place.
class Stock {
  public:
    virtual ~Stock() = default;
    // One request, whole, and its reply. permanent: no stock proxymap is configured; anything else: it could
    // not be asked.
    virtual Result<Attributes> ask(Attributes const& request) = 0;
};

// Connects when first asked, and once more when proxymap has closed an idle connection meanwhile.
class StockConnection final : public Stock {
  public:
    // address: "unix:/var/spool/postfix/private/proxymap"; empty: every table is refused.
    explicit StockConnection(std::string address) : address_(std::move(address)) {}
    Result<Attributes> ask(Attributes const& request) override;

  private:
    Result<Attributes> exchange(Attributes const& request, Deadline deadline);

    std::string address_;
    std::optional<net::Stream> stream_;
    AttributeDecoder decoder_;
};

// One lookup on a connection of its own; for tables in domain lists.
Result<Answer> stock_lookup(Stock& stock, std::string const& table, std::string_view key);

} // namespace postern::sql_maps
