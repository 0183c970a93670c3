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

std::string data_path(std::string_view name) {
    auto const* const source = std::getenv("POSTERN_SOURCE");
    return fmt::format("{}/tests/data/policyd-spf/{}", source == nullptr ? "." : source, name);
}

std::string data_file(std::string_view name) {
    std::ifstream file(data_path(name));
    std::stringstream text;
    text << file.rdbuf();
    REQUIRE_FALSE(text.str().empty());
    return text.str();
}

// Behind "SPF Temporary Error: DNS " stand the words of the DNS library, which are not ours.
std::string without_dns_words(std::string_view text) {
    constexpr std::string_view begin = "SPF Temporary Error: DNS ";
    std::string out(text);
    for (auto from = out.find(begin); from != std::string::npos; from = out.find(begin, from + 1)) {
        auto to = out.size();
        for (auto const* end : {". Please see", ") identity", ") smtp.", "', '"})
            to = std::min(to, out.find(end, from));
        out.erase(from + begin.size(), to - from - begin.size());
    }
    return out;
}

Exchange read_case(std::string_view block) {
    Exchange out;
    for (auto const line : split(block, '\n')) {
        auto const [kind, value] = halve(line, ' ');
        if (kind == "conf")
            out.configuration +=
                replace_all(value.value_or(""), "text,per_user.txt", "text," + data_path("per_user.txt")) +
                "\n";
        if (kind == "ask")
            out.input += replace_all(value.value_or(""), "|", "\n") + (value->empty() ? "\n" : "\n\n");
        if (kind == "answer") out.answers.emplace_back(value.value_or(""));
        if (kind == "log") out.log.push_back(without_dns_words(value.value_or("")));
    }
    return out;
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

// Lines of ours that stock has nothing like.
bool is_our_own(std::string_view line) {
    return line.starts_with("spfcheck: void_limit=") || line.contains("is a private address and fails SPF");
}

std::vector<std::string> log_of(test::PolicyBench const& bench) {
    std::vector<std::string> out;
    for (auto const& line : bench.log.lines())
        if (!is_our_own(line.text))
            out.push_back(
                without_dns_words(replace_all(line.text, data_path("per_user.txt"), "per_user.txt")));
    return out;
}

} // namespace

TEST_CASE("answers, and log lines at every debugLevel, are those of python policyd-spf, byte for byte") {
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
        CHECK(log_of(bench) == exchange.log);
        for (auto const* expected :
             {"WARNING: Deprecated Config Option defaultSeedOnly", "ERROR: Unknown name", "ERROR stating",
              "is a private address and fails SPF"})
            bench.log.expect(expected);
        ++cases;
    }
    CHECK(cases == 426);
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
