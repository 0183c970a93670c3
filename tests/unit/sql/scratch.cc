// The scratch directory. Fills databases through our own driver, so that no second file needs sqlite3.h.
#include "tests/unit/sql/scratch.h"

#include "common/sql/database.h"

#include "common/base/text.h"
#include "tests/unit/support/catch.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace postern::test {

Scratch::Scratch() {
    auto name = (std::filesystem::temp_directory_path() / "postern-sql-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    directory_ = name;
}

Scratch::~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
}

std::string Scratch::path(std::string_view name) const { return directory_ + "/" + std::string(name); }

std::string Scratch::write(std::string_view name, std::string_view text) const {
    std::ofstream(path(name), std::ios::binary | std::ios::trunc) << text;
    return path(name);
}

// Statements are cut at ';': none may hold one in a string.
std::string Scratch::database(std::string_view statements) const {
    auto const file = write("db" + std::to_string(++databases_), "");
    sql::ServerSettings server;
    server.database = file;
    server.options.emplace_back("mode", "rw");
    auto connection = sql::connect(server, Deadline::after(std::chrono::seconds(10)));
    REQUIRE(connection);
    for (auto const statement : split(statements, ';')) {
        auto const done =
            (*connection)->query({{std::string(statement)}}, {}, Deadline::after(std::chrono::seconds(10)));
        INFO((done ? std::string() : done.error().text));
        REQUIRE(done);
    }
    return file;
}

} // namespace postern::test
