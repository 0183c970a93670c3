// Kept answers: when they are used, when the database is asked all the same, and when they go.
#include "auth-socket/users/cache.h"
#include "auth-socket/users/sql.h"
#include "tests/unit/auth-socket/fixture.h"
#include "tests/unit/support/catch.h"

#include <functional>

using namespace postern;
using namespace postern::auth_socket;
using namespace postern::auth_socket::test;
using namespace std::chrono_literals;

namespace {

// As an SQL passdb whose query has %u.
class KeyedUsers final : public Passdb {
  public:
    std::shared_ptr<MemoryUsers> users = std::make_shared<MemoryUsers>();
    std::function<void()> meanwhile = [] {}; // between the database's answer and its arrival
    Result<std::vector<Fields>> lookup(Request const& request) const override {
        auto rows = users->lookup(request);
        meanwhile();
        return rows;
    }
    std::optional<std::string> cache_key(Request const& request) const override { return request.user; }
};

struct Cached {
    House house;
    std::shared_ptr<KeyedUsers> database = std::make_shared<KeyedUsers>();
    std::shared_ptr<AuthCache> cache;

    explicit Cached(CacheSettings settings = {100'000, 1h, 10min})
        : cache(std::make_shared<AuthCache>(settings, house.clock, house.metrics)) {
        set("one");
    }
    void set(std::string const& password) {
        database->users->rows["a@x"] = {fields({{"password", "{PLAIN}" + password}})};
    }
    Verdict check(std::string_view password, std::string const& user = "a@x") {
        Authenticator const authority({}, {passdb(std::make_shared<CachedPassdb>(database, cache, "0"))}, {},
                                      house.hashing, house.log);
        Request request;
        request.original_user = user;
        request.mechanism = "PLAIN";
        request.password = Secret(password);
        return authority.check_password(request, "", Secret(password)).verdict;
    }
    int asked() const { return database->users->asked; }
};

} // namespace

TEST_CASE("a second login is answered without the database until its time is over") {
    Cached cached;
    CHECK(cached.check("one") == Verdict::ok);
    CHECK(cached.check("one") == Verdict::ok);
    CHECK(cached.asked() == 1);
    cached.house.now += 1h;
    CHECK(cached.check("one") == Verdict::ok);
    CHECK(cached.asked() == 2);
    auto const text = cached.house.metrics.text();
    CHECK(text.contains("auth_cache_lookups_total{result=\"hit\"} 1\n"));
    CHECK(text.contains("auth_cache_lookups_total{result=\"miss\"} 2\n"));
}

TEST_CASE("a changed password works at once, and guessing does not ask the database each time") {
    Cached cached;
    CHECK(cached.check("one") == Verdict::ok);
    cached.set("two");
    CHECK(cached.check("two") == Verdict::ok);
    CHECK(cached.asked() == 2);
    CHECK(cached.check("bad") == Verdict::password_mismatch); // was right before: maybe changed
    CHECK(cached.asked() == 3);
    CHECK(cached.check("worse") == Verdict::password_mismatch);
    CHECK(cached.check("worst") == Verdict::password_mismatch);
    CHECK(cached.asked() == 3);
    CHECK(cached.check("two") == Verdict::ok);
}

TEST_CASE("an unknown user is kept for its own time") {
    Cached cached;
    CHECK(cached.check("x", "b@x") == Verdict::unknown_user);
    CHECK(cached.check("x", "b@x") == Verdict::unknown_user);
    CHECK(cached.asked() == 1);
    cached.house.now += 10min;
    CHECK(cached.check("x", "b@x") == Verdict::unknown_user);
    CHECK(cached.asked() == 2);
}

TEST_CASE(
    "while the database is away an expired answer lets in, and never says wrong password for a new one") {
    Cached cached;
    CHECK(cached.check("one") == Verdict::ok);
    cached.house.now += 2h;
    cached.database->users->fails = true;
    CHECK(cached.check("one") == Verdict::ok);
    CHECK(cached.check("new") == Verdict::temporary);   // was right before: the database must say
    CHECK(cached.check("newer") == Verdict::temporary); // also after a wrong one
    CHECK(cached.check("x", "b@x") == Verdict::temporary);
    CHECK(cached.house.metrics.text().contains("auth_cache_lookups_total{result=\"stale\"} 3\n"));
    CHECK(cached.house.log.expect("the database is away"));
}

TEST_CASE("while the database is away an expired answer judges no proof: it could not be called temporary") {
    Cached cached;
    CachedPassdb const kept(cached.database, cached.cache, "0");
    Request request;
    request.user = "a@x";
    request.mechanism = "CRAM-MD5";
    CHECK(kept.lookup(request));
    cached.database->users->fails = true;
    CHECK(kept.lookup(request)); // its time is not over
    cached.house.now += 2h;
    CHECK(kept.lookup(request).error().kind == ErrorKind::temporary);
}

TEST_CASE("a challenge takes its secret from the cache, and a wrong proof does not ask the database anew") {
    Cached cached;
    Authenticator const authority(
        {}, {passdb(std::make_shared<CachedPassdb>(cached.database, cached.cache, "0"))}, {},
        cached.house.hashing, cached.house.log);
    std::vector<std::string> const wanted{"CRAM-MD5"};
    for (int i = 0; i < 3; ++i) {
        Request request;
        request.original_user = "a@x";
        request.mechanism = "CRAM-MD5";
        CHECK(authority.find_secret(request, "", wanted).verdict == Verdict::ok);
    }
    CHECK(cached.asked() == 1);
}

TEST_CASE("the key has every variable of the password query, and answers that depend on the password are not "
          "kept") {
    House house;
    auto const key = [&](std::string const& query, Request const& request) {
        SqlSettings settings;
        settings.pool.servers.emplace_back().database = "/nonexistent"; // SQLite's
        settings.password_query = query;
        std::vector<config::Problem> problems;
        return SqlUsers::make(settings, house.log, house.metrics, problems).value()->cache_key(request);
    };
    Request here, there;
    here.user = there.user = "a@x";
    here.client.remote_ip = "192.0.2.1";
    there.client.remote_ip = "192.0.2.2";
    here.client.service = there.client.service = "smtp";
    CHECK(key("SELECT '%u'", here) == key("SELECT '%u'", there));
    CHECK(key("SELECT '%u', '%r'", here) != key("SELECT '%u', '%r'", there));
    CHECK(key("SELECT '%{user}', '%{rip}'", here) != key("SELECT '%{user}', '%{rip}'", there));
    there = here;
    there.client.service = "imap";
    CHECK(key("SELECT '%u', '%s'", here) != key("SELECT '%u', '%s'", there));
    CHECK(key("SELECT '%n', '%d'", here) == key("SELECT '%n', '%d'", there));
    for (auto const* query : {"SELECT '%w'", "SELECT '%{password}'", "SELECT '%Lw'"})
        CHECK_FALSE(key(query, here));
}

TEST_CASE("a flush takes all, or the answers of the users it names") {
    Cached cached;
    CHECK(cached.check("one") == Verdict::ok);
    CHECK(cached.check("x", "b@x") == Verdict::unknown_user);
    std::vector<std::string> const other{"c@x"}, mine{"a@x"};
    CHECK(cached.cache->flush(other) == 0);
    CHECK(cached.cache->flush(mine) == 1);
    CHECK(cached.cache->flush({}) == 1);
    CHECK(cached.cache->size() == 0);
}

TEST_CASE("what the database said before a flush is not kept after it") {
    Cached cached;
    cached.database->meanwhile = [&] {
        cached.set("two");
        cached.cache->flush(std::vector<std::string>{"a@x"});
    };
    CHECK(cached.check("one") == Verdict::ok); // it was when the question was asked
    cached.database->meanwhile = [] {};
    CHECK(cached.check("one") == Verdict::password_mismatch);
    CHECK(cached.check("two") == Verdict::ok);
}

TEST_CASE("the cache keeps to its size, and the entry unused longest goes") {
    Cached cached({1500, 1h, 1h});
    for (int i = 0; i < 50; ++i) {
        CHECK(cached.check("x", "u" + std::to_string(i) + "@x") == Verdict::unknown_user);
        CHECK(cached.cache->size() <= 1500);
    }
    auto const before = cached.asked();
    CHECK(cached.check("x", "u49@x") == Verdict::unknown_user);
    CHECK(cached.asked() == before);
    CHECK(cached.check("x", "u0@x") == Verdict::unknown_user);
    CHECK(cached.asked() == before + 1);
}

namespace {

std::string told(std::optional<Outcome> const& outcome, Request const& request) {
    if (!outcome) return "nothing";
    auto text = std::to_string(static_cast<int>(outcome->verdict)) + " " + outcome->user + " " +
                request.user + " " + request.authenticated_user + " " + request.answered_by;
    for (auto const* all : {&outcome->reply, &outcome->userdb, &request.passdb})
        for (auto const& [name, value] : *all) text += " " + name + "=" + value.value_or("(none)");
    return text + (outcome->without_delay ? " at once" : "") + (outcome->userdb_prefetched ? " userdb" : "");
}

std::vector<Fields> rows_to_try() {
    Fields const plain = fields({{"password", "{PLAIN}secret"}});
    std::vector<Fields> all{plain, fields({}), fields({{"password", std::nullopt}}),
                            fields({{"password", "!{PLAIN}secret"}}),
                            fields({{"password_noscheme", "secret"}})};
    for (Field const& more : std::vector<Field>{{"allow_nets", "198.51.100.0/24"},
                                                {"allow_nets", "192.0.2.0/24"},
                                                {"allow_nets", ""},
                                                {"allow_real_nets", "198.51.100.1"},
                                                {"fail", "no"},
                                                {"user_disabled", "y"},
                                                {"pass_expired", "1"},
                                                {"noauthenticate", ""},
                                                {"nopassword", "y"},
                                                {"login_user", "b@x"},
                                                {"delay_until", "99999999999"},
                                                {"passdb_import", "user_disabled=y\tallow_nets=198.51.100.1"},
                                                {"user", "b@x"},
                                                {"domain", "y"},
                                                {"nologin", "y"},
                                                {"proxy:protected", "y"},
                                                {"nodelay", ""},
                                                {"userdb_home", "/h"},
                                                {"allow_nets:protected", "198.51.100.1"},
                                                {"user_disabled:protected", "y"}}) {
        auto row = plain;
        row.set(more.name, more.value);
        all.push_back(std::move(row));
    }
    return all;
}

std::vector<DatabaseBlock> blocks_to_try() {
    std::vector<DatabaseBlock> all(10);
    all[1].deny = true;
    all[2].success = Rule::continue_fail;
    all[3].success = Rule::return_fail;
    all[4].success = Rule::continue_on;
    all[5].skip = Skip::when_unknown;
    all[6].mechanisms = {"CRAM-MD5"};
    all[7].username_filter = "!a@*";
    all[8].override_fields.set("user_disabled", "y");
    all[9].master = true;
    return all;
}

} // namespace

TEST_CASE("what is at hand says yes only where all the databases do, and the same of it") {
    House house;
    int said_yes = 0;
    auto const now_cached = [&](std::shared_ptr<AuthCache> const& cache, std::string const& name,
                                Fields row) {
        auto const database = std::make_shared<KeyedUsers>();
        database->users->rows["a@x"] = {std::move(row)};
        auto cached = std::make_shared<CachedPassdb>(database, cache, name);
        Request asking;
        asking.user = "a@x";
        REQUIRE(cached->lookup(asking));
        return cached;
    };
    for (auto const& row : rows_to_try())
        for (auto const& block : blocks_to_try())
            for (std::string_view const password : {"secret", "", "wrong"}) {
                auto const cache =
                    std::make_shared<AuthCache>(CacheSettings{100'000, 1h, 1h}, house.clock, house.metrics);
                auto first = passdb(now_cached(cache, "0", row));
                first.block = block;
                auto const second = passdb(now_cached(cache, "1", fields({{"password", "{PLAIN}other"}})));
                Authenticator const authority({}, {first, second}, {}, house.hashing, house.log);
                Request request;
                request.original_user = "A@x";
                request.mechanism = "PLAIN";
                request.client.remote_ip = "192.0.2.1";
                request.password = Secret(password);
                auto at_hand = request, at_length = request;
                auto const quick = authority.login_at_hand(at_hand, "", request.password);
                if (!quick) continue;
                ++said_yes;
                auto const slow = authority.check_password(at_length, "", request.password);
                CHECK(told(quick, at_hand) == told(slow, at_length));
                CHECK(quick->verdict == Verdict::ok);
            }
    CHECK(said_yes > 5);
}
