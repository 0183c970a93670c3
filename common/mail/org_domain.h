// Public suffixes and the organizational domains below them, from the Public Suffix List (libpsl).
#pragma once

#include "common/base/error.h"

#include <memory>
#include <string>
#include <string_view>

namespace postern::mail {

// Immutable after it was loaded, so shared between threads. Names in and out are normalised (mail/domain.h).
class PublicSuffixes {
  public:
    // path: a list in the text or DAFSA form, or a directory that holds public_suffix_list.dafsa or .dat;
    // empty: the newer one of the system's list and the one built into libpsl. The error is permanent and
    // names the path.
    static Result<PublicSuffixes> load(std::string const& path = {});

    PublicSuffixes(PublicSuffixes&&) noexcept;
    PublicSuffixes& operator=(PublicSuffixes&&) noexcept;
    ~PublicSuffixes();

    // A name right under which anybody may register: "com", "co.uk", any single label.
    bool is_public_suffix(std::string_view domain) const;
    // The label below the public suffix and the suffix: "example.co.uk" for "a.b.example.co.uk"; the name
    // itself when it is a suffix (RFC 7489 3.2).
    std::string organizational_domain(std::string_view domain) const;

  private:
    struct Impl;
    explicit PublicSuffixes(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

} // namespace postern::mail
