// The auth client protocol where answers come late: between the client's lines jobs are done in any order,
// and time passes. No request ends twice, and none that the client has withdrawn.
#include "tests/fuzz/auth_peers.h"
#include "tests/fuzz/fuzz.h"

#include "common/base/text.h"

#include <algorithm>
#include <map>
#include <vector>

using namespace postern;
using namespace postern::auth_socket;

namespace {

constexpr std::size_t queue = 4; // jobs; more are refused

class Late final : public Executor {
  public:
    using Executor::submit;
    bool submit(std::string_view, std::unique_ptr<Job>&& job) override {
        if (jobs_.size() == queue) return false;
        jobs_.push_back(std::move(job));
        return true;
    }
    void run(std::size_t which) {
        if (jobs_.empty()) return;
        auto const at = jobs_.begin() + static_cast<std::ptrdiff_t>(which % jobs_.size());
        auto const job = std::move(*at);
        jobs_.erase(at);
        job->run();
    }

  private:
    std::vector<std::unique_ptr<Job>> jobs_;
};

// How many ends the client may still hear of each id.
class Book {
  public:
    void asked(std::string_view line) {
        auto const words = split(line, '\t');
        auto const id = words.size() > 1 ? request_id(words[1]) : std::nullopt;
        if (id && (words[0] == "AUTH" || words[0] == "CONT")) ++open_[*id]; // CONT: an unknown id is told so
    }
    void answered(std::string_view text) {
        for (auto const line : split(text, '\n')) {
            auto const words = split(line, '\t');
            if (words.size() < 2 || words[0] == "CONT") continue;
            FUZZ_REQUIRE(open_[request_id(words[1]).value()]-- > 0);
        }
    }

  private:
    std::map<std::uint32_t, int> open_;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    fuzz::World world;
    Late late;
    Deadline::Clock::time_point now{};
    TimeSource const clock = [&now] { return now; };
    Logins logins{clock};
    Penalties penalties{{}, clock};
    Surroundings surroundings{late, logins, penalties, world.log, clock, 1, world.ids, world.counts};
    ClientSettings settings;
    settings.mechanisms = {"PLAIN", "LOGIN", "DIGEST-MD5", "SCRAM-SHA-256", "EXTERNAL", "ANONYMOUS"};
    settings.user_from_certificate = settings.login_role = true;
    settings.mechanism.fixed_nonce = "nonce";
    settings.protocol_minor = 4;
    ClientSession session(settings, world.authority, surroundings, net::Waker());
    session.greeting();
    Book book;
    auto const feed = [&](Result<std::string> const& answer) {
        if (!answer) return false;
        FUZZ_REQUIRE(fuzz::are_lines(*answer, {"OK\t", "FAIL\t", "CONT\t", "CANCELLED\t"}));
        book.answered(*answer);
        return !session.finished();
    };
    // "#1" does a job, "+3" lets so many seconds pass; all else is the client's.
    auto const step = [&](std::string_view line) {
        if (line.starts_with('#')) {
            late.run(line.size() > 1 ? static_cast<unsigned char>(line[1]) : 0);
            return feed(session.wake());
        }
        if (line.starts_with('+')) {
            now += std::chrono::seconds(parse_number<std::uint8_t>(line.substr(1)).value_or(1));
            return feed(session.wake());
        }
        book.asked(line);
        return feed(session.receive(std::string(line) + "\n"));
    };
    if (!step("VERSION\t1\t4") || !step("CPID\t1")) return 0;
    for (auto const line : split(as_text(data, size), '\n'))
        if (!step(line)) return 0;
    for (std::size_t i = 0; i < queue; ++i) late.run(0);
    now += request_lifetime + std::chrono::seconds(1);
    if (feed(session.wake())) FUZZ_REQUIRE(!session.busy());
    return 0;
}
