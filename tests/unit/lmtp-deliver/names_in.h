// What a directory of a test case holds.
#pragma once

#include "tests/unit/support/temp_dir.h"

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

namespace postern::test {

// Sorted; none when it is not there.
inline std::vector<std::string> names_in(TempDir const& dir, std::string const& below) {
    std::vector<std::string> out;
    std::error_code missing;
    for (auto const& entry : std::filesystem::directory_iterator(dir.path(below), missing))
        out.push_back(entry.path().filename().string());
    std::ranges::sort(out);
    return out;
}

} // namespace postern::test
