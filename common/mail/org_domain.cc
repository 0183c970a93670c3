// Public suffixes and organizational domains (libpsl).
#include "common/mail/org_domain.h"

#include <libpsl.h>

#include <filesystem>

namespace postern::mail {

namespace {

struct Free {
    void operator()(psl_ctx_t* list) const { psl_free(list); }
};

// What to read in the place that the setting names.
std::string list_file(std::string const& path) {
    std::error_code ignored;
    if (!std::filesystem::is_directory(path, ignored)) return path;
    for (auto const* name : {"public_suffix_list.dafsa", "public_suffix_list.dat", "effective_tld_names.dat"})
        if (std::filesystem::exists(path + "/" + name, ignored)) return path + "/" + name;
    return path;
}

} // namespace

struct PublicSuffixes::Impl {
    std::unique_ptr<psl_ctx_t, Free> list;
};

PublicSuffixes::PublicSuffixes(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PublicSuffixes::PublicSuffixes(PublicSuffixes&&) noexcept = default;
PublicSuffixes& PublicSuffixes::operator=(PublicSuffixes&&) noexcept = default;
PublicSuffixes::~PublicSuffixes() = default;

Result<PublicSuffixes> PublicSuffixes::load(std::string const& path) {
    auto impl = std::make_unique<Impl>();
    impl->list.reset(path.empty() ? psl_latest(nullptr) : psl_load_file(list_file(path).c_str()));
    if (!impl->list)
        return permanent(path.empty() ? std::string("no public suffix list on this system")
                                      : path + ": no readable public suffix list");
    // An empty file loads as a list without suffixes, which would put all of .com into one organization.
    if (psl_suffix_count(impl->list.get()) == 0) return permanent(path + ": no public suffix list");
    return PublicSuffixes(std::move(impl));
}

bool PublicSuffixes::is_public_suffix(std::string_view domain) const {
    return psl_is_public_suffix(impl_->list.get(), std::string(domain).c_str()) != 0;
}

std::string PublicSuffixes::organizational_domain(std::string_view domain) const {
    std::string const name(domain);
    auto const* const registrable = psl_registrable_domain(impl_->list.get(), name.c_str());
    return registrable == nullptr ? name : std::string(registrable);
}

} // namespace postern::mail
