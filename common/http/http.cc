// HTTP through libcurl's easy interface, connections being kept for the next request.
#include "common/http/http.h"

#include "common/base/secret.h"
#include "common/base/text.h"

#include <algorithm>
#include <cstring>

#if POSTERN_HTTP
#include <curl/curl.h>
#endif

namespace postern::http {

Request::~Request() {
    wipe(url);
    for (auto& header : headers) wipe(header);
    if (body) wipe(*body);
}

namespace {

// A string that grows by itself leaves what it held in freed memory.
void make_room(std::string& text, std::size_t more) {
    if (text.capacity() - text.size() >= more) return;
    std::string larger;
    larger.reserve(2 * text.size() + more);
    larger.append(text);
    wipe(text);
    text = std::move(larger);
}

} // namespace

void append_secret(std::string& text, std::string_view more) {
    make_room(text, more.size());
    text.append(more);
}

void append_percent_encoded(std::string& text, std::string_view more) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    make_room(text, 3 * more.size());
    for (char const c : more) {
        auto const octet = static_cast<unsigned char>(c);
        if (is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~')
            text += c;
        else
            text.append(1, '%').append(1, digits[octet >> 4]).append(1, digits[octet & 15]);
    }
}

namespace {

struct UrlParts {
    std::string_view scheme; // with "://"
    std::string_view user;   // with '@'
    std::string_view rest;   // host and path
};

UrlParts url_parts(std::string_view url) {
    auto const scheme_end = url.find("://");
    if (scheme_end == std::string_view::npos) return {};
    UrlParts parts{url.substr(0, scheme_end + 3), {}, url.substr(scheme_end + 3)};
    parts.rest = parts.rest.substr(0, parts.rest.find_first_of("?#"));
    auto const host_end = std::min(parts.rest.find('/'), parts.rest.size());
    if (auto const at = parts.rest.substr(0, host_end).rfind('@'); at != std::string_view::npos) {
        parts.user = parts.rest.substr(0, at + 1);
        parts.rest.remove_prefix(at + 1);
    }
    return parts;
}

} // namespace

std::string server_part(std::string_view url) {
    auto const parts = url_parts(url);
    return printable(std::string(parts.scheme) + std::string(parts.rest.substr(0, parts.rest.find('/'))));
}

bool has_user(std::string_view url) { return !url_parts(url).user.empty(); }

bool is_usable_url(std::string_view url) {
    auto const known =
        starts_with_ignoring_case(url, "http://") || starts_with_ignoring_case(url, "https://");
    return known && std::ranges::all_of(url, [](char c) { return is_printable(c) && c != ' '; }) &&
           !url_parts(url).rest.empty() && !url_parts(url).rest.starts_with("/");
}

#if POSTERN_HTTP

namespace {

constexpr std::size_t idle_handles = 32; // each keeps its connection to the server

struct HandleCloser {
    void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
using Handle = std::unique_ptr<CURL, HandleCloser>;
struct ListCloser {
    void operator()(curl_slist* list) const {
        for (auto* each = list; each != nullptr; each = each->next)
            wipe({each->data, std::strlen(each->data)});
        curl_slist_free_all(list);
    }
};

extern "C" std::size_t take_body(char* data, std::size_t, std::size_t size, void* target) {
    auto& body = *static_cast<std::string*>(target);
    if (body.size() + size > answer_limit) return 0; // ends the transfer with CURLE_WRITE_ERROR
    body.append(data, size);
    return size;
}

class CurlClient final : public Client {
  public:
    CurlClient(TlsSettings tls, std::string user_agent)
        : tls_(std::move(tls)), user_agent_(std::move(user_agent)) {}

    Result<Answer> send(Request const& request, Deadline deadline) const override {
        auto handle = take();
        if (!handle) return temporary("HTTP: no memory");
        Answer answer;
        std::unique_ptr<curl_slist, ListCloser> headers;
        prepare(handle.get(), request, deadline, answer.body, headers);
        auto const code = deadline.expired() ? CURLE_OPERATION_TIMEDOUT : curl_easy_perform(handle.get());
        if (code != CURLE_OK)
            return temporary(server_part(request.url) + ": " +
                             (code == CURLE_WRITE_ERROR
                                  ? "the answer has more than " + std::to_string(answer_limit) + " octets"
                                  : curl_easy_strerror(code)));
        curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &answer.status);
        give_back(std::move(handle));
        return answer;
    }

  private:
    void prepare(CURL* handle, Request const& request, Deadline deadline, std::string& body,
                 std::unique_ptr<curl_slist, ListCloser>& headers) const {
        curl_easy_reset(handle); // connections stay
        curl_easy_setopt(handle, CURLOPT_URL, request.url.c_str());
        curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
        curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L); // timeouts without signals, for threads
        curl_easy_setopt(handle, CURLOPT_PROXY, "");    // the environment is not our configuration
        curl_easy_setopt(handle, CURLOPT_USERAGENT, user_agent_.c_str());
        auto const left = std::max<long>(
            1, static_cast<long>(std::min<std::int64_t>(deadline.remaining().count(), 3'600'000)));
        curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, left);
        curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, left);
#if LIBCURL_VERSION_NUM >= 0x075700
        // Else a timeout waits for the thread that asks DNS, which takes as long as resolv.conf(5) says.
        curl_easy_setopt(handle, CURLOPT_QUICK_EXIT, 1L);
#endif
        curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, take_body);
        curl_easy_setopt(handle, CURLOPT_WRITEDATA, &body);
        auto const add = [&](std::string const& line) {
            if (auto* longer = curl_slist_append(headers.get(), line.c_str())) {
                (void)headers.release();
                headers.reset(longer);
            }
        };
        for (auto const& line : request.headers) add(line);
        if (request.body) {
            add("Content-Type: " + request.content_type);
            add("Expect:"); // no second round trip for a long body
            curl_easy_setopt(handle, CURLOPT_POST, 1L);
            curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request.body->data());
            curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE, static_cast<long>(request.body->size()));
        }
        curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.get());
        prepare_tls(handle);
    }

    void prepare_tls(CURL* handle) const {
        auto const set = [handle](CURLoption option, std::string const& value) {
            if (!value.empty()) curl_easy_setopt(handle, option, value.c_str());
        };
        set(CURLOPT_CAINFO, tls_.ca_file);
        set(CURLOPT_CAPATH, tls_.ca_directory);
        set(CURLOPT_SSLCERT, tls_.certificate_file);
        set(CURLOPT_SSLKEY, tls_.key_file);
        set(CURLOPT_SSL_CIPHER_LIST, tls_.ciphers);
        curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, tls_.verify ? 1L : 0L);
        curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, tls_.verify ? 2L : 0L);
    }

    Handle take() const {
        std::lock_guard const lock(mutex_);
        if (idle_.empty()) return Handle(curl_easy_init());
        auto handle = std::move(idle_.back());
        idle_.pop_back();
        return handle;
    }
    void give_back(Handle handle) const {
        std::lock_guard const lock(mutex_);
        if (idle_.size() < idle_handles) idle_.push_back(std::move(handle));
    }

    TlsSettings const tls_;
    std::string const user_agent_;
    mutable std::mutex mutex_; // guards idle_
    mutable std::vector<Handle> idle_;
};

} // namespace

bool is_available() { return true; }

std::unique_ptr<Client> make_client(TlsSettings tls, std::string user_agent) {
    static auto const ready = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (ready != CURLE_OK) return nullptr;
    return std::make_unique<CurlClient>(std::move(tls), std::move(user_agent));
}

#else

bool is_available() { return false; }
std::unique_ptr<Client> make_client(TlsSettings, std::string) { return nullptr; }

#endif

} // namespace postern::http
