// Atomic replacement: owner, mode and links are kept, and a failure leaves the old file.
#include "milter-dkim/tools/replace_file.h"

#include "tests/unit/support/catch.h"
#include "tests/unit/support/temp_dir.h"

#include <filesystem>

#include <sys/stat.h>
#include <unistd.h>

using namespace postern;
using namespace postern::milter_dkim::tools;
namespace fs = std::filesystem;

TEST_CASE("a new file has the mode that was asked for") {
    test::TempDir const dir;
    REQUIRE(replace_file(dir.path("new"), "text\n", {.mode = 0640}));
    CHECK(dir.read("new") == "text\n");
    CHECK(access_of(dir.path("new"))->mode == 0640);
    REQUIRE(replace_file(dir.path("key"), "secret"));
    CHECK(access_of(dir.path("key"))->mode == 0600);
}

TEST_CASE("an existing file keeps its mode, and its owner when root replaces it") {
    test::TempDir const dir;
    auto const path = dir.write("table", "old");
    REQUIRE(::chmod(path.c_str(), 0640) == 0);
    bool const root = ::geteuid() == 0;
    if (root) REQUIRE(::chown(path.c_str(), 65534, 65533) == 0);
    REQUIRE(replace_file(path, "new", {.mode = 0600}));
    CHECK(dir.read("table") == "new");
    auto const access = access_of(path).value();
    CHECK(access.mode == 0640);
    if (root) {
        CHECK(access.owner == 65534);
        CHECK(access.group == 65533);
    }
}

TEST_CASE("a symbolic link stays and its target changes") {
    test::TempDir const dir;
    dir.write("real/table", "old");
    fs::create_symlink("real/table", dir.path("link"));
    REQUIRE(replace_file(dir.path("link"), "new"));
    CHECK(fs::is_symlink(dir.path("link")));
    CHECK(dir.read("real/table") == "new");
}

TEST_CASE("a directory that is not there is an error that names the file") {
    test::TempDir const dir;
    auto const done = replace_file(dir.path("none/table"), "new");
    REQUIRE_FALSE(done);
    CHECK(done.error().text.find(dir.path("none/table")) != std::string::npos);
}

TEST_CASE("no temporary file is left when the rename fails") {
    test::TempDir const dir;
    fs::create_directories(dir.path("table/inside")); // a directory cannot be replaced by a file
    CHECK_FALSE(replace_file(dir.path("table"), "new"));
    CHECK(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()) == 1);
}
