// A whole connection with a stranger's DNS: up to the first NUL the record and explanation, then the
// requests.
#include "policyd-spf/session.h"

#include "common/base/text.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/support/fake_resolver.h"

#include <algorithm>
#include <string>

using namespace postern;
using namespace postern::policyd_spf;

namespace {

struct World {
    test::FakeResolver resolver;
    NullLog log;
    Metrics metrics;
    std::unique_ptr<spf::Engine> engine = spf::make_libspf2_engine();
    spf::Checker checker{resolver, *engine};
    std::shared_ptr<Settings const> settings;

    explicit World(std::string_view published) {
        resolver.zone.txt("f.example", published)
            .txt("why.example", published)
            .txt("inc.example", "v=spf1 a mx ?all")
            .a("inc.example", "192.0.2.1")
            .mx("f.example", 1, "inc.example")
            .ptr("192.0.2.1", "inc.example");
        settings = std::make_shared<Settings const>(
            parse_settings("HELO_reject = Fail\nPermError_reject = True\nskip_addresses = 127.0.0.1", "f")
                .settings);
    }
    std::string replies(std::string_view text, std::size_t piece) {
        Session session(settings, {resolver, checker, log, metrics});
        std::string out;
        while (!text.empty()) {
            auto answer = session.receive(text.substr(0, piece));
            text.remove_prefix(std::min(piece, text.size()));
            if (!answer) return out + session.farewell(answer.error()) + "<closed>";
            out += *answer;
        }
        return out;
    }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const input = as_text(data, size);
    auto const [published, requests] = halve(input, '\0');
    World world(published);
    // A request that the seeds need not spell.
    auto const text = "client_address=192.0.2.1\nhelo_name=h.example\nsender=u@f.example\ninstance=x\n\n" +
                      std::string(requests.value_or(""));
    auto const whole = world.replies(text, text.size());
    FUZZ_REQUIRE(whole == world.replies(text, 1));
    std::string_view rest = whole;
    if (rest.ends_with("<closed>")) rest.remove_suffix(8);
    while (!rest.empty()) {
        FUZZ_REQUIRE(rest.starts_with("action="));
        auto const end = rest.find("\n\n");
        FUZZ_REQUIRE(end != std::string_view::npos);
        FUZZ_REQUIRE(rest.substr(0, end).find('\n') == std::string_view::npos);
        rest.remove_prefix(end + 2);
    }
    return 0;
}
