// Requests to HTTP servers that the configuration names: bounded in time, in size and in where they lead.
#pragma once

#include "common/base/clock.h"
#include "common/base/error.h"

#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::http {

// Wiped when it goes: passwords and tokens stand in it.
struct Request {
    std::string url;                  // http: or https:; user and password may stand in it
    std::vector<std::string> headers; // "Name: value"
    std::string content_type;         // of the body
    std::optional<std::string> body;  // POST; absent: GET

    ~Request();
};

struct Answer {
    long status = 0;
    std::string body;
};

struct TlsSettings {
    std::string ca_file, ca_directory; // empty: the system's
    std::string certificate_file, key_file;
    std::string ciphers; // OpenSSL's; empty: the library's choice
    bool verify = true;
};

inline constexpr std::size_t answer_limit = 65536;

// Thread-safe.
class Client {
  public:
    virtual ~Client() = default;
    // Temporary error: no answer before the deadline, or one longer than answer_limit. A redirect is an
    // answer and is not followed: what is sent here is meant for this server only.
    virtual Result<Answer> send(Request const& request, Deadline deadline) const = 0;
};

// False: built without libcurl; a configuration that needs HTTP is to be refused.
bool is_available();
// Null where is_available() is false. The first call must be made before there are threads.
std::unique_ptr<Client> make_client(TlsSettings tls, std::string user_agent);

// Puts more behind a text so that no copy of either stays behind in freed memory.
void append_secret(std::string& text, std::string_view more);
// "a b&c" as it stands in a query or a form: only unreserved characters stay (RFC 3986 2.3).
void append_percent_encoded(std::string& text, std::string_view more);
// Scheme and host, for the log: no password, and neither path nor query, which may hold a token.
std::string server_part(std::string_view url);
// "https://user:password@host/"
bool has_user(std::string_view url);
// http: or https: with a host.
bool is_usable_url(std::string_view url);

} // namespace postern::http
