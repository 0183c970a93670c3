// A directory of its own for one test case, removed with everything in it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace postern::test {

class TempDir {
  public:
    TempDir();
    ~TempDir();
    TempDir(TempDir const&) = delete;
    TempDir& operator=(TempDir const&) = delete;

    std::string path(std::string_view name = {}) const;
    // Writes the file (and its directories) and gives its path.
    std::string write(std::string_view name, std::string_view contents) const;
    std::string read(std::string_view name) const;

  private:
    std::filesystem::path path_;
};

} // namespace postern::test
