// The three protocols' bytes: whole, in pieces, at their limits, and broken.
#include "sql-maps/proxymap.h"
#include "sql-maps/session.h"
#include "sql-maps/socketmap.h"
#include "sql-maps/tcp_table.h"

#include "common/base/text.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/replay.h"
#include "tests/unit/support/test_log.h"

#include <map>

using namespace postern;
using namespace postern::sql_maps;

namespace {

// NULs as '|', so that transcripts can be read.
std::string wire(std::string_view shown) { return replace_all(shown, "|", std::string(1, '\0')); }
std::string shown(std::string_view bytes) { return replace_all(bytes, std::string_view("\0", 1), "|"); }

// A table in memory: keys of every table; "down" cannot be asked.
struct Table {
    std::map<std::string, std::string, std::less<>> rows{{"alice@example.com", "a1@x"}, {"empty", ""}};
    std::vector<std::string> asked;

    TableLookup lookup() {
        return [this](std::string_view table, std::string_view key) -> Result<Answer> {
            asked.push_back(std::string(table) + " " + std::string(key));
            if (key == "down") return temporary("no database host answers");
            if (key == "refused") return permanent("syntax error");
            auto const found = rows.find(key);
            return found == rows.end() ? Answer() : Answer(found->second);
        };
    }
};

struct FakeStock final : Stock {
    explicit FakeStock(ErrorKind kind, std::vector<Attributes>* seen) : kind_(kind), seen_(seen) {}
    Result<Attributes> ask(Attributes const& request) override {
        seen_->push_back(request);
        if (kind_ != ErrorKind::malformed) return std::unexpected(Error{kind_, "away"});
        return Attributes{{"status", "0"}, {"value", "from stock"}};
    }
    ErrorKind kind_; // malformed: answers
    std::vector<Attributes>* seen_;
};

struct Proxymap {
    Table table;
    test::TestLog log;
    std::vector<Attributes> passed_on;
    ErrorKind stock = ErrorKind::malformed;
    bool greets = true;

    test::MakeSession make() {
        return [this] {
            return std::make_unique<ProxymapSession>(
                table.lookup(), std::make_unique<FakeStock>(stock, &passed_on), greets, log);
        };
    }
    std::string talk(std::string_view request) {
        return shown(test::replay_in_all_pieces(make(), wire(request)));
    }
};

NamedLookup named(Table& table) {
    auto const maps = std::make_shared<NamedMaps const>(
        NamedMaps{{"va", {"pgsql:/va.cf", MapClass::rewriting}}, {"p", {"sqlite:/p.cf", MapClass::plain}}});
    return {table.lookup(), maps, SearchRules{"+", {}}};
}

std::string socketmap(Table& table, test::TestLog& log, std::string_view request) {
    return test::replay_in_all_pieces([&] { return std::make_unique<SocketmapSession>(named(table), log); },
                                      request);
}

std::string tcp_table(Table& table, std::string_view request) {
    return test::replay_in_all_pieces([&] { return std::make_unique<TcpTableSession>(named(table), "va"); },
                                      request);
}

} // namespace

TEST_CASE("A proxymap client opens a table, finds a key, and does not find another") {
    Proxymap server;
    CHECK(server.talk("request|open|table|pgsql:/etc/postfix/va.cf|flags|0||"
                      "request|lookup|table|pgsql:/etc/postfix/va.cf|flags|524353|key|alice@example.com||"
                      "request|lookup|table|pgsql:/etc/postfix/va.cf|flags|524353|key|bob||") ==
          "protocol|proxymap_protocol||status|0|flags|16||status|0|value|a1@x||status|1|value|||");
    CHECK(server.table.asked.front() == "pgsql:/etc/postfix/va.cf alice@example.com");
}

TEST_CASE("Older Postfix gets no greeting, and requested flags come back with FIXED") {
    Proxymap server;
    server.greets = false;
    CHECK(server.talk("request|open|table|sqlite:/x|flags|524288||") == "status|0|flags|524304||");
}

TEST_CASE("What could not be found out is a retry, never not found") {
    Proxymap server;
    server.greets = false;
    CHECK(server.talk("request|lookup|table|mysql:/x|flags|64|key|down||") == "status|2|value|||");
    CHECK(server.talk("request|lookup|table|mysql:/x|flags|64|key|refused||") == "status|2|value|||");
    server.table.rows["nul"] = std::string("a\0b", 3);
    CHECK(server.talk("request|lookup|table|mysql:/x|flags|64|key|nul||") == "status|2|value|||");
}

TEST_CASE("Updates of SQL tables are refused with the attributes that the client waits for") {
    Proxymap server;
    server.greets = false;
    CHECK(server.talk("request|update|table|pgsql:/x|flags|0|key|k|value|v||") == "status|3||");
    CHECK(server.talk("request|delete|table|pgsql:/x|flags|0|key|k||") == "status|3||");
    CHECK(server.talk("request|sequence|table|pgsql:/x|flags|0|function|0||") == "status|3|key||value|||");
    CHECK(server.talk("request|nonsense||") == "status|3||");
    CHECK(server.talk("||") == "status|3||status|3||");
    CHECK(server.talk("request|open|table|pgsql:/x|flags|x||") == "status|3|flags|0||");
    CHECK(server.log.expect("request=update table=pgsql:/x refused"));
    CHECK(server.log.expect("request=delete"));
    CHECK(server.log.expect("request=sequence"));
    CHECK(server.log.expect("unrecognized request"));
}

TEST_CASE("Tables of other kinds are passed on whole") {
    Proxymap server;
    server.greets = false;
    CHECK(server.talk("request|lookup|table|unix:passwd.byname|flags|64|key|root||") ==
          "status|0|value|from stock||");
    CHECK(
        server.passed_on.front() ==
        Attributes{{"request", "lookup"}, {"table", "unix:passwd.byname"}, {"flags", "64"}, {"key", "root"}});
    CHECK(server.table.asked.empty());
}

TEST_CASE("Without a stock proxymap other tables are denied; while it is away the connection closes") {
    Proxymap server;
    server.greets = false;
    server.stock = ErrorKind::permanent;
    CHECK(server.talk("request|open|table|unix:passwd.byname|flags|0||") == "status|4|flags|0||");
    server.stock = ErrorKind::temporary;
    CHECK(server.talk("request|open|table|unix:passwd.byname|flags|0||") == "<closed>");
    CHECK(server.log.expect("table=unix:passwd.byname cannot be passed on: away"));
}

TEST_CASE("A proxymap request ends at its limit and not one octet past it") {
    auto const list = [](std::size_t size) {
        std::string out("key\0", 4);
        out += std::string(size - out.size() - 2, 'x');
        return out + std::string(2, '\0');
    };
    AttributeDecoder at_limit;
    at_limit.feed(list(AttributeDecoder::max_list));
    CHECK((*at_limit.next())->size() == 1);
    AttributeDecoder past;
    past.feed(list(AttributeDecoder::max_list + 1));
    CHECK(!past.next());
    AttributeDecoder endless;
    endless.feed(std::string(AttributeDecoder::max_list + 1, 'x'));
    CHECK(!endless.next());
    auto const many = [](std::size_t count) {
        Attributes all(count, {"n", "v"});
        AttributeDecoder decoder;
        decoder.feed(encode(all));
        return decoder.next().has_value();
    };
    CHECK(many(AttributeDecoder::max_attributes));
    CHECK(!many(AttributeDecoder::max_attributes + 1));
}

TEST_CASE("A proxymap client may vanish at any octet") {
    Proxymap server;
    test::replay_cut_off(server.make(),
                         wire("request|lookup|table|pgsql:/x|flags|64|key|alice@example.com||"));
    CHECK(server.table.asked.size() == 1);
}

TEST_CASE("Socketmap answers with found, not found and temporary") {
    Table table;
    test::TestLog log;
    CHECK(socketmap(table, log, "20:va Alice@Example.com,7:va down,") ==
          "7:OK a1@x,36:TEMP the database could not be asked,");
    CHECK(socketmap(table, log, "8:p nobody,") == "9:NOTFOUND ,");
    CHECK(socketmap(table, log, "7:p empty,") == "9:NOTFOUND ,");
    CHECK(socketmap(table, log, "9:p refused,") == "36:TEMP the database could not be asked,");
    table.rows["k with space"] = "v";
    CHECK(socketmap(table, log, "14:p K with space,") == "4:OK v,");
    CHECK(socketmap(table, log, "9:nosuch k,").empty());
}

TEST_CASE("Socketmap refuses unknown maps and what is no netstring") {
    Table table;
    test::TestLog log;
    CHECK(socketmap(table, log, "8:nosuch k,") == "16:PERM unknown map,");
    CHECK(log.expect("map=nosuch is not configured: add map_nosuch"));
    CHECK(socketmap(table, log, "2:va,") == "49:PERM a request is a map's name, a blank and a key,");
    CHECK(socketmap(table, log, "x") == "<closed>");
    CHECK(socketmap(table, log, ":") == "<closed>");
    CHECK(socketmap(table, log, "3:p kX") == "<closed>");
    CHECK(socketmap(table, log, "1000000:") == "<closed>");
    CHECK(socketmap(table, log, "0:,") == "49:PERM a request is a map's name, a blank and a key,");
}

TEST_CASE("A socketmap request and reply end at their limits") {
    NetstringDecoder at_limit;
    at_limit.feed(netstring(std::string(NetstringDecoder::max_request, 'x')));
    CHECK((*at_limit.next())->size() == NetstringDecoder::max_request);
    NetstringDecoder past;
    past.feed("100001:");
    CHECK(!past.next());
    CHECK(socketmap_reply(Answer(std::string(99'997, 'x'))).starts_with("100000:OK xxx"));
    CHECK(socketmap_reply(Answer(std::string(99'998, 'x'))) == "27:TEMP the answer is too long,");
}

TEST_CASE("tcp_table quotes, answers and refuses") {
    Table table;
    table.rows["a b%@x"] = "val ue%\xc3\xbc";
    CHECK(tcp_table(table, "get alice@example.com\n") == "200 a1@x\n");
    CHECK(tcp_table(table, "get a%20b%25@x\n") == "200 val%20ue%25%C3%BC\n");
    CHECK(tcp_table(table, "get a b%25@x\n") == "200 val%20ue%25%C3%BC\n");
    CHECK(tcp_table(table, "get nobody\nget down\n") ==
          "500 not%20found\n400 the%20database%20could%20not%20be%20asked\n");
    CHECK(tcp_table(table, "put a b\n") == "500 only%20get%20is%20known\n");
    CHECK(tcp_table(table, "get %4\n") == "500 bad%20quoting\n");
    CHECK(tcp_table(table, "get %zz\n") == "500 bad%20quoting\n");
}

TEST_CASE("tcp_table requests and replies end at 4096 octets") {
    LineDecoder at_limit;
    at_limit.feed(std::string(max_tcp_line - 1, 'x') + "\n");
    CHECK((*at_limit.next())->size() == max_tcp_line - 1);
    LineDecoder past;
    past.feed(std::string(max_tcp_line, 'x') + "\n");
    CHECK(!past.next());
    LineDecoder endless;
    endless.feed(std::string(max_tcp_line + 1, 'x'));
    CHECK(!endless.next());
    CHECK(tcp_reply(Answer(std::string(max_tcp_line - 5, 'x'))).size() == max_tcp_line);
    CHECK(tcp_reply(Answer(std::string(max_tcp_line - 4, 'x'))) == "400 the%20answer%20is%20too%20long\n");
}

TEST_CASE("A key with a NUL is not found and asks nobody") {
    Table table;
    test::TestLog log;
    CHECK(socketmap(table, log, std::string("5:p a\0b,", 8)) == "9:NOTFOUND ,");
    CHECK(table.asked.empty());
}
