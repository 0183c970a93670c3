// Help, version, problems and the log.
#include "common/daemon/startup.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace postern::daemon {

namespace {

void print(std::FILE* where, std::string const& text) { std::fputs(text.c_str(), where); }

} // namespace

std::optional<int> answer_standard_options(ProgramText const& text, Result<CommandLine> const& line,
                                           std::span<OptionSpec const> specs) {
    if (!line) {
        print(stderr, fmt::format("{}: {} (try {} --help)\n", text.name, line.error().text, text.name));
        return exit_usage;
    }
    if (line->has("help")) {
        print(stdout, help_text(text.synopsis, text.summary, specs));
        return exit_ok;
    }
    if (line->has("version")) {
        print(stdout, version_text(text.name));
        return exit_ok;
    }
    return std::nullopt;
}

void report_problems(std::string_view program, std::vector<config::Problem> const& problems, Log* log) {
    for (auto const& problem : problems) {
        auto const line = problem.to_string();
        print(stderr, fmt::format("{}: {}\n", program, line));
        bool const is_error = problem.severity == config::Problem::Severity::error;
        if (log != nullptr) log->write(is_error ? LogLevel::error : LogLevel::warning, line);
    }
}

std::string first_existing(std::span<std::string_view const> paths) {
    for (auto const path : paths)
        if (::access(std::string(path).c_str(), F_OK) == 0) return std::string(path);
    return paths.empty() ? std::string() : std::string(paths.front());
}

std::unique_ptr<Log> make_log(LogChoice const& choice) {
    std::unique_ptr<Log> log;
    if (choice.syslog && std::getenv("JOURNAL_STREAM") == nullptr)
        log = std::make_unique<SyslogLog>(choice.identity, choice.facility);
    else
        log = std::make_unique<StreamLog>(choice.identity);
    if (choice.debug) log->set_threshold(LogLevel::debug);
    return log;
}

} // namespace postern::daemon
