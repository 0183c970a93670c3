// A directory for one test case, with SQLite files made from SQL; gone at the end.
#pragma once

#include <string>
#include <string_view>

namespace postern::test {

class Scratch {
  public:
    Scratch();
    ~Scratch();
    Scratch(Scratch const&) = delete;
    Scratch& operator=(Scratch const&) = delete;

    std::string path(std::string_view name) const;
    std::string write(std::string_view name, std::string_view text) const; // gives the path
    // A new SQLite file with the statements run in it; gives its path.
    std::string database(std::string_view statements) const;

  private:
    std::string directory_;
    mutable int databases_ = 0;
};

} // namespace postern::test
