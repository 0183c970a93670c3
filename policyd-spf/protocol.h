// Postfix's policy delegation protocol (SMTPD_POLICY_README): attributes in lines, an empty line, one action
// back.
#pragma once

#include "common/base/error.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace postern::policyd_spf {

// The attributes that SPF needs; absent when the request does not name them. Octets that are no UTF-8 have
// become U+FFFD, as stock has it.
struct Request {
    std::optional<std::string> client_address;
    std::optional<std::string> helo_name;
    std::optional<std::string> sender; // in the case it came in
    std::optional<std::string> recipient;
    std::optional<std::string> instance;
    std::optional<std::string> queue_id;
};

class Decoder {
  public:
    static constexpr std::size_t max_line = 16384;
    static constexpr std::size_t max_request = 262144; // octets of all lines of one request

    // Told of every line as it was understood, without its end; matched is false for what is neither
    // "name=value" nor empty.
    using LineWatcher = std::function<void(std::string_view line, bool matched)>;
    explicit Decoder(LineWatcher watcher = {}) : watcher_(std::move(watcher)) {}

    void feed(std::string_view bytes) { buffer_ += bytes; }
    // Absent: more bytes are needed. A line or request over its limit is malformed; nothing works after it.
    Result<std::optional<Request>> next();

  private:
    void take_line(std::string const& line);

    LineWatcher watcher_;
    std::string buffer_;
    std::size_t taken_ = 0;   // octets of buffer_ that have been read
    std::size_t scanned_ = 0; // the same, and those behind them without a line end
    std::size_t used_ = 0;    // octets of this request so far
    Request request_;
};

// Text of an action is one line: controls become '?'.
std::string encode_action(std::string_view action);

} // namespace postern::policyd_spf
