// socketmap and tcp_table: whole equals split, every reply is one of the protocol's, quoting can be undone.
#include "sql-maps/session.h"

#include "tests/fuzz/fuzz.h"

#include <algorithm>
#include <string>

using namespace postern;
using namespace postern::sql_maps;

namespace {

NamedLookup lookup() {
    auto const table = [](std::string_view, std::string_view key) -> Result<Answer> {
        if (key.size() % 3 == 0) return temporary("away");
        return key.size() % 3 == 1 ? Answer() : Answer(std::string(key));
    };
    auto const maps = std::make_shared<NamedMaps const>(
        NamedMaps{{"a", {"pgsql:/a", MapClass::access}}, {"v", {"pgsql:/v", MapClass::rewriting}}});
    return {table, maps, SearchRules{"+-", {"local"}}};
}

std::string replies(net::Session&& session, std::string_view input, std::size_t piece) {
    std::string out;
    while (!input.empty()) {
        auto const answer = session.receive(input.substr(0, piece));
        if (!answer) return out + "!";
        out += *answer;
        input.remove_prefix(std::min(piece, input.size()));
    }
    return out;
}

// The replies before an error depend on where the pieces end; those without one do not.
void whole_equals_split(std::string const& whole, std::string const& split) {
    if (!whole.ends_with('!')) FUZZ_REQUIRE(split == whole);
}

void check_socketmap(std::string_view input) {
    NullLog log;
    auto const whole = replies(SocketmapSession(lookup(), log), input, input.size());
    whole_equals_split(whole, replies(SocketmapSession(lookup(), log), input, 1));
    NetstringDecoder decoder;
    decoder.feed(std::string_view(whole).substr(0, whole.size() - (whole.ends_with('!') ? 1 : 0)));
    auto reply = decoder.next();
    for (; reply && *reply; reply = decoder.next()) {
        constexpr std::string_view known[] = {"OK ", "NOTFOUND ", "TEMP ", "PERM "};
        FUZZ_REQUIRE(std::ranges::any_of(known, [&](auto word) { return (*reply)->starts_with(word); }));
        FUZZ_REQUIRE((*reply)->size() <= max_socketmap_reply && **reply != "OK ");
    }
    FUZZ_REQUIRE(reply);
}

void check_tcp_table(std::string_view input) {
    auto const whole = replies(TcpTableSession(lookup(), "v"), input, input.size());
    whole_equals_split(whole, replies(TcpTableSession(lookup(), "v"), input, 1));
    std::string_view left = whole;
    while (left.contains('\n')) {
        auto const line = left.substr(0, left.find('\n') + 1);
        FUZZ_REQUIRE(line.size() <= max_tcp_line && line.size() > 5 && line[3] == ' ');
        FUZZ_REQUIRE(line.starts_with("200") || line.starts_with("400") || line.starts_with("500"));
        left.remove_prefix(line.size());
    }
    FUZZ_REQUIRE(left.empty() || left == "!");
    FUZZ_REQUIRE(tcp_unquoted(tcp_quoted(input)) == std::string(input));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    check_socketmap(as_text(data, size));
    check_tcp_table(as_text(data, size));
    return 0;
}
