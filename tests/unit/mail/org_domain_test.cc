// Organizational domains by the Public Suffix List.
#include "common/mail/org_domain.h"
#include "tests/unit/support/catch.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace postern;
using mail::PublicSuffixes;

namespace {

// A directory that goes when the case ends.
struct Scratch {
    std::filesystem::path path;
    Scratch() {
        std::string pattern = std::filesystem::temp_directory_path() / "postern-psl-XXXXXX";
        path = mkdtemp(pattern.data());
    }
    ~Scratch() { std::filesystem::remove_all(path); }
    void write(std::string const& name, std::string_view text) const { std::ofstream(path / name) << text; }
};

} // namespace

TEST_CASE("the organizational domain is one label below the public suffix") {
    auto const suffixes = PublicSuffixes::load();
    REQUIRE(suffixes);
    CHECK(suffixes->organizational_domain("a.b.example.com") == "example.com");
    CHECK(suffixes->organizational_domain("a.b.example.co.uk") == "example.co.uk");
    CHECK(suffixes->organizational_domain("example.com") == "example.com");
    CHECK(suffixes->organizational_domain("com") == "com");
    CHECK(suffixes->organizational_domain("a.b.unlisted-suffix") == "b.unlisted-suffix");
    CHECK(suffixes->organizational_domain("a.b.xn--55qx5d.cn") == "b.xn--55qx5d.cn");
    CHECK(suffixes->is_public_suffix("co.uk"));
    CHECK(suffixes->is_public_suffix("xn--55qx5d.cn"));
    CHECK_FALSE(suffixes->is_public_suffix("example.co.uk"));
}

TEST_CASE("a list is read from a file and from the directory that distributions ship") {
    Scratch const scratch;
    scratch.write("public_suffix_list.dat", "// ===BEGIN ICANN DOMAINS===\nexample\nown.example\n");
    for (auto const& path : {scratch.path / "public_suffix_list.dat", scratch.path}) {
        auto const suffixes = PublicSuffixes::load(path);
        REQUIRE(suffixes);
        CHECK(suffixes->organizational_domain("a.b.own.example") == "b.own.example");
    }
}

TEST_CASE("a missing or empty list is an error that names its path") {
    Scratch const scratch;
    scratch.write("empty.dat", "");
    for (auto const& path : {scratch.path / "empty.dat", scratch.path / "missing.dat", scratch.path}) {
        auto const suffixes = PublicSuffixes::load(path);
        REQUIRE_FALSE(suffixes);
        CHECK(suffixes.error().kind == ErrorKind::permanent);
        CHECK(suffixes.error().text.contains(path.string()));
    }
}
