// An LMTP session: the same answers whole and in pieces, every line a reply, and copies only after a 250.
#include "lmtp-deliver/session.h"

#include "common/base/text.h"
#include "tests/fuzz/fuzz.h"

#include <algorithm>
#include <string>

using namespace postern;
using namespace postern::lmtp_deliver;

namespace {

class AnyUser final : public Users {
  public:
    Result<std::optional<User>> find(std::string_view name, Origin const&) override {
        if (name.contains("down")) return temporary("away");
        if (name.contains("nobody")) return std::nullopt;
        User user;
        user.name = name;
        return user;
    }
};

class Counting final : public Delivery {
  public:
    std::size_t copies = 0;
    std::string messages;

    std::optional<Outcome> refusal(Destination const&) override { return std::nullopt; }
    std::vector<Outcome> deliver(Spool& message, std::span<Destination const> destinations) override {
        FUZZ_REQUIRE(!destinations.empty());
        copies += destinations.size();
        FUZZ_REQUIRE(message.read([&](std::string_view octets) {
            messages += octets;
            return Result<>();
        }));
        return std::vector<Outcome>(destinations.size(), Outcome{Outcome::Kind::saved, ""});
    }
};

struct Run {
    std::string replies;
    std::string messages;
    std::size_t copies = 0;

    bool operator==(Run const&) const = default;
};

Run run(std::string_view bytes, std::size_t piece) {
    AnyUser users;
    Counting delivery;
    Concurrency concurrency;
    NullLog log;
    Metrics metrics;
    SessionContext context{users,
                           delivery,
                           concurrency,
                           log,
                           metrics,
                           [] { return std::int64_t{0}; },
                           [] { return std::string(22, 'x'); }};
    auto const settings = std::make_shared<SessionSettings>();
    settings->spool.memory = 100000000;
    settings->max_message_size = 5000;
    Session session(settings, context, {"unix", 0, "", 0, {}});
    Run out{session.greeting(), "", 0};
    while (!bytes.empty() && !session.finished()) {
        auto const part = bytes.substr(0, piece);
        bytes.remove_prefix(part.size());
        auto const answer = session.receive(part);
        FUZZ_REQUIRE(answer);
        out.replies += *answer;
    }
    out.messages = delivery.messages;
    out.copies = delivery.copies;
    return out;
}

void check_replies(Run const& all) {
    FUZZ_REQUIRE(all.replies.ends_with("\r\n"));
    std::size_t saved = 0;
    for (auto const line : split(std::string_view(all.replies).substr(0, all.replies.size() - 1), '\n')) {
        FUZZ_REQUIRE(line.ends_with('\r') && line.size() > 4);
        FUZZ_REQUIRE(line[0] >= '2' && line[0] <= '5' && is_digit(line[1]) && is_digit(line[2]));
        FUZZ_REQUIRE(line[3] == ' ' || line[3] == '-');
        if (line.ends_with(" Saved\r")) ++saved;
    }
    // One reply for each recipient; the same address twice shares a copy.
    FUZZ_REQUIRE(saved >= all.copies && (saved == 0) == (all.copies == 0));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* octets, std::size_t size) {
    auto const text = as_text(octets, size);
    auto const whole = run(text, std::string_view::npos);
    check_replies(whole);
    for (std::size_t const piece : {1, 3, 64}) FUZZ_REQUIRE(run(text, piece) == whole);
    return 0;
}
