// One request, one answer, closed.
#include "common/daemon/metrics_session.h"

#include "common/base/text.h"

#include <fmt/format.h>

namespace postern::daemon {

namespace {

std::string response(std::string_view status, std::string_view type, std::string_view body) {
    return fmt::format("HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
                       status, type, body.size(), body);
}

} // namespace

Result<std::string> MetricsSession::receive(std::string_view bytes) {
    request_.append(bytes.substr(0, max_request + 1 - request_.size()));
    bool const whole = request_.contains("\r\n\r\n") || request_.contains("\n\n");
    if (!whole && request_.size() <= max_request) return "";
    finished_ = true;
    if (!whole) return response("431 Request Header Fields Too Large", "text/plain", "too long\n");
    return answer();
}

std::string MetricsSession::answer() const {
    auto const words = split_words(std::string_view(request_).substr(0, request_.find('\n')));
    if (words.size() < 2 || words[0] != "GET")
        return response("405 Method Not Allowed", "text/plain", "GET only\n");
    if (words[1] != "/metrics" && words[1] != "/")
        return response("404 Not Found", "text/plain", "see /metrics\n");
    return response("200 OK", "text/plain; version=0.0.4; charset=utf-8", metrics_.text());
}

} // namespace postern::daemon
