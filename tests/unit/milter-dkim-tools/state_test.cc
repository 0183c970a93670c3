// The state files: read back as written, and nothing else accepted.
#include "milter-dkim/tools/rotate/state.h"

#include "tests/unit/support/catch.h"
#include "tests/unit/support/temp_dir.h"

using namespace postern;
using namespace postern::milter_dkim::tools;

namespace {

Rotation example() {
    Rotation rotation;
    rotation.step = RotationStep::published;
    rotation.domains = {"a.example", "b.example"};
    rotation.old_selector = "mail";
    rotation.new_selector = "202611";
    rotation.new_type = KeyType::ed25519;
    rotation.bits = 3072;
    rotation.old_key_file = "/k/mail.private";
    rotation.new_key_file = "/k/202611.private";
    rotation.record = "v=DKIM1; h=sha256; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    rotation.retire_at = 1'800'000'000;
    return rotation;
}

} // namespace

TEST_CASE("a rotation is read back as it was written") {
    auto const text = rotation_text(example());
    auto const read = parse_rotation(text, "x");
    REQUIRE(read);
    CHECK(rotation_text(*read) == text);
    CHECK(read->record == example().record);
    CHECK(read->domains == example().domains);
    CHECK(read->retire_at == example().retire_at);
}

TEST_CASE("a state file that is cut off or changed is an error, never half a rotation") {
    auto const text = rotation_text(example());
    auto const good = [](std::string const& each) { return bool(parse_rotation(each, "x")); };
    CHECK_FALSE(good(""));
    CHECK_FALSE(good(text.substr(0, text.size() / 2)));
    CHECK_FALSE(good(text + "step = finished\n"));
    CHECK_FALSE(good(text + "surprise = 1\n"));
    CHECK_FALSE(good(text + "old_selector = ../../etc/passwd\n"));
    CHECK_FALSE(good(text + "domains = a/b\n"));
    CHECK_FALSE(good(text + "bits = 511\n"));
    CHECK_FALSE(good(text + "new_key_file = relative\n"));
}

TEST_CASE("the store keeps one file for each rotation and locks others out") {
    test::TempDir const dir;
    auto const directory = dir.path("deep/state");
    {
        auto const store = RotationStore::open(directory);
        REQUIRE(store);
        CHECK(store->load()->empty());
        REQUIRE(store->save(example()));
        auto moved = example();
        moved.step = RotationStep::switched;
        REQUIRE(store->save(moved));
        auto const loaded = store->load().value();
        REQUIRE(loaded.size() == 1);
        CHECK(loaded[0].step == RotationStep::switched);
        auto const second = RotationStore::open(directory);
        REQUIRE_FALSE(second);
        CHECK(second.error().kind == ErrorKind::temporary);
        REQUIRE(store->remove(moved));
        CHECK(store->load()->empty());
        CHECK(store->remove(moved)); // gone already
    }
    CHECK(RotationStore::open(directory));
}

TEST_CASE("a directory that is not there is an empty one for reading") {
    CHECK(RotationStore::for_reading("/nonexistent/state").load()->empty());
}
