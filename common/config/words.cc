// Reads "Name value" files.
#include "common/config/words.h"

#include "common/base/text.h"

#include <fmt/format.h>

namespace postern::config {

namespace {

constexpr int max_include_depth = 10;

void read_into(ReadResult& result, std::string const& path, Place const& from, int depth) {
    auto text = read_file(path);
    if (!text) {
        result.problems.push_back({Problem::Severity::error, from, text.error().text});
        return;
    }
    auto parsed = parse_words(*text, path);
    std::move(parsed.problems.begin(), parsed.problems.end(), std::back_inserter(result.problems));
    for (auto& assignment : parsed.assignments) {
        if (!equals_ignoring_case(assignment.name, "Include"))
            result.assignments.push_back(std::move(assignment));
        else if (depth >= max_include_depth)
            result.problems.push_back(
                {Problem::Severity::error, assignment.place,
                 fmt::format("Include is nested more than {} deep", max_include_depth)});
        else
            read_into(result, assignment.value, assignment.place, depth + 1);
    }
}

} // namespace

ReadResult parse_words(std::string_view text, std::string const& file) {
    ReadResult result;
    int number = 0;
    for (auto line : split(text, '\n')) {
        Place const place{file, ++number};
        line = trim(line.substr(0, line.find('#')));
        if (line.empty()) continue;
        auto const end = line.find_first_of(" \t");
        auto const name = line.substr(0, end);
        auto const value = end == std::string_view::npos ? std::string_view() : trim(line.substr(end));
        if (value.empty())
            result.problems.push_back({Problem::Severity::error, place,
                                       fmt::format("{}: required value missing", printable(name, 64))});
        else
            result.assignments.push_back({std::string(name), std::string(value), place});
    }
    return result;
}

ReadResult read_words(std::string const& path) {
    ReadResult result;
    read_into(result, path, Place{}, 0);
    return result;
}

} // namespace postern::config
