// Berkeley DB and LMDB files, made here by their libraries, read as data sets.
#include "milter-dkim/tables/data_set_db.h"

#include "milter-dkim/configuration.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/temp_dir.h"

#if POSTERN_BERKELEY_DB
#include <db.h>
#endif
#if POSTERN_LMDB
#include <lmdb.h>

#include <sys/stat.h>
#endif

using namespace postern;
using namespace postern::milter_dkim;

namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

[[maybe_unused]] std::string listing(Result<std::unique_ptr<DataSet>> const& set) {
    if (!set) return set.error().text;
    std::string out;
    for (auto const& row : *(*set)->rows()) out += row.key + "=" + row.value + ";";
    return out;
}

[[maybe_unused]] Result<std::unique_ptr<DataSet>> open(std::string const& value) {
    std::vector<config::Problem> problems;
    return DataSetOpener().open(value, {}, problems);
}

} // namespace

#if POSTERN_BERKELEY_DB
namespace {

void write_berkeley_db(std::string const& path, DBTYPE type, Pairs const& rows) {
    DB* database = nullptr;
    REQUIRE(db_create(&database, nullptr, 0) == 0);
    REQUIRE(database->open(database, nullptr, path.c_str(), nullptr, type, DB_CREATE, 0600) == 0);
    for (auto [key, value] : rows) {
        DBT k{};
        DBT v{};
        k.data = key.data();
        k.size = static_cast<u_int32_t>(key.size());
        v.data = value.data();
        v.size = static_cast<u_int32_t>(value.size());
        REQUIRE(database->put(database, nullptr, &k, &v, 0) == 0);
    }
    REQUIRE(database->close(database, 0) == 0);
}

} // namespace

TEST_CASE("a Berkeley DB file is a data set, as hash and as tree, with and without ending NULs") {
    test::TempDir dir;
    Pairs const rows{{"Example.com", "example.com:s:/k"}, {std::string("x\0", 2), std::string("y\0", 2)}};
    write_berkeley_db(dir.path("t.db"), DB_BTREE, rows);
    CHECK(listing(open("db:" + dir.path("t.db"))) == "example.com=example.com:s:/k;x=y;");
    CHECK(listing(open(dir.path("t.db"))) == "example.com=example.com:s:/k;x=y;");
    write_berkeley_db(dir.path("h.db"), DB_HASH, {{"a", "b"}});
    CHECK(listing(open("db:" + dir.path("h.db"))) == "a=b;");
    CHECK(*(*open("db:" + dir.path("h.db")))->find("A") == "b");
}

TEST_CASE("what is no Berkeley DB file is an error with its path") {
    test::TempDir dir;
    auto const text = dir.write("t.db", "no database");
    CHECK(listing(open(text)) == text + ": Invalid argument");
    CHECK(listing(open("db:/nonexistent/t")) == "/nonexistent/t: No such file or directory");
}
#else
TEST_CASE("without Berkeley DB its files are refused with the kinds that work") {
    CHECK(open("db:/x").error().text == "built without Berkeley DB; use " + std::string(data_set_kinds()));
}
#endif

#if POSTERN_LMDB
TEST_CASE("an LMDB directory is a data set") {
    test::TempDir dir;
    auto const path = dir.path("lmdb");
    REQUIRE(mkdir(path.c_str(), 0700) == 0);
    MDB_env* environment = nullptr;
    MDB_txn* transaction = nullptr;
    MDB_dbi database = 0;
    REQUIRE(mdb_env_create(&environment) == 0);
    REQUIRE(mdb_env_open(environment, path.c_str(), 0, 0600) == 0);
    REQUIRE(mdb_txn_begin(environment, nullptr, 0, &transaction) == 0);
    REQUIRE(mdb_dbi_open(transaction, nullptr, 0, &database) == 0);
    std::string key = "Key";
    std::string value = "value";
    MDB_val k{key.size(), key.data()};
    MDB_val v{value.size(), value.data()};
    REQUIRE(mdb_put(transaction, database, &k, &v, 0) == 0);
    REQUIRE(mdb_txn_commit(transaction) == 0);
    mdb_env_close(environment);
    CHECK(listing(open("mdb:" + path)) == "key=value;");
    CHECK(listing(open("mdb:" + path + "/data.mdb")) == "key=value;");
    CHECK(listing(open("mdb:/nonexistent/t")) == "/nonexistent/t: No such file or directory");
}
#else
TEST_CASE("without LMDB its files are refused with the kinds that work") {
    CHECK(open("mdb:/x").error().text == "built without LMDB; use " + std::string(data_set_kinds()));
}
#endif
