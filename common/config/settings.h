// One table per program makes the parser, --print-defaults, the sample file and the manual's options.
#pragma once

#include "common/base/error.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::config {

// Where a setting stands, for messages: "/etc/opendkim.conf:12".
struct Place {
    std::string file;
    int line = 0; // from 1; 0 when it came from the command line

    std::string to_string() const;
};

struct Assignment {
    std::string name;
    std::string value;
    Place place;
};

// What a reader of configuration found: every one is reported, not only the first.
struct Problem {
    enum class Severity { warning, error };
    Severity severity;
    Place place;
    std::string text;

    std::string to_string() const; // "FILE:LINE: warning: TEXT" or "FILE:LINE: TEXT"
};

bool has_errors(std::vector<Problem> const& problems);

enum class NameCase { exact, ignored };

// One name of a configuration file, and where its value lands in the program's Settings.
template <class Settings>
struct Setting {
    std::string_view name;
    std::string_view default_text; // as the file would have it; empty: unset
    std::string_view help;         // one sentence for the manual and the sample
    // Puts the value into the settings; the error's text says what is wrong with the value.
    Result<> (*apply)(Settings&, std::string_view value) = nullptr;
    // Instead of apply: the replaced program's name is accepted, has no effect, and this says why.
    std::string_view no_effect = "";
};

// The name nearest to a mistyped one, in words: `unknown setting "Selecter"; did you mean "Selector"?`
std::string unknown_setting(std::string_view name, std::vector<std::string_view> const& known);

template <class Settings>
class Table {
  public:
    Table(std::vector<Setting<Settings>> rows, NameCase name_case)
        : rows_(std::move(rows)), name_case_(name_case) {}

    std::vector<Setting<Settings>> const& rows() const { return rows_; }
    NameCase name_case() const { return name_case_; }

    Setting<Settings> const* find(std::string_view name) const;
    // Applies each assignment in order (a later one wins). Unknown names and refused values become errors,
    // names without effect warnings.
    std::vector<Problem> apply(Settings& settings, std::vector<Assignment> const& assignments) const;

  private:
    std::vector<Setting<Settings>> rows_;
    NameCase name_case_;
};

bool names_match(std::string_view a, std::string_view b, NameCase name_case);

template <class Settings>
Setting<Settings> const* Table<Settings>::find(std::string_view name) const {
    for (auto const& row : rows_)
        if (names_match(row.name, name, name_case_)) return &row;
    return nullptr;
}

template <class Settings>
std::vector<Problem> Table<Settings>::apply(Settings& settings,
                                            std::vector<Assignment> const& assignments) const {
    std::vector<Problem> problems;
    for (auto const& [name, value, place] : assignments) {
        auto const* row = find(name);
        if (row == nullptr) {
            std::vector<std::string_view> known;
            for (auto const& each : rows_) known.push_back(each.name);
            problems.push_back({Problem::Severity::error, place, unknown_setting(name, known)});
        } else if (row->apply == nullptr) {
            problems.push_back({Problem::Severity::warning, place,
                                std::string(row->name) + " has no effect: " + std::string(row->no_effect)});
        } else if (auto done = row->apply(settings, value); !done) {
            problems.push_back(
                {Problem::Severity::error, place, std::string(row->name) + ": " + done.error().text});
        }
    }
    return problems;
}

// How a default is shown by --print-defaults.
enum class FileStyle {
    words,       // Name value
    assignments, // name = value
};
struct DefaultRow {
    std::string_view name;
    std::string_view default_text;
    std::string_view help;
    std::string_view no_effect;
};
std::string defaults_text(std::vector<DefaultRow> const& rows, FileStyle style);

template <class Settings>
std::vector<DefaultRow> default_rows(Table<Settings> const& table) {
    std::vector<DefaultRow> rows;
    for (auto const& row : table.rows())
        rows.push_back({row.name, row.default_text, row.help, row.no_effect});
    return rows;
}

// The whole file, at most 1 MiB; a directory, a device or a larger file is an error that names the path.
Result<std::string> read_file(std::string const& path);

// Values that several programs read the same way. The error's text says what was expected.
Result<bool> parse_boolean(std::string_view value); // yes/no/true/false/1/0/on/off, any case
Result<int> parse_integer(std::string_view value, int lowest, int highest);
Result<unsigned> parse_mode(std::string_view value); // octal, "0660"

} // namespace postern::config
