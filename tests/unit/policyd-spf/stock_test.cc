// Transcripts of python policyd-spf against ours: the same answers, and its log lines in its order.
#include "tests/unit/support/catch.h"

#include "common/base/text.h"
#include "tests/unit/policyd-spf/bench.h"

#include <fstream>
#include <sstream>

using namespace postern;

namespace {

struct Exchange {
    std::string configuration;
    std::string input;
    std::vector<std::string> answers;
    std::vector<std::string> log;
};

std::string data_file(std::string_view name) {
    auto const* const source = std::getenv("POSTERN_SOURCE");
    std::ifstream file(fmt::format("{}/tests/data/policyd-spf/{}", source == nullptr ? "." : source, name));
    std::stringstream text;
    text << file.rdbuf();
    REQUIRE_FALSE(text.str().empty());
    return text.str();
}

Exchange read_case(std::string_view block) {
    Exchange out;
    for (auto const line : split(block, '\n')) {
        auto const [kind, value] = halve(line, ' ');
        if (kind == "conf") out.configuration += std::string(value.value_or("")) + "\n";
        if (kind == "ask")
            out.input += replace_all(value.value_or(""), "|", "\n") + (value->empty() ? "\n" : "\n\n");
        if (kind == "answer") out.answers.emplace_back(value.value_or(""));
        if (kind == "log") out.log.emplace_back(value.value_or(""));
    }
    return out;
}

// Behind "SPF Temporary Error: DNS " stand the words of the DNS library, which are not ours.
std::string without_dns_words(std::string_view text) {
    constexpr std::string_view begin = "SPF Temporary Error: DNS ";
    std::string out(text);
    auto const from = out.find(begin);
    if (from == std::string::npos) return out;
    auto to = out.size();
    for (auto const* end : {". Please see", ") identity", ") smtp.", "', '"})
        to = std::min(to, out.find(end, from));
    return out.erase(from + begin.size(), to - from - begin.size());
}

std::vector<std::string> answers_in(std::string const& replies) {
    std::vector<std::string> out;
    std::string_view rest = replies;
    while (!rest.empty()) {
        auto const end = rest.find("\n\n");
        REQUIRE(end != std::string_view::npos);
        out.push_back(without_dns_words(rest.substr(0, end).substr(7)));
        rest.remove_prefix(end + 2);
    }
    return out;
}

bool contains_in_order(std::vector<test::TestLog::Line> const& ours, std::vector<std::string> const& stock) {
    std::size_t found = 0;
    for (auto const& line : ours)
        if (found < stock.size() && without_dns_words(line.text) == without_dns_words(stock[found])) ++found;
    return found == stock.size();
}

} // namespace

TEST_CASE("answers and log lines are those of python policyd-spf, byte for byte") {
    auto const zone = data_file("zone.txt");
    auto const text = data_file("stock.txt");
    int cases = 0;
    std::string_view rest = text;
    for (auto at = rest.find("\ncase "); at != std::string_view::npos; at = rest.find("\ncase ")) {
        rest.remove_prefix(at + 1);
        auto const block = rest.substr(0, rest.find("\n\ncase "));
        INFO(block);
        auto exchange = read_case(block);
        for (auto& answer : exchange.answers) answer = without_dns_words(answer);
        test::PolicyBench bench(zone, exchange.configuration);
        bench.resolver.zone.fail("down.example");
        CHECK(answers_in(bench.all(exchange.input)) == exchange.answers);
        INFO("our log: " << bench.log.all());
        CHECK(contains_in_order(bench.log.lines(), exchange.log));
        ++cases;
    }
    CHECK(cases == 186);
}

TEST_CASE("the sample configuration is the table of settings") {
    auto const* const source = std::getenv("POSTERN_SOURCE");
    std::ifstream file(
        fmt::format("{}/policyd-spf/policyd-spf.conf.sample", source == nullptr ? "." : source));
    std::stringstream text;
    text << file.rdbuf();
    CHECK(policyd_spf::parse_settings(text.str(), "sample").problems.empty());
    CHECK(text.str().ends_with(config::defaults_text(config::default_rows(policyd_spf::settings_table()),
                                                     config::FileStyle::assignments)));
}
