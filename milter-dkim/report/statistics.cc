// Form of version 3, which OpenDKIM 2.11 writes.
#include "milter-dkim/report/statistics.h"

#include "common/base/text.h"
#include "common/net/descriptor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace postern::milter_dkim {

namespace {

constexpr std::string_view version_line = "V3\n";

// Tabs and line ends part the values.
std::string word(std::string_view text) {
    auto const out = printable(text, 255);
    return out.empty() ? "-" : replace_all(out, "\t", " ");
}

int number_of(Atps result) {
    switch (result) {
    case Atps::neutral: return -1;
    case Atps::fail: return 0;
    case Atps::pass: return 1;
    }
    return -1;
}

// libopendkim's DKIM_DNSSEC_*.
int number_of_dnssec(std::string_view dnssec) {
    if (dnssec == "bogus") return 0;
    if (dnssec == "unprotected") return 1;
    return dnssec == "secure" ? 2 : -1;
}

} // namespace

std::string statistics_record(VerifiedMessage const& message, Atps atps, std::string const& reporter,
                              std::int64_t now) {
    auto const& results = message.results;
    auto const address = message.client_address.empty() ? "unknown" : message.client_address;
    auto text = fmt::format("M{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t-1\n", word(message.job_id), word(reporter),
                            word(message.sender_domain), word(address), now,
                            results.empty() ? 0 : results.front().covered, results.size(), number_of(atps));
    for (auto const& each : results) {
        // What was not looked at has no record.
        if (each.kind == SignatureResult::Kind::neutral && each.error <= 0) continue;
        text += fmt::format("S{}\t{}\t{}\t{}\t{}\t{}\n", word(each.domain),
                            each.kind == SignatureResult::Kind::pass ? 1 : 0, each.body_hash == 1 ? 1 : 0,
                            each.limit, each.error, number_of_dnssec(each.dnssec));
    }
    return text;
}

Result<> append_statistics(std::string const& path, std::string const& record) {
    constexpr int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC;
    net::Descriptor const file(::open(path.c_str(), flags, 0666));
    if (!file) return system_error(path, errno);
    struct stat status{};
    // The reader moves the file away; the version line is for the first who finds it empty.
    if (::flock(file.get(), LOCK_EX) != 0 || ::fstat(file.get(), &status) != 0)
        return system_error(path, errno);
    auto const text = (status.st_size == 0 ? std::string(version_line) : std::string()) + record;
    if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        return system_error("write " + path, errno);
    return {};
}

} // namespace postern::milter_dkim
