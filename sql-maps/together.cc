// Turns to groups, groups to batches, and back.
#include "sql-maps/together.h"

#include "sql-maps/maps.h"
#include "sql-maps/session.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace postern::sql_maps {

namespace {

ProxymapSession& session_of(net::Crowd::Turn const& turn) {
    return static_cast<ProxymapSession&>(turn.session()); // the crowd has no others
}

// A client whose lookup is on its way.
struct Waiting {
    net::Crowd::Turn turn;
    std::shared_ptr<Maps> maps;
    std::shared_ptr<Map const> map;
    LookupRequest request;
    std::optional<Asking> asking = {}; // absent: goes alone, and was not begun

    void finish(Result<sql::Rows> const& rows) { reply(map->finish(*asking, rows)); }
    void reply(Result<Answer> const& answer) {
        maps->tell_failure(request.table, request.key, answer);
        turn.answer(ProxymapSession::lookup_reply(answer));
    }
};

void ask_alone(Waiting waiting);

class Replies final : public sql::Answers {
  public:
    Replies(std::vector<Waiting>& waiting, net::Crowd& crowd) : waiting_(waiting), crowd_(crowd) {}
    void answer(std::size_t which, Result<sql::Rows> rows) override {
        if (!rows) waiting_[which].map->went({}, false);
        waiting_[which].finish(rows);
    }
    void take_back(std::vector<std::size_t> which) override {
        for (auto const each : which)
            crowd_.hand_over(
                [waiting = std::move(waiting_[each])]() mutable { ask_alone(std::move(waiting)); });
    }

  private:
    std::vector<Waiting>& waiting_;
    net::Crowd& crowd_;
};

// Those of one call, and to whom they go.
class Together {
  public:
    explicit Together(net::Crowd& crowd) : crowd_(crowd) {}
    void answer(std::vector<net::Crowd::Turn> turns);

  private:
    struct OpenTable {
        Maps* maps;
        std::string name;
        Result<std::shared_ptr<Map const>> map;
    };
    Result<std::shared_ptr<Map const>> const& open(Maps& maps, std::string const& table);
    void sort(net::Crowd::Turn turn);
    void add(Waiting waiting);

    net::Crowd& crowd_;
    std::vector<OpenTable> tables_;
    std::vector<std::vector<Waiting>> groups_; // each for one pool, or of one lookup that goes alone
};

void ask(std::vector<Waiting> waiting, net::Crowd& crowd);

void Together::answer(std::vector<net::Crowd::Turn> turns) {
    for (auto& turn : turns) sort(std::move(turn));
    // The others first: this thread may be away for long.
    for (std::size_t i = 1; i < groups_.size(); ++i)
        crowd_.hand_over(
            [group = std::move(groups_[i]), &crowd = crowd_]() mutable { ask(std::move(group), crowd); });
    if (!groups_.empty()) ask(std::move(groups_.front()), crowd_);
}

// What needs no database is answered here.
void Together::sort(net::Crowd::Turn turn) {
    auto& session = session_of(turn);
    auto taken = session.take(turn.bytes());
    if (!taken) return turn.answer(std::unexpected(std::move(taken).error()));
    if (auto* const reply = std::get_if<std::string>(&*taken)) return turn.answer(std::move(*reply));
    auto maps = session.maps();
    auto& request = std::get<LookupRequest>(*taken);
    auto const& map = open(*maps, request.table);
    Waiting waiting{std::move(turn), std::move(maps), map ? *map : nullptr, std::move(request)};
    if (!map) return waiting.reply(std::unexpected(map.error()));
    if (waiting.map->goes_together()) {
        auto begun = waiting.map->begin(waiting.request.key, waiting.maps->lookup_deadline());
        if (auto* const answer = std::get_if<Result<Answer>>(&begun)) return waiting.reply(*answer);
        waiting.asking = std::move(std::get<Asking>(begun));
    }
    add(std::move(waiting));
}

void Together::add(Waiting waiting) {
    auto const same_pool = [&](std::vector<Waiting> const& group) {
        return group.front().asking && &group.front().map->pool() == &waiting.map->pool();
    };
    auto group = waiting.asking ? std::ranges::find_if(groups_, same_pool) : groups_.end();
    if (group == groups_.end()) group = groups_.emplace(groups_.end());
    group->push_back(std::move(waiting));
}

// Each table's file is looked at once, however many ask.
Result<std::shared_ptr<Map const>> const& Together::open(Maps& maps, std::string const& table) {
    for (auto const& known : tables_)
        if (known.maps == &maps && known.name == table) return known.map;
    return tables_.emplace_back(&maps, table, maps.open(table)).map;
}

void ask(std::vector<Waiting> waiting, net::Crowd& crowd) {
    if (waiting.size() == 1) return ask_alone(std::move(waiting.front()));
    std::vector<sql::Query> queries;
    for (auto const& each : waiting) {
        auto const& [statement, values] = each.asking->bound;
        queries.push_back({&statement, values, each.asking->deadline});
    }
    Replies replies(waiting, crowd);
    waiting.front().map->pool().query_all(queries, replies);
}

void ask_alone(Waiting waiting) {
    auto const begun = Deadline::Clock::now();
    if (!waiting.asking)
        return waiting.reply(waiting.map->lookup(waiting.request.key, waiting.maps->lookup_deadline()));
    auto const& [statement, values] = waiting.asking->bound;
    auto const rows = waiting.map->pool().query(statement, values, waiting.asking->deadline);
    waiting.map->went(Deadline::Clock::now() - begun, rows.has_value());
    waiting.finish(rows);
}

} // namespace

void answer_together(net::Crowd& crowd, std::vector<net::Crowd::Turn> turns) {
    Together(crowd).answer(std::move(turns));
}

} // namespace postern::sql_maps
