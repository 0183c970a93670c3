// Authentication-Results (RFC 8601): read from hostile headers, and made.
#pragma once

#include "common/base/error.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::mail {

inline constexpr std::string_view auth_results_name = "Authentication-Results";

// "smtp.mailfrom=example.com": ptype, property and value; the value without quotes.
struct AuthProperty {
    std::string type; // lower case when read
    std::string name; // lower case when read
    std::string value;

    bool operator==(AuthProperty const&) const = default;
};

// "spf=pass (comment) reason="..." smtp.mailfrom=example.com"
struct AuthResult {
    std::string method; // lower case when read
    std::string result; // lower case when read
    std::string comment;
    std::string reason;
    std::vector<AuthProperty> properties;

    // The value of "smtp.mailfrom". Absent when it is not there and when it is there twice with different
    // values: then nobody can say which one was checked.
    std::optional<std::string_view> property(std::string_view type, std::string_view name) const;
    bool operator==(AuthResult const&) const = default;
};

struct AuthResults {
    std::string authserv_id;         // as written, without quotes
    std::vector<AuthResult> results; // empty: "none"

    bool operator==(AuthResults const&) const = default;
};

// A field over one of these is malformed.
inline constexpr std::size_t max_auth_results = 100;   // resinfo in one field
inline constexpr std::size_t max_auth_properties = 50; // of one resinfo

// Reads a field's value. Strict where a forger could hide something (unclosed comments and quotes, text
// behind a value), lenient where honest software errs: no authserv-id at all, "=" and "/" in bare values,
// empty elements.
Result<AuthResults> read_auth_results(std::string_view value);

// What stands where the authserv-id belongs, however broken the rest is; absent when nothing does.
std::optional<std::string> authserv_id_of(std::string_view value);

// Whether two authserv-ids name the same service: any case, and what follows "/" (a job id) does not count.
bool same_authserv_id(std::string_view a, std::string_view b);

// Whether some reader might take this field for one of ours. True when the id is ours, and when the field
// cannot be read and our id occurs anywhere in it; such a field must be removed from mail that comes in (RFC
// 8601 5).
bool might_claim_authserv_id(std::string_view value, std::string_view ours);

// The value as a token, or quoted when it is none (RFC 2045 5.1; "@" and "/" are left bare in a property's
// value where RFC 8601 2.2 allows them).
std::string auth_results_value(std::string_view value);
std::string auth_results_property_value(std::string_view value);

// "ID; method=result (comment) reason=... ptype.property=value; ...". Pieces are joined by a blank, or by
// "\n\t" where the line would pass the column; 0 writes everything on one line.
std::string make_auth_results(AuthResults const& results, std::size_t fold_column = 78);

} // namespace postern::mail
