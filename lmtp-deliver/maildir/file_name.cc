// Makes file names.
#include "lmtp-deliver/maildir/file_name.h"

#include "common/base/text.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <chrono>

namespace postern::lmtp_deliver {

FileNames::FileNames(std::string_view host, Clock clock) : clock_(std::move(clock)) {
    host_ = replace_all(replace_all(replace_all(host, "/", "\\057"), ":", "\\072"), ",", "\\054");
    for (char& c : host_)
        if (!is_printable(c) || c == ' ') c = '_';
}

FileNames::Time FileNames::system_time() {
    auto const now = std::chrono::duration_cast<std::chrono::microseconds>(
                         std::chrono::system_clock::now().time_since_epoch())
                         .count();
    return {now / 1000000, now % 1000000};
}

std::string FileNames::next() {
    std::lock_guard const lock(mutex_);
    auto now = clock_();
    bool const later = now.seconds > last_.seconds ||
                       (now.seconds == last_.seconds && now.microseconds > last_.microseconds);
    if (!later) {
        now = last_;
        if (++now.microseconds == 1000000) now = {now.seconds + 1, 0};
    }
    last_ = now;
    return fmt::format("{}.M{}P{}.{}", now.seconds, now.microseconds, ::getpid(), host_);
}

std::string with_sizes(std::string_view name, MessageSize size) {
    return fmt::format("{},S={},W={}", name, size.octets, size.virtual_octets);
}

std::string this_host() {
    std::array<char, 256> name{};
    if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "localhost";
    return name.data();
}

} // namespace postern::lmtp_deliver
