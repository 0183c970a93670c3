// The two places where lines go.
#include "common/base/log.h"

#include "common/base/text.h"

#include <syslog.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <optional>
#include <utility>

namespace postern {

namespace {

constexpr std::size_t max_line = 2000; // octets of one log line

constexpr std::array<std::pair<std::string_view, int>, 20> facilities{{
    {"auth", LOG_AUTH},     {"authpriv", LOG_AUTHPRIV}, {"cron", LOG_CRON},     {"daemon", LOG_DAEMON},
    {"ftp", LOG_FTP},       {"kern", LOG_KERN},         {"lpr", LOG_LPR},       {"mail", LOG_MAIL},
    {"news", LOG_NEWS},     {"syslog", LOG_SYSLOG},     {"user", LOG_USER},     {"uucp", LOG_UUCP},
    {"local0", LOG_LOCAL0}, {"local1", LOG_LOCAL1},     {"local2", LOG_LOCAL2}, {"local3", LOG_LOCAL3},
    {"local4", LOG_LOCAL4}, {"local5", LOG_LOCAL5},     {"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7},
}};

std::optional<int> facility_code(std::string_view name) {
    for (auto const& [known, code] : facilities)
        if (equals_ignoring_case(known, name)) return code;
    return std::nullopt;
}

int priority(LogLevel level) {
    switch (level) {
    case LogLevel::debug: return LOG_DEBUG;
    case LogLevel::info: return LOG_INFO;
    case LogLevel::notice: return LOG_NOTICE;
    case LogLevel::warning: return LOG_WARNING;
    case LogLevel::error: return LOG_ERR;
    case LogLevel::critical: return LOG_CRIT;
    }
    return LOG_ERR;
}

} // namespace

bool is_log_facility(std::string_view name) { return facility_code(name).has_value(); }

std::string_view to_string(LogLevel level) {
    switch (level) {
    case LogLevel::debug: return "debug";
    case LogLevel::info: return "info";
    case LogLevel::notice: return "notice";
    case LogLevel::warning: return "warning";
    case LogLevel::error: return "error";
    case LogLevel::critical: return "critical";
    }
    return "error";
}

SyslogLog::SyslogLog(std::string identity, std::string_view facility) : identity_(std::move(identity)) {
    openlog(identity_.c_str(), LOG_PID | LOG_NDELAY, facility_code(facility).value_or(LOG_MAIL));
}

SyslogLog::~SyslogLog() { closelog(); }

void SyslogLog::put(LogLevel level, std::string_view line) {
    line = line.substr(0, max_line);
    syslog(priority(level), "%.*s", static_cast<int>(line.size()), line.data());
}

StreamLog::StreamLog(std::string identity, int descriptor)
    : identity_(std::move(identity)), descriptor_(descriptor),
      journal_(std::getenv("JOURNAL_STREAM") != nullptr) {}

void StreamLog::put(LogLevel level, std::string_view line) {
    line = line.substr(0, max_line);
    std::string_view const mark = level >= LogLevel::error     ? "error: "
                                  : level == LogLevel::warning ? "warning: "
                                                               : "";
    auto const whole = journal_ ? fmt::format("<{}>{}\n", priority(level), line)
                                : fmt::format("{}[{}]: {}{}\n", identity_, getpid(), mark, line);
    // One write(2), so that lines of several threads do not mix. A full or closed stderr is nobody's failure.
    [[maybe_unused]] auto const written = ::write(descriptor_, whole.data(), whole.size());
}

} // namespace postern
