// The HistoryFile block, and that nothing is lost on its way into the file.
#include "milter-dmarc/history.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/temp_dir.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cstdio>
#include <thread>

using namespace postern;
using namespace postern::milter_dmarc;

namespace {

HistoryEntry entry() {
    HistoryEntry entry;
    entry.job_id = "4ABC";
    entry.reporter = "mx.example";
    entry.received = 1795132800;
    entry.author = "news.shop.example";
    entry.envelope = {"h", "2001:db8::25", "helo", "b@b.example", "b.example"};
    entry.identities.spf = SpfIdentity{"softfail", "b.example"};
    entry.identities.dkim = {{"pass", "d.example", "s1"}, {"fail", "e.example", ""}};
    entry.evaluation.result = DmarcResult::fail;
    entry.evaluation.found = FoundRecord{
        "shop.example",
        *parse_record(
            "v=DMARC1; p=reject; sp=quarantine; adkim=s; rua=mailto:a@x.example,mailto:b@x.example"),
        Method::psl,
        {}};
    entry.evaluation.policy = Policy::quarantine;
    entry.action = Action::quarantine;
    return entry;
}

} // namespace

TEST_CASE("a block has OpenDMARC's lines and numbers") {
    CHECK(history_text(entry()) ==
          "job 4ABC\nreporter mx.example\nreceived 1795132800\nipaddr 2001:db8::25\n"
          "from news.shop.example\nmfrom b.example\ndkim d.example s1 0\ndkim e.example - 7\n"
          "spf 2\npdomain shop.example\npolicy 17\nrua mailto:a@x.example\nrua mailto:b@x.example\n"
          "pct 100\nadkim 115\naspf 114\np 114\nsp 113\nalign_dkim 5\nalign_spf 5\n"
          "arc 7\narc_policy 2 json:[]\naction 4\n");
}

TEST_CASE("a message of a domain without record is written down as that") {
    HistoryEntry none;
    none.author = "a.example";
    CHECK(history_text(none) ==
          "job -\nreporter -\nreceived 0\nipaddr -\nfrom a.example\nmfrom -\nspf -1\npdomain a.example\n"
          "policy 14\nrua -\npct 100\nadkim 0\naspf 0\np 0\nsp 0\nalign_dkim 5\nalign_spf 5\narc 7\n"
          "arc_policy 2 json:[]\naction 2\n");
}

TEST_CASE("a stranger's text cannot begin a line of its own") {
    auto forged = entry();
    forged.identities.dkim = {{"pass", "d.example", "s1 0\njob X"}};
    CHECK(history_text(forged).contains("dkim d.example s1?0?job?X 0\n"));
}

TEST_CASE("blocks of many threads arrive whole, also while the importer moves the file away") {
    test::TempDir const directory;
    auto const path = directory.path("history");
    auto const block = history_text(entry());
    {
        std::vector<std::jthread> writers;
        for (int i = 0; i < 4; ++i)
            writers.emplace_back([&] {
                for (int j = 0; j < 50; ++j)
                    if (!append_history(path, block, Deadline::after(std::chrono::seconds(30)))) std::abort();
            });
        for (int i = 0; i < 5; ++i) {
            std::rename(path.c_str(), directory.path("moved" + std::to_string(i)).c_str());
            std::this_thread::yield();
        }
    }
    std::string all;
    for (auto const* name : {"history", "moved0", "moved1", "moved2", "moved3", "moved4"})
        if (std::filesystem::exists(directory.path(name))) all += directory.read(name);
    CHECK(all.size() == block.size() * 200);
    std::size_t blocks = 0;
    for (std::size_t at = 0; all.compare(at, block.size(), block) == 0 && at < all.size(); at += block.size())
        ++blocks;
    CHECK(blocks == 200);
}

TEST_CASE("a history that cannot be written is a temporary failure") {
    test::TempDir const directory;
    auto const text = history_text(entry());
    auto const missing = append_history(directory.path("no/such/dir"), text, Deadline::never());
    REQUIRE_FALSE(missing);
    CHECK(missing.error().kind == ErrorKind::temporary);
    CHECK_FALSE(append_history("/dev/full", text, Deadline::never()));

    auto const path = directory.write("locked", "");
    int const other = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    REQUIRE(::flock(other, LOCK_EX) == 0);
    CHECK_FALSE(append_history(path, text, Deadline::after(std::chrono::milliseconds(20))));
    ::close(other);
    CHECK(append_history(path, text, Deadline::never()));
    CHECK(directory.read("locked") == text);
}
