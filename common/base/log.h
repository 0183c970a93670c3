// One line per outcome, to syslog, the journal or standard error; tests put their own log in its place.
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace postern {

enum class LogLevel { debug, info, notice, warning, error, critical };

std::string_view to_string(LogLevel level);

// Thread-safe. A line has no line end and is cut at 2000 octets; strangers' octets come in through
// printable().
class Log {
  public:
    virtual ~Log() = default;

    void set_threshold(LogLevel lowest) { threshold_ = lowest; }
    bool would_write(LogLevel level) const { return level >= threshold_.load(); }
    void write(LogLevel level, std::string_view line) {
        if (would_write(level)) put(level, line);
    }
    template <class... T>
    void debug(fmt::format_string<T...> format, T&&... values) {
        say(LogLevel::debug, format, std::forward<T>(values)...);
    }
    template <class... T>
    void info(fmt::format_string<T...> format, T&&... values) {
        say(LogLevel::info, format, std::forward<T>(values)...);
    }
    template <class... T>
    void notice(fmt::format_string<T...> format, T&&... values) {
        say(LogLevel::notice, format, std::forward<T>(values)...);
    }
    template <class... T>
    void warning(fmt::format_string<T...> format, T&&... values) {
        say(LogLevel::warning, format, std::forward<T>(values)...);
    }
    template <class... T>
    void error(fmt::format_string<T...> format, T&&... values) {
        say(LogLevel::error, format, std::forward<T>(values)...);
    }

  protected:
    virtual void put(LogLevel level, std::string_view line) = 0;

  private:
    template <class... T>
    void say(LogLevel level, fmt::format_string<T...> format, T&&... values) {
        if (would_write(level)) put(level, fmt::format(format, std::forward<T>(values)...));
    }
    std::atomic<LogLevel> threshold_{LogLevel::info};
};

// syslog(3). One per process: the identity is the process's.
class SyslogLog final : public Log {
  public:
    // facility by its name ("mail", "local0" .. "local7", "daemon"); an unknown name is taken as mail.
    SyslogLog(std::string identity, std::string_view facility);
    ~SyslogLog() override;

  protected:
    void put(LogLevel level, std::string_view line) override;

  private:
    std::string identity_;
};

// Lines "identity[pid]: text" on a descriptor; under systemd (JOURNAL_STREAM) "<N>text", so that the journal
// keeps the level.
class StreamLog final : public Log {
  public:
    explicit StreamLog(std::string identity, int descriptor = 2);

  protected:
    void put(LogLevel level, std::string_view line) override;

  private:
    std::string identity_;
    int descriptor_;
    bool journal_;
};

// Drops everything: for tools that print their own answers.
class NullLog final : public Log {
  protected:
    void put(LogLevel, std::string_view) override {}
};

bool is_log_facility(std::string_view name);

} // namespace postern
