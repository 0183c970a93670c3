// Parses options and prints the help.
#include "common/daemon/command_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace postern::daemon {

namespace {

OptionSpec const* find_letter(std::span<OptionSpec const> specs, char letter) {
    auto const found = std::ranges::find(specs, letter, &OptionSpec::letter);
    return found == specs.end() || letter == 0 ? nullptr : &*found;
}

OptionSpec const* find_long(std::span<OptionSpec const> specs, std::string_view name) {
    auto const found = std::ranges::find(specs, name, &OptionSpec::long_name);
    return found == specs.end() || name.empty() ? nullptr : &*found;
}

bool is_called(OptionSpec const& spec, std::string_view option) {
    return spec.long_name == option || (option.size() == 1 && spec.letter == option[0]);
}

std::string left_column(OptionSpec const& spec) {
    std::string out = spec.letter != 0 ? fmt::format("-{}", spec.letter) : "   ";
    if (!spec.long_name.empty()) out += fmt::format("{} --{}", spec.letter != 0 ? "," : "", spec.long_name);
    if (!spec.argument.empty()) out += fmt::format(" {}", spec.argument);
    return out;
}

// The arguments one after another.
class Feed {
  public:
    explicit Feed(std::span<char const* const> arguments) : rest_(arguments) {}
    bool empty() const { return rest_.empty(); }
    std::string_view take() {
        std::string_view const first = rest_.front();
        rest_ = rest_.subspan(1);
        return first;
    }

  private:
    std::span<char const* const> rest_;
};

using Given = std::vector<std::pair<OptionSpec, std::string>>;

Result<> take_long(std::string_view text, Feed& feed, std::span<OptionSpec const> specs, Given& given) {
    auto const equals = text.find('=');
    auto const name = text.substr(0, equals);
    auto const* spec = find_long(specs, name);
    if (spec == nullptr) return permanent(fmt::format("unknown option --{}", name));
    std::string value;
    if (spec->argument.empty()) {
        if (equals != std::string_view::npos)
            return permanent(fmt::format("option --{} takes no value", name));
    } else if (equals != std::string_view::npos) {
        value = text.substr(equals + 1);
    } else {
        if (feed.empty())
            return permanent(fmt::format("option --{} needs a value ({})", name, spec->argument));
        value = feed.take();
    }
    given.emplace_back(*spec, std::move(value));
    return {};
}

Result<> take_letters(std::string_view letters, Feed& feed, std::span<OptionSpec const> specs, Given& given) {
    while (!letters.empty()) {
        auto const* spec = find_letter(specs, letters.front());
        if (spec == nullptr) return permanent(fmt::format("unknown option -{}", letters.front()));
        letters.remove_prefix(1);
        if (spec->argument.empty()) {
            given.emplace_back(*spec, "");
            continue;
        }
        if (letters.empty() && feed.empty())
            return permanent(fmt::format("option -{} needs a value ({})", spec->letter, spec->argument));
        given.emplace_back(*spec, letters.empty() ? feed.take() : letters);
        return {};
    }
    return {};
}

} // namespace

Result<CommandLine> CommandLine::parse(std::span<char const* const> arguments,
                                       std::span<OptionSpec const> specs) {
    CommandLine line;
    Feed feed(arguments);
    bool only_operands = false;
    while (!feed.empty()) {
        auto const argument = feed.take();
        Result<> taken;
        if (only_operands || argument.size() < 2 || argument.front() != '-')
            line.operands_.emplace_back(argument);
        else if (argument == "--")
            only_operands = true;
        else if (argument.starts_with("--"))
            taken = take_long(argument.substr(2), feed, specs, line.given_);
        else
            taken = take_letters(argument.substr(1), feed, specs, line.given_);
        if (!taken) return std::unexpected(taken.error());
    }
    return line;
}

bool CommandLine::has(std::string_view option) const {
    return std::ranges::any_of(given_, [&](auto const& each) { return is_called(each.first, option); });
}

std::optional<std::string> CommandLine::value(std::string_view option) const {
    auto all = values(option);
    return all.empty() ? std::nullopt : std::optional(std::move(all.back()));
}

std::vector<std::string> CommandLine::values(std::string_view option) const {
    std::vector<std::string> found;
    for (auto const& [spec, value] : given_)
        if (is_called(spec, option)) found.push_back(value);
    return found;
}

std::string help_text(std::string_view synopsis, std::string_view summary,
                      std::span<OptionSpec const> specs) {
    constexpr std::size_t widest_column = 28;
    std::size_t column = 0;
    for (auto const& spec : specs)
        column = std::max(column, std::min(left_column(spec).size(), widest_column));
    auto out = fmt::format("Usage: {}\n\n{}\n\n", synopsis, summary);
    for (auto const& spec : specs)
        fmt::format_to(std::back_inserter(out), "  {:<{}}  {}\n", left_column(spec), column, spec.help);
    return out;
}

std::string version_text(std::string_view program) {
    return fmt::format("{} (Postern) {}\n", program, POSTERN_VERSION);
}

} // namespace postern::daemon
