// Logins looked up together: what each of them comes to.
#include "auth-socket/password_job.h"
#include "auth-socket/users/cache.h"
#include "tests/unit/auth-socket/fixture.h"
#include "tests/unit/support/catch.h"

#include <set>
#include <stdexcept>

using namespace postern;
using namespace postern::auth_socket;
using namespace postern::auth_socket::test;
using namespace std::chrono_literals;

namespace {

// A database that answers several at once.
class Desk final : public Passdb {
  public:
    std::shared_ptr<MemoryUsers> users = std::make_shared<MemoryUsers>();
    std::set<std::string> held_up;            // users
    std::function<void()> afterwards = [] {}; // once these are told
    std::function<void()> meanwhile = [] {};  // before any answer arrives
    bool throws = false;
    mutable std::vector<std::string> together, alone; // who was asked for

    Result<std::vector<Fields>> lookup(Request const& request) const override {
        alone.push_back(request.user);
        return users->lookup(request);
    }
    std::optional<std::string> cache_key(Request const& request) const override { return request.user; }
    bool answers_together(Request const&) const override { return true; }
    void lookup_all(std::span<Request const* const> requests, Answers& answers) const override {
        if (throws) throw std::runtime_error("out of memory");
        std::vector<std::size_t> late;
        meanwhile();
        for (std::size_t i = 0; i < requests.size(); ++i) {
            together.push_back(requests[i]->user);
            if (held_up.contains(requests[i]->user))
                late.push_back(i);
            else
                answers.answer(i, users->lookup(*requests[i]));
        }
        if (late.empty()) return;
        answers.held_up(late);
        afterwards();
    }
};

struct Office {
    House house;
    std::shared_ptr<Desk> desk = std::make_shared<Desk>();
    std::shared_ptr<Passdb const> database = desk;
    std::map<std::string, Verdict> verdicts; // by the name the client gave
    std::vector<std::unique_ptr<Job>> jobs;
    std::vector<std::weak_ptr<Authority const>> authorities; // of each job

    Office() { desk->users->rows = house.users->rows; }

    void add(std::string const& user, std::string_view password) {
        auto const authority =
            std::make_shared<Authenticator>(AuthenticatorSettings{}, std::vector{passdb(database)},
                                            std::vector<ConfiguredUserdb>{}, house.hashing, house.log);
        authorities.push_back(authority);
        Request request;
        request.original_user = user;
        request.mechanism = "PLAIN";
        request.password = Secret(password);
        jobs.push_back(std::make_unique<PasswordJob>(
            authority, std::move(request), "", house.executor, house.log,
            [this, user](Request, Outcome outcome) {
                REQUIRE(verdicts.emplace(user, outcome.verdict).second); // once for each
            }));
    }
    void run() {
        auto const first = std::move(jobs.front());
        jobs.erase(jobs.begin());
        first->run_with(std::move(jobs));
        jobs.clear();
    }
};

} // namespace

TEST_CASE("what is right and quickly found out ends at once, the others go alone with what was found") {
    Office office;
    office.house.executor.at_once = false;
    office.add("Plain@example.com", "secret");
    office.add("plain@EXAMPLE.com", "wrong");
    office.add("alice@example.com", "secret"); // her hash is a slow one
    office.add("nobody@example.com", "secret");
    office.run();
    CHECK(office.verdicts == std::map<std::string, Verdict>{{"Plain@example.com", Verdict::ok}});
    CHECK(office.house.executor.keys ==
          std::vector<std::string>{"plain@EXAMPLE.com", "alice@example.com", "nobody@example.com"});
    office.house.executor.run();
    CHECK(office.verdicts == std::map<std::string, Verdict>{{"Plain@example.com", Verdict::ok},
                                                            {"plain@EXAMPLE.com", Verdict::password_mismatch},
                                                            {"alice@example.com", Verdict::ok},
                                                            {"nobody@example.com", Verdict::unknown_user}});
    CHECK(office.desk->together.size() == 4);
    CHECK(office.desk->alone.empty());
}

TEST_CASE("who is held up is asked alone, and the others do not wait for the end of it") {
    Office office;
    office.desk->held_up = {"alice@example.com"};
    std::map<std::string, Verdict> meanwhile;
    office.desk->afterwards = [&] { meanwhile = office.verdicts; };
    office.add("alice@example.com", "secret");
    office.add("plain@example.com", "secret");
    office.run();
    CHECK(meanwhile.size() == 2);
    CHECK(office.verdicts == std::map<std::string, Verdict>{{"alice@example.com", Verdict::ok},
                                                            {"plain@example.com", Verdict::ok}});
    CHECK(office.desk->alone == std::vector<std::string>{"alice@example.com"});
}

TEST_CASE("of a lookup that fails nobody learns that the password is wrong") {
    Office office;
    office.desk->users->fails = true;
    office.add("plain@example.com", "secret");
    office.add("alice@example.com", "wrong");
    office.run();
    CHECK(office.verdicts == std::map<std::string, Verdict>{{"alice@example.com", Verdict::temporary},
                                                            {"plain@example.com", Verdict::temporary}});
    CHECK(office.desk->alone.empty()); // what was found was a failure, and the log has it
    CHECK(office.house.log.expect("sql(plain@example.com): the database is away"));
    CHECK(office.house.log.expect("sql(alice@example.com): the database is away"));
}

TEST_CASE("a failure of our own leaves each to itself") {
    Office office;
    office.desk->throws = true;
    office.add("plain@example.com", "secret");
    office.add("alice@example.com", "wrong");
    office.run();
    CHECK(office.house.log.expect("out of memory"));
    CHECK(office.verdicts == std::map<std::string, Verdict>{{"alice@example.com", Verdict::password_mismatch},
                                                            {"plain@example.com", Verdict::ok}});
}

TEST_CASE("who cannot go alone because too many wait is told to try again later") {
    Office office;
    office.house.executor.full = true;
    office.add("plain@example.com", "secret");
    office.add("alice@example.com", "secret");
    office.run();
    CHECK(office.house.log.expect("login(alice@example.com): too many logins wait"));
    CHECK(office.verdicts == std::map<std::string, Verdict>{{"alice@example.com", Verdict::temporary},
                                                            {"plain@example.com", Verdict::ok}});
}

TEST_CASE("who cannot go alone for want of memory is told to try again later, and the others are answered") {
    Office office;
    office.house.executor.breaks = true;
    office.add("alice@example.com", "secret");
    office.add("plain@example.com", "secret");
    office.run();
    CHECK(office.house.log.expect("a login cannot be looked up alone"));
    CHECK(office.verdicts == std::map<std::string, Verdict>{{"alice@example.com", Verdict::temporary},
                                                            {"plain@example.com", Verdict::ok}});
}

TEST_CASE("an authority that a reload has replaced lives until its lookup ends, also when all go alone") {
    Office office;
    office.desk->held_up = {"alice@example.com"};
    bool was_alive = false;
    office.desk->afterwards = [&] { was_alive = !office.authorities.front().expired(); };
    office.add("alice@example.com", "secret");
    office.run();
    CHECK(was_alive);
    CHECK(office.verdicts.size() == 1);
    CHECK(office.authorities.front().expired());
}

TEST_CASE("only logins whose first question is a plain one have a kind") {
    Office office;
    auto const has_kind = [&](std::string const& user, AuthenticatorSettings const& settings,
                              DatabaseBlock const& block, std::string_view authorization = "") {
        auto configured = passdb(office.desk);
        configured.block = block;
        Authenticator const authority(settings, {configured}, {}, office.house.hashing, office.house.log);
        Request request;
        request.original_user = user;
        request.mechanism = "PLAIN";
        return authority.asked_together(request, authorization) != nullptr;
    };
    CHECK(has_kind("plain@example.com", {}, {}));
    CHECK_FALSE(has_kind("", {}, {}));
    CHECK_FALSE(has_kind("plain@example.com", {}, {}, "alice@example.com"));
    AuthenticatorSettings with_masters;
    with_masters.username.master_separator = "*";
    CHECK_FALSE(has_kind("alice@example.com*plain@example.com", with_masters, {}));
    DatabaseBlock deny, overrides, others;
    deny.deny = true;
    overrides.override_fields.set("proxy", "y");
    others.success = Rule::continue_on;
    for (auto const& block : {deny, overrides, others}) CHECK_FALSE(has_kind("plain@example.com", {}, block));
}

TEST_CASE("what was looked up together is kept, and what is kept is not looked up") {
    Office office;
    auto const cache =
        std::make_shared<AuthCache>(CacheSettings{100'000, 1h, 1h}, office.house.clock, office.house.metrics);
    office.database = std::make_shared<CachedPassdb>(office.desk, cache, "0");
    office.add("plain@example.com", "secret");
    office.add("alice@example.com", "secret");
    CHECK(office.jobs.front()->kind() != nullptr);
    office.run();
    CHECK(office.verdicts.size() == 2);
    CHECK(office.desk->together.size() == 2);
    office.verdicts.clear();
    office.add("plain@example.com", "wrong");
    CHECK(office.jobs.front()->kind() == nullptr);
    office.jobs.front()->run();
    CHECK(office.verdicts["plain@example.com"] == Verdict::password_mismatch);
}

TEST_CASE("what was looked up together and is flushed before it arrives is not kept") {
    Office office;
    auto const cache =
        std::make_shared<AuthCache>(CacheSettings{100'000, 1h, 1h}, office.house.clock, office.house.metrics);
    office.database = std::make_shared<CachedPassdb>(office.desk, cache, "0");
    office.desk->meanwhile = [&] { cache->flush({}); };
    office.add("plain@example.com", "secret");
    office.add("alice@example.com", "secret");
    office.run();
    CHECK(office.verdicts.size() == 2);
    CHECK(cache->size() == 0);
}
