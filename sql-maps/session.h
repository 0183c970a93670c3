// One client's connection: proxymap, socketmap or tcp_table.
#pragma once

#include "common/net/server.h"
#include "sql-maps/maps.h"
#include "sql-maps/proxymap.h"
#include "sql-maps/search.h"
#include "sql-maps/socketmap.h"
#include "sql-maps/stock.h"
#include "sql-maps/tcp_table.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

namespace postern::sql_maps {

// How a session asks; tests put their own in its place. Any error means "could not be found out".
using TableLookup = std::function<Result<Answer>(std::string_view table, std::string_view key)>;

// "map_NAME = pgsql:/etc/postfix/x.cf class": a table for socketmap and tcp_table clients.
struct NamedMap {
    std::string table;
    MapClass map_class = MapClass::plain;
};
using NamedMaps = std::map<std::string, NamedMap, std::less<>>;

struct LookupRequest {
    std::string table;
    std::string key;
};

// Postfix's proxymap protocol.
class ProxymapSession final : public net::Session {
  public:
    // greets: Postfix 3.6 and later wait for a line, older ones do not know it. maps: whom the caller of
    // take() is to ask; absent: take() asks by itself.
    ProxymapSession(TableLookup lookup, std::unique_ptr<Stock> stock, bool greets, Log& log,
                    std::shared_ptr<Maps> maps = nullptr)
        : lookup_(std::move(lookup)), stock_(std::move(stock)), greets_(greets), log_(log),
          maps_(std::move(maps)) {}

    std::string greeting() override;
    Result<std::string> receive(std::string_view bytes) override;
    // As receive(), but a single lookup in an SQL table is left to the caller, who has the answer sent by
    // lookup_reply().
    Result<std::variant<std::string, LookupRequest>> take(std::string_view bytes);
    static std::string lookup_reply(Result<Answer> const& answer);
    std::shared_ptr<Maps> maps() const { return maps_; }

  private:
    Result<std::string> reply_to(Attributes const& request);
    std::string sql_reply(std::string_view what, Attributes const& request) const;
    Result<std::string> stock_reply(std::string_view what, Attributes const& request);

    TableLookup lookup_;
    std::unique_ptr<Stock> stock_;
    bool greets_;
    Log& log_;
    std::shared_ptr<Maps> maps_;
    AttributeDecoder decoder_;
};

// Folds the key and searches partial keys as the map's class says.
class NamedLookup {
  public:
    NamedLookup(TableLookup lookup, std::shared_ptr<NamedMaps const> maps, SearchRules rules)
        : lookup_(std::move(lookup)), maps_(std::move(maps)), rules_(std::move(rules)) {}
    Result<Answer> operator()(std::string_view name, std::string_view key) const;

  private:
    TableLookup lookup_;
    std::shared_ptr<NamedMaps const> maps_;
    SearchRules rules_;
};

class SocketmapSession final : public net::Session {
  public:
    SocketmapSession(NamedLookup lookup, Log& log) : lookup_(std::move(lookup)), log_(log) {}
    Result<std::string> receive(std::string_view bytes) override;

  private:
    std::string reply_to(std::string_view request) const;

    NamedLookup lookup_;
    Log& log_;
    NetstringDecoder decoder_;
};

class TcpTableSession final : public net::Session {
  public:
    // map: the one that this listener serves; the protocol has no name for it.
    TcpTableSession(NamedLookup lookup, std::string map) : lookup_(std::move(lookup)), map_(std::move(map)) {}
    Result<std::string> receive(std::string_view bytes) override;

  private:
    std::string reply_to(std::string_view line) const;

    NamedLookup lookup_;
    std::string map_;
    LineDecoder decoder_;
};

} // namespace postern::sql_maps
