// The parts of the settings table that need no Settings type.
#include "common/config/settings.h"

#include "common/base/text.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>

namespace postern::config {

namespace {

constexpr std::size_t max_file = 1 << 20; // octets of one configuration file
constexpr std::size_t help_width = 98;    // columns of a comment line in the printed defaults

struct FileCloser {
    int fd;
    ~FileCloser() { ::close(fd); }
};

void append_comment(std::string& out, std::string_view help) {
    std::string line = "#";
    for (auto const word : split_words(help)) {
        if (line.size() + 1 + word.size() > help_width) {
            out += line + "\n";
            line = "#";
        }
        line += fmt::format(" {}", word);
    }
    if (line.size() > 1) out += line + "\n";
}

} // namespace

std::string Place::to_string() const { return line > 0 ? fmt::format("{}:{}", file, line) : file; }

std::string Problem::to_string() const {
    auto const where = place.to_string();
    return fmt::format("{}{}{}{}", where, where.empty() ? "" : ": ",
                       severity == Severity::warning ? "warning: " : "", text);
}

bool has_errors(std::vector<Problem> const& problems) {
    return std::ranges::any_of(problems,
                               [](auto const& p) { return p.severity == Problem::Severity::error; });
}

std::string unknown_setting(std::string_view name, std::vector<std::string_view> const& known) {
    auto const shown = printable(name, 64);
    if (auto const nearest = nearest_name(name, known))
        return fmt::format("unknown setting \"{}\"; did you mean \"{}\"?", shown, *nearest);
    return fmt::format("unknown setting \"{}\"", shown);
}

bool names_match(std::string_view a, std::string_view b, NameCase name_case) {
    return name_case == NameCase::exact ? a == b : equals_ignoring_case(a, b);
}

std::string defaults_text(std::vector<DefaultRow> const& rows, FileStyle style) {
    std::string out;
    for (auto const& row : rows) {
        append_comment(out, row.help);
        if (!row.no_effect.empty())
            append_comment(out, fmt::format("Accepted, no effect: {}", row.no_effect));
        fmt::format_to(std::back_inserter(out), "{}{}{}{}\n\n", row.default_text.empty() ? "#" : "", row.name,
                       style == FileStyle::words ? "\t" : " = ", row.default_text);
    }
    return out;
}

Result<std::string> read_file(std::string const& path) {
    int const fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return system_error(path, errno, ErrorKind::permanent);
    FileCloser const closer{fd};
    struct stat status{};
    if (::fstat(fd, &status) != 0) return system_error(path, errno, ErrorKind::permanent);
    if (!S_ISREG(status.st_mode)) return permanent(fmt::format("{}: not a regular file", path));
    std::string text;
    std::array<char, 16384> buffer{};
    for (;;) {
        auto const n = ::read(fd, buffer.data(), buffer.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return system_error(path, errno, ErrorKind::permanent);
        if (n == 0) return text;
        text.append(buffer.data(), static_cast<std::size_t>(n));
        if (text.size() > max_file) return permanent(fmt::format("{}: larger than 1 MiB", path));
    }
}

Result<bool> parse_boolean(std::string_view value) {
    for (auto const* yes : {"yes", "true", "on", "1", "y", "t"})
        if (equals_ignoring_case(value, yes)) return true;
    for (auto const* no : {"no", "false", "off", "0", "n", "f"})
        if (equals_ignoring_case(value, no)) return false;
    return permanent(fmt::format("\"{}\" is neither yes nor no", printable(value, 64)));
}

Result<int> parse_integer(std::string_view value, int lowest, int highest) {
    auto const number = parse_number<int>(value);
    if (!number || *number < lowest || *number > highest)
        return permanent(
            fmt::format("\"{}\" is not a number from {} to {}", printable(value, 64), lowest, highest));
    return *number;
}

Result<unsigned> parse_mode(std::string_view value) {
    auto const mode = parse_number<unsigned>(value, 8);
    if (!mode || *mode > 07777)
        return permanent(fmt::format("\"{}\" is not an octal mode such as 0660", printable(value, 64)));
    return *mode;
}

} // namespace postern::config
