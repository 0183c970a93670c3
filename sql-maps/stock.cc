// A client of proxymap(8).
#include "sql-maps/stock.h"

#include "common/base/text.h"

#include <fmt/format.h>

#include <array>

namespace postern::sql_maps {

namespace {

constexpr auto stock_timeout = std::chrono::seconds(60); // for one request

} // namespace

Result<Attributes> StockConnection::ask(Attributes const& request) {
    if (address_.empty()) return permanent("stock_proxymap is not set");
    auto const deadline = Deadline::after(stock_timeout);
    bool const was_open = stream_.has_value();
    auto reply = exchange(request, deadline);
    if (!reply && was_open && !deadline.expired()) {
        stream_.reset();
        reply = exchange(request, deadline);
    }
    if (!reply) {
        stream_.reset();
        return std::unexpected(std::move(reply).error().within("stock proxymap " + address_));
    }
    return reply;
}

Result<Attributes> StockConnection::exchange(Attributes const& request, Deadline deadline) {
    if (!stream_) {
        auto const address = net::parse_address(address_);
        if (!address) return std::unexpected(address.error());
        auto opened = net::connect(*address, deadline);
        if (!opened) return temporary(std::move(opened).error().text);
        stream_.emplace(std::move(*opened));
        decoder_ = {};
    }
    if (auto done = stream_->write(encode(request), deadline); !done) return temporary(done.error().text);
    std::array<char, 8192> buffer{};
    while (true) {
        auto list = decoder_.next();
        if (!list) return temporary(list.error().text);
        // Postfix 3.6 and later say hello first.
        if (*list && !(*list)->empty() && (*list)->front().first != "protocol") return std::move(**list);
        if (*list) continue;
        auto const size = stream_->read(buffer, deadline);
        if (!size) return temporary(size.error().text);
        decoder_.feed({buffer.data(), *size});
    }
}

Result<Answer> stock_lookup(Stock& stock, std::string const& table, std::string_view key) {
    auto const reply =
        stock.ask({{"request", "lookup"}, {"table", table}, {"flags", "64"}, {"key", std::string(key)}});
    if (!reply) return std::unexpected(reply.error());
    auto const status = parse_number<int>(value_of(*reply, "status"));
    if (status == static_cast<int>(ProxyStatus::ok)) return Answer(value_of(*reply, "value"));
    if (status == static_cast<int>(ProxyStatus::no_key)) return Answer();
    return temporary(fmt::format("the stock proxymap answers status {} for {}: is it in proxy_read_maps?",
                                 status.value_or(-1), table));
}

} // namespace postern::sql_maps
