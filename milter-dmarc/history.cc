// HistoryFile: one block of lines for each message.
#include "milter-dmarc/history.h"

#include "common/base/text.h"
#include "common/net/descriptor.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <thread>

namespace postern::milter_dmarc {

namespace {

// The importer splits at blanks and line ends.
std::string word(std::string_view text) {
    std::string out(text.empty() ? "-" : text);
    for (char& c : out)
        if (is_space(c) || !is_printable(c)) c = '?';
    return out;
}

// OpenDMARC's numbers of authentication results.
int result_number(std::string_view result) {
    static constexpr std::array<std::pair<std::string_view, int>, 8> numbers{{{"pass", 0},
                                                                              {"softfail", 2},
                                                                              {"neutral", 3},
                                                                              {"temperror", 4},
                                                                              {"permerror", 5},
                                                                              {"none", 6},
                                                                              {"fail", 7},
                                                                              {"policy", 8}}};
    for (auto const& [name, number] : numbers)
        if (name == result) return number;
    return 11; // unknown
}

int enforced_policy_number(Evaluation const& evaluation) {
    if (evaluation.result == DmarcResult::pass) return 15;
    if (evaluation.result != DmarcResult::fail) return 14; // absent
    switch (evaluation.policy) {
    case Policy::reject: return 16;
    case Policy::quarantine: return 17;
    case Policy::none: return 18;
    }
    return 14;
}

char letter(Policy policy) { return to_string(policy).front(); }
char letter(Alignment alignment) { return alignment == Alignment::strict ? 's' : 'r'; }

std::string record_lines(Evaluation const& evaluation) {
    auto const* const record = evaluation.found ? &evaluation.found->record : nullptr;
    std::string text;
    if (record != nullptr)
        for (auto const& uri : record->rua) text += "rua " + word(uri) + "\n";
    if (text.empty()) text = "rua -\n";
    return text + fmt::format("pct {}\nadkim {}\naspf {}\np {}\nsp {}\n", record ? record->pct : 100,
                              record ? int{letter(record->adkim)} : 0, record ? int{letter(record->aspf)} : 0,
                              record ? int{letter(record->p)} : 0,
                              record && record->sp ? int{letter(*record->sp)} : 0);
}

Result<> write_all(int descriptor, std::string const& path, std::string const& text) {
    struct ::stat before{};
    if (::fstat(descriptor, &before) != 0) return system_error(path, errno);
    auto const written = ::write(descriptor, text.data(), text.size());
    if (written == static_cast<ssize_t>(text.size())) return {};
    int const reason = written < 0 ? errno : ENOSPC;
    // Half a block would spoil the next one.
    if (written > 0 && ::ftruncate(descriptor, before.st_size) != 0) return system_error(path, errno);
    return system_error(path, reason);
}

Result<> lock(int descriptor, std::string const& path, Deadline deadline) {
    while (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) return system_error(path, errno);
        if (deadline.expired()) return temporary(path + ": locked by another process");
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return {};
}

bool is_still(int descriptor, std::string const& path) {
    struct ::stat open_file{};
    struct ::stat named_file{};
    return ::fstat(descriptor, &open_file) == 0 && ::stat(path.c_str(), &named_file) == 0 &&
           open_file.st_ino == named_file.st_ino && open_file.st_dev == named_file.st_dev;
}

} // namespace

std::string history_text(HistoryEntry const& entry) {
    auto const& [job, reporter, received, author, envelope, identities, evaluation, action] = entry;
    auto text = fmt::format("job {}\nreporter {}\nreceived {}\nipaddr {}\nfrom {}\nmfrom {}\n", word(job),
                            word(reporter), received, word(envelope.client_address), word(author),
                            word(envelope.sender_domain));
    for (auto const& each : identities.dkim)
        text += fmt::format("dkim {} {} {}\n", word(each.domain), word(each.selector),
                            result_number(each.result));
    text += fmt::format("spf {}\n", identities.spf ? result_number(identities.spf->result) : -1);
    text += fmt::format("pdomain {}\npolicy {}\n", word(evaluation.found ? evaluation.found->domain : author),
                        enforced_policy_number(evaluation));
    text += record_lines(evaluation);
    text += fmt::format("align_dkim {}\nalign_spf {}\n", evaluation.dkim_aligned ? 4 : 5,
                        evaluation.spf_aligned ? 4 : 5);
    // No ARC result was used: what the importer's table takes for that.
    text += fmt::format("arc 7\narc_policy 2 json:[]\naction {}\n", static_cast<int>(action));
    return text;
}

Result<> append_history(std::string const& path, std::string const& text, Deadline deadline) {
    while (true) {
        net::Descriptor const file(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666));
        if (!file) return system_error(path, errno);
        if (auto locked = lock(file.get(), path, deadline); !locked) return locked;
        // The importer moves the file away and reads it then: a block for the old file would come too late.
        if (is_still(file.get(), path)) return write_all(file.get(), path, text);
        if (deadline.expired()) return temporary(path + ": it is replaced all the time");
    }
}

} // namespace postern::milter_dmarc
