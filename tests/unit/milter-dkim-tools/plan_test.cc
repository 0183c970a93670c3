// Selectors from patterns, and which keys get a new one.
#include "milter-dkim/tools/rotate/plan.h"

#include "milter-dkim/tools/rotate/options.h"
#include "tests/unit/milter-dkim/support.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/temp_dir.h"

using namespace postern;
using namespace postern::milter_dkim::tools;

namespace {

std::string expand(std::string pattern, std::string_view old = "mail") {
    PlanSettings settings;
    settings.pattern = std::move(pattern);
    settings.now = parse_date("2026-02-03").value();
    settings.host = "mx1";
    return expand_pattern(settings, old).value_or("refused");
}

KeyInUse key_of(std::string domain, std::string selector, std::string path) {
    return {KeyInUse::Where::key_table,
            {std::move(domain)},
            std::move(selector),
            std::move(path),
            "KeyTable",
            {1}};
}

PlanSettings in_november() {
    PlanSettings settings;
    settings.now = parse_date("2026-11-21").value();
    return settings;
}

std::string lines_of(Result<Plan> const& plan) {
    if (!plan) return plan.error().text;
    std::string all;
    for (auto const& each : plan->rotations)
        all += each.domains[0] + " " + each.old_selector + " " + each.new_selector + " " + each.new_key_file +
               "\n";
    return all;
}

} // namespace

TEST_CASE("patterns become selectors") {
    CHECK(expand("%Y%m") == "202602");
    CHECK(expand("%y%m%d-%h") == "260203-mx1");
    CHECK(expand("d%j") == "d034");
    CHECK(expand("s%n", "s7") == "s8");
    CHECK(expand("s%n", "mail") == "s1");
    CHECK(expand("s%n", "s99999999999999999999") == "s1");
    CHECK(expand("%Y-%n", "2026-2") == "2026-3");
    CHECK(expand("%q") == "refused");
    CHECK(expand("a%") == "refused");
    CHECK(expand("a b") == "refused");
    CHECK(expand("") == "refused");
}

TEST_CASE("a date is read strictly and written back") {
    CHECK(date_text(parse_date("2026-11-21").value()) == "2026-11-21");
    for (auto const* text :
         {"", "2026-11", "2026-13-01", "2026-02-30", "21.11.2026", "2026-11-21x", "1969-01-01"})
        CHECK_FALSE(parse_date(text));
}

TEST_CASE("each key gets the pattern's selector and a file named like its own") {
    Inventory inventory;
    inventory.keys = {key_of("a.example", "mail", "/k/a/mail.private"),
                      key_of("b.example", "mail", "/k/b.key"),
                      key_of("c.example", "202611", "/k/c/202611.private")};
    CHECK(lines_of(make_plan(inventory, {}, in_november())) ==
          "a.example mail 202611 /k/a/202611.private\n"
          "b.example mail 202611 /k/b.example.202611.private\n");
}

TEST_CASE("two domains whose keys lie in one directory get two files") {
    Inventory inventory;
    inventory.keys = {key_of("a.example", "mail", "/k/mail.private"),
                      key_of("b.example", "mail", "/k/mail.private")};
    CHECK(lines_of(make_plan(inventory, {}, in_november())) ==
          "a.example mail 202611 /k/202611.private\n"
          "b.example mail 202611 /k/b.example.202611.private\n");
}

TEST_CASE("RSA and Ed25519 keys of one domain get two selectors, the RSA key the plain one") {
    test::TempDir const dir;
    Inventory inventory;
    inventory.keys = {key_of("a.example", "ed", dir.write("ed.private", test::ed25519_key())),
                      key_of("a.example", "rsa", dir.write("rsa.private", test::rsa_key()))};
    auto const plan = make_plan(inventory, {}, in_november());
    CHECK(lines_of(plan) == "a.example rsa 202611 " + dir.path("202611.private") +
                                "\na.example ed 202611-ed25519 " + dir.path("202611-ed25519.private") + "\n");
    CHECK(plan->rotations[0].bits == 2048); // its old one had 1024
    CHECK(plan->rotations[1].new_type == KeyType::ed25519);
    // They count as this month's.
    inventory.keys[0].selector = "202611-ed25519";
    inventory.keys[1].selector = "202611";
    CHECK(lines_of(make_plan(inventory, {}, in_november())).empty());
}

TEST_CASE("at once means a letter behind this month's selector") {
    Inventory inventory;
    inventory.keys = {key_of("a.example", "202611", "/k/202611.private")};
    auto settings = in_november();
    CHECK(lines_of(make_plan(inventory, {}, settings)).empty());
    settings.at_once = true;
    CHECK(lines_of(make_plan(inventory, {}, settings)) == "a.example 202611 202611b /k/202611b.private\n");
}

TEST_CASE("young keys and other domains are left alone") {
    test::TempDir const dir;
    Inventory inventory;
    inventory.keys = {key_of("a.example", "mail", dir.write("mail.private", test::rsa_key()))};
    auto settings = in_november();
    settings.domains = {"b.example"};
    CHECK(lines_of(make_plan(inventory, {}, settings)).empty());
    settings.domains = {"a.example"};
    settings.minimum_age = 30 * 86400;
    settings.now = unix_time() + 29 * 86400;
    CHECK(lines_of(make_plan(inventory, {}, settings)).empty());
    settings.now = unix_time() + 31 * 86400;
    CHECK_FALSE(lines_of(make_plan(inventory, {}, settings)).empty());
}

TEST_CASE(
    "a rotation that is under way is not begun again, one that only keeps its old record is no obstacle") {
    Inventory inventory;
    inventory.keys = {key_of("a.example", "mail", "/k/mail.private")};
    Rotation known;
    known.domains = {"a.example"};
    known.old_selector = "mail";
    known.new_selector = "202611";
    known.new_key_file = "/k/202611.private";
    known.step = RotationStep::published;
    CHECK(lines_of(make_plan(inventory, {known}, in_november())).empty());
    known.old_selector = "202609";
    known.new_selector = "mail";
    known.step = RotationStep::reloaded;
    CHECK(lines_of(make_plan(inventory, {known}, in_november())) ==
          "a.example mail 202611 /k/a.example.202611.private\n");
}

TEST_CASE("a key inside its row needs a directory") {
    Inventory inventory;
    inventory.keys = {key_of("a.example", "mail", "")};
    auto settings = in_november();
    CHECK_FALSE(make_plan(inventory, {}, settings));
    settings.directory = "/keys";
    CHECK(lines_of(make_plan(inventory, {}, settings)) ==
          "a.example mail 202611 /keys/a.example.202611.private\n");
}
