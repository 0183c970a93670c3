// The DNS questions of a check.
#include "common/spf/evaluation.h"
#include "common/spf/trace.h"

#include <algorithm>

namespace postern::spf {

namespace {

constexpr std::size_t max_ptr = 10; // RFC 7208 4.6.4: more are left out

} // namespace

dns::RecordType Evaluation::address_type() const {
    return client_.is_v4() ? dns::RecordType::a : dns::RecordType::aaaa;
}

Evaluation::Answers Evaluation::lookup(std::string const& name, bool by_macro, dns::RecordType type,
                                       unsigned level) {
    auto answers = ask(name, type, level);
    if (!answers) return answers;
    if (!answers->empty() || !dns::is_askable(name)) {
        if (trace_)
            tell(level, "lookup {} {}: {}", name, dns::to_string(type), shown_records(*answers, type));
        return answers;
    }
    auto& voids = outcome_.void_names;
    voids.push_back(fmt::format("{} {}", name, dns::to_string(type)));
    if (!by_macro) outcome_.dead_names.push_back(name);
    tell(level, "lookup {}: none ({} of {} void lookups)", voids.back(), voids.size(), limits_.void_lookups);
    if (voids.size() > limits_.void_lookups)
        return permanent(fmt::format("Void lookup limit of {} exceeded", limits_.void_lookups));
    return answers;
}

Evaluation::Answers Evaluation::ask_and_tell(std::string const& name, dns::RecordType type, unsigned level) {
    auto answers = ask(name, type, level);
    if (answers && trace_)
        tell(level, "lookup {} {}: {}", name, dns::to_string(type), shown_records(*answers, type));
    return answers;
}

Evaluation::Answers Evaluation::ask(std::string const& name, dns::RecordType type, unsigned level) {
    // RFC 7208 4.3 and 4.8: a name that cannot be asked for has no records.
    if (!dns::is_askable(name)) return std::vector<dns::DnsRecord>();
    auto answer = resolver_.lookup(name, type, deadline_);
    if (!answer) {
        tell(level, "lookup {} {}: {}", name, dns::to_string(type), answer.error().text);
        return temporary(std::move(answer.error().text));
    }
    return std::move(answer->records);
}

// RFC 7208 5.5: the client's names whose addresses hold the client.
std::vector<std::string> const& Evaluation::validated_names(unsigned level) {
    if (validated_names_) return *validated_names_;
    validated_names_.emplace();
    auto const names = ask_and_tell(dns::reverse_name(client_.octets()), dns::RecordType::ptr, level);
    if (!names) return *validated_names_;
    for (std::size_t i = 0; i < std::min(names->size(), max_ptr); ++i) {
        auto const& name = (*names)[i].data;
        auto const addresses = ask_and_tell(name, address_type(), level);
        if (addresses && std::ranges::any_of(*addresses, [&](dns::DnsRecord const& record) {
                return record.data == client_.octets();
            }))
            validated_names_->push_back(name);
    }
    return *validated_names_;
}

} // namespace postern::spf
