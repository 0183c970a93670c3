// Domain names in the one form that is compared.
#include "common/mail/domain.h"

#include "common/base/text.h"

#include <idn2.h>

#include <algorithm>
#include <memory>

namespace postern::mail {

namespace {

inline constexpr std::size_t longest_name = 253; // RFC 1035 2.3.4, in text form
inline constexpr std::size_t longest_label = 63;
inline constexpr std::size_t longest_input = 1024; // U-labels are longer in UTF-8 than what they become

bool is_ascii(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

std::optional<std::string> as_a_labels(std::string const& domain) {
    char* output = nullptr;
    int const status = idn2_to_ascii_8z(domain.c_str(), &output, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    std::unique_ptr<char, void (*)(void*)> const owned(output, idn2_free);
    if (status != IDN2_OK || !owned) return std::nullopt;
    return std::string(owned.get());
}

bool is_good_label(std::string_view label) {
    return !label.empty() && label.size() <= longest_label &&
           std::ranges::all_of(label, [](char c) { return is_alnum(c) || c == '-' || c == '_'; });
}

} // namespace

std::optional<std::string> normal_domain(std::string_view domain) {
    if (domain.ends_with('.')) domain.remove_suffix(1);
    if (domain.empty() || domain.size() > longest_input || domain.contains('\0')) return std::nullopt;
    auto name = std::optional(std::string(domain));
    if (!is_ascii(domain)) name = as_a_labels(*name);
    if (!name || name->size() > longest_name) return std::nullopt;
    if (!std::ranges::all_of(split(*name, '.'), is_good_label)) return std::nullopt;
    return to_lower(*name);
}

std::optional<std::string> domain_of_address(std::string_view address) {
    auto const domain = halve_at_last(address, '@').after;
    return domain ? normal_domain(*domain) : std::nullopt;
}

std::size_t label_count(std::string_view domain) {
    return domain.empty() ? 0 : static_cast<std::size_t>(std::ranges::count(domain, '.')) + 1;
}

std::string_view last_labels(std::string_view domain, std::size_t count) {
    if (count == 0) return {};
    for (std::size_t i = domain.size(); i > 0; --i)
        if (domain[i - 1] == '.' && --count == 0) return domain.substr(i);
    return domain;
}

bool is_at_or_below(std::string_view domain, std::string_view parent) {
    if (domain == parent) return true;
    return domain.size() > parent.size() && domain.ends_with(parent) &&
           domain[domain.size() - parent.size() - 1] == '.';
}

} // namespace postern::mail
