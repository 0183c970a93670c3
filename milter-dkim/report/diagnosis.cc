// Decodes z= and writes it down.
#include "milter-dkim/report/diagnosis.h"

#include "common/base/text.h"
#include "common/net/descriptor.h"
#include "milter-dkim/message/quoted_printable.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace postern::milter_dkim {

namespace {

// A job id is the MTA's word; it must not lead out of the directory.
std::string file_name(std::string_view job_id) {
    auto name = replace_all(printable(job_id, 100), "/", ".");
    return name.starts_with('.') ? "_" + name : name;
}

} // namespace

std::optional<std::vector<std::string>> copied_fields(std::string_view z) {
    std::vector<std::string> fields;
    for (auto const piece : split(z, '|')) {
        auto field = read_quoted_printable(piece);
        if (!field || fields.size() >= max_copied_fields) return std::nullopt;
        fields.push_back(std::move(*field));
    }
    return fields;
}

std::string diagnosis_text(VerifiedMessage const& message) {
    auto const failed = message.first_failed();
    if (failed == VerifiedMessage::none) return {};
    auto const z = message.signatures[failed]->tags.find("z");
    if (!z || z->empty()) return {};
    auto const copied = copied_fields(*z);
    if (!copied) return {};
    std::string text = "z tag headers:\n\n";
    for (auto const& field : *copied) text += field + "\n";
    text += "--------------------\n\nReceived headers:\n\n";
    for (auto const& [name, value] : *message.headers) text += name + ":" + value + "\n";
    return text;
}

Result<> write_diagnosis(VerifiedMessage const& message, std::string const& directory) {
    auto const text = diagnosis_text(message);
    if (text.empty()) return {};
    auto const path = directory + "/" + file_name(message.job_id);
    constexpr int flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC;
    net::Descriptor const file(::open(path.c_str(), flags, 0600));
    if (!file) return system_error(path + ": open()", errno);
    if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        return system_error(path + ": write()", errno);
    return {};
}

} // namespace postern::milter_dkim
