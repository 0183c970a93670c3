// Reading through milter-dkim's own settings and data sets; changing by position, so that comments stay.
#include "milter-dkim/tools/rotate/key_in_use.h"

#include "common/base/text.h"
#include "milter-dkim/tables/data_set.h"
#include "milter-dkim/tables/tables.h"
#include "milter-dkim/tools/key_record.h"

#include <fmt/format.h>

#include <algorithm>

namespace postern::milter_dkim::tools {

namespace {

using config::Problem;

Problem error_at(config::Place place, std::string text) {
    return {Problem::Severity::error, std::move(place), std::move(text)};
}

Problem warning_at(config::Place place, std::string text) {
    return {Problem::Severity::warning, std::move(place), std::move(text)};
}

// BaseDirectory is where the daemon is when it opens its files.
std::string absolute(Settings const& settings, std::string const& path) {
    if (path.starts_with('/') || settings.base_directory.empty()) return path;
    return settings.base_directory + "/" + path;
}

// The data set's value with its file made absolute.
std::string absolute_set(Settings const& settings, std::string const& value) {
    for (std::string_view const kind : {"file:", "refile:"})
        if (value.starts_with(kind)) return std::string(kind) + absolute(settings, value.substr(kind.size()));
    return value.starts_with('.') ? absolute(settings, value) : value;
}

class Taker {
  public:
    explicit Taker(Inventory& inventory) : inventory_(inventory), settings_(inventory.settings) {}

    void take_table();
    void take_settings();

  private:
    void take_row(Row const& row);
    bool take_domains(KeyInUse& key);
    void error(std::string_view setting, std::string text) {
        inventory_.problems.push_back(error_at(settings_.place_of(setting), std::move(text)));
    }

    Inventory& inventory_;
    Settings const& settings_;
};

void Taker::take_row(Row const& row) {
    auto const warn = [&](std::string text) {
        inventory_.problems.push_back(
            warning_at(row.place, fmt::format("key \"{}\" is not rotated: {}", printable(row.key), text)));
    };
    auto const value = parse_key_row(row.value);
    if (!value) return warn(value.error().text);
    if (value->has_placeholder()) return warn("\"%\" stands for many domains");
    auto const domain = to_lower(value->domain);
    if (auto good = check_domain(domain); !good) return warn(good.error().text);
    if (auto good = check_selector(value->selector); !good) return warn(good.error().text);
    auto const path = value->is_path() ? absolute(settings_, value->source) : std::string();
    if (value->is_path() && !path.starts_with('/'))
        return warn("its path is relative, and there is no BaseDirectory");
    auto const same = std::ranges::find_if(inventory_.keys, [&](KeyInUse const& key) {
        return key.domains[0] == domain && equals_ignoring_case(key.selector, value->selector);
    });
    if (same != inventory_.keys.end()) return same->lines.push_back(row.place.line);
    inventory_.keys.push_back(
        {KeyInUse::Where::key_table, {domain}, value->selector, path, row.place.file, {row.place.line}});
}

void Taker::take_table() {
    auto const value = absolute_set(settings_, settings_.key_table);
    bool const is_file = value.starts_with("file:") || value.starts_with("refile:") ||
                         value.starts_with('/') || value.starts_with('.');
    if (!is_file) return error("KeyTable", "only a KeyTable in a file (file: or refile:) can be rotated");
    auto const table = DataSetOpener().open(value, settings_.place_of("KeyTable"), inventory_.problems);
    if (!table) return error("KeyTable", table.error().text);
    for (auto const& row : *(*table)->rows()) take_row(row);
}

bool Taker::take_domains(KeyInUse& key) {
    auto const set = DataSetOpener().open(absolute_set(settings_, settings_.domain),
                                          settings_.place_of("Domain"), inventory_.problems);
    if (!set) return error("Domain", set.error().text), false;
    if ((*set)->rows() == nullptr) return error("Domain", "the domains cannot be listed"), false;
    for (auto const& row : *(*set)->rows()) {
        if (auto good = check_domain(row.key); !good) return error("Domain", good.error().text), false;
        key.domains.push_back(row.key);
    }
    return !key.domains.empty();
}

void Taker::take_settings() {
    auto const selector = settings_.place_of("Selector");
    auto const key_file = settings_.place_of("KeyFile");
    if (settings_.selector.empty() || settings_.key_file.empty())
        return error("KeyFile", "there is neither a KeyTable nor Selector and KeyFile: nothing signs");
    if (selector.file != key_file.file)
        return error("KeyFile",
                     fmt::format("KeyFile and Selector ({}) stand in two files, which cannot change in "
                                 "one step; move them into one",
                                 selector.to_string()));
    KeyInUse key{KeyInUse::Where::settings,
                 {},
                 settings_.selector,
                 absolute(settings_, settings_.key_file),
                 selector.file,
                 {selector.line, key_file.line}};
    if (!key.path.starts_with('/'))
        return error("KeyFile", "the path is relative, and there is no BaseDirectory");
    if (auto good = check_selector(key.selector); !good) return error("Selector", good.error().text);
    if (take_domains(key)) inventory_.keys.push_back(std::move(key));
}

// Where a value stands in its line.
struct Span {
    std::size_t begin;
    std::size_t size;
};

Span trimmed(std::string_view line, std::size_t begin, std::size_t end) {
    while (begin < end && is_space(line[begin])) ++begin;
    while (end > begin && is_space(line[end - 1])) --end;
    return {begin, end - begin};
}

// What follows the first word: the value of a setting, or of a row.
Span value_of(std::string_view line) {
    auto const end = std::min(line.find('#'), line.size());
    auto const name = trimmed(line, 0, end);
    auto const blank = std::min(line.find_first_of(" \t", name.begin), end);
    return trimmed(line, blank, end);
}

Result<std::string> with_new_row(std::string_view line, KeyInUse const& key, std::string_view selector,
                                 std::string_view path) {
    auto const value = value_of(line);
    auto const end = value.begin + value.size;
    auto const first = line.find(':', value.begin);
    auto const second = first < end ? line.find(':', first + 1) : std::string_view::npos;
    if (second >= end) return malformed("the row has changed");
    auto const old_selector = trimmed(line, first + 1, second);
    auto const old_source = trimmed(line, second + 1, end);
    if (line.substr(old_selector.begin, old_selector.size) != key.selector)
        return malformed("the row has changed");
    std::string changed(line);
    changed.replace(old_source.begin, old_source.size, path); // the later one first
    changed.replace(old_selector.begin, old_selector.size, selector);
    return changed;
}

std::string with_value(std::string_view line, std::string_view value) {
    auto const old = value_of(line);
    std::string changed(line);
    return changed.replace(old.begin, old.size, value);
}

Result<std::string> changed_line(std::string_view line, int number, KeyInUse const& key,
                                 std::string_view selector, std::string_view path) {
    if (key.where == KeyInUse::Where::key_table) return with_new_row(line, key, selector, path);
    return with_value(line, number == key.lines[0] ? selector : path);
}

} // namespace

std::string KeyInUse::place() const { return fmt::format("{}:{}", file, lines.empty() ? 0 : lines[0]); }

Inventory take_inventory(std::string const& configuration) {
    auto loaded = read_settings(configuration, {});
    Inventory inventory{std::move(loaded.settings), {}, std::move(loaded.problems)};
    if (config::has_errors(inventory.problems)) return inventory;
    if (!inventory.settings.change_root_directory.empty())
        inventory.problems.push_back(error_at(inventory.settings.place_of("ChangeRootDirectory"),
                                              "paths below a ChangeRootDirectory are not known here"));
    Taker taker(inventory);
    if (inventory.settings.key_table.empty())
        taker.take_settings();
    else
        taker.take_table();
    return inventory;
}

Result<std::string> with_new_key(KeyInUse const& key, std::string_view text, std::string_view selector,
                                 std::string_view path) {
    std::vector<std::string> lines;
    for (auto const line : split(text, '\n')) lines.emplace_back(line);
    for (auto const number : key.lines) {
        auto const index = static_cast<std::size_t>(number - 1);
        if (number < 1 || index >= lines.size()) return malformed(key.file + " has changed");
        auto changed = changed_line(lines[index], number, key, selector, path);
        if (!changed)
            return std::unexpected(std::move(changed.error()).within(fmt::format("{}:{}", key.file, number)));
        lines[index] = std::move(*changed);
    }
    return join(lines, "\n");
}

} // namespace postern::milter_dkim::tools
