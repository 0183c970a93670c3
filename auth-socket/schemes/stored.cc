// "{SCHEME.encoding}value" taken apart and put together.
#include "auth-socket/schemes/scheme.h"

#include "common/base/encoding.h"
#include "common/base/text.h"

namespace postern::auth_socket {

namespace {

struct NamedScheme {
    Scheme const* scheme = nullptr;
    std::optional<TextForm> form; // when the name says so
};

Result<NamedScheme> read_scheme_name(std::string_view name) {
    auto const [base, suffix] = halve(name, '.');
    NamedScheme named{find_scheme(base), {}};
    if (named.scheme == nullptr) return permanent("unknown password scheme " + printable(base, 40));
    if (!suffix) return named;
    if (equals_ignoring_case(*suffix, "hex"))
        named.form = TextForm::hex;
    else if (equals_ignoring_case(*suffix, "b64") || equals_ignoring_case(*suffix, "base64"))
        named.form = TextForm::base64;
    else
        return permanent("unknown password encoding " + printable(*suffix, 40));
    return named;
}

// Digests of a fixed size may be written in hex or base64 whatever their scheme's custom is.
std::optional<std::string> decode(std::string_view value, NamedScheme const& named) {
    if (named.form == TextForm::hex) return hex_decode(value);
    if (named.form == TextForm::base64) return base64_decode(value);
    if (named.scheme->form == TextForm::as_is) return std::string(value);
    if (named.scheme->size == 0)
        return named.scheme->form == TextForm::hex ? hex_decode(value) : base64_decode(value);
    if (value.size() == 2 * named.scheme->size)
        if (auto raw = hex_decode(value)) return raw;
    return base64_decode(value);
}

// "$1$salt$hash$rest": what stands behind the hash does not count.
std::string_view md5_crypt_part(std::string_view value) {
    std::size_t dollars = 0;
    for (std::size_t i = 0; i < value.size(); ++i)
        if (value[i] == '$' && ++dollars == 4) return value.substr(0, i);
    return value;
}

struct Parts {
    std::string_view scheme, value;
};

Parts parts(std::string_view stored, std::string_view default_scheme) {
    if (auto const end = stored.find('}'); stored.starts_with("{") && end != std::string_view::npos)
        return {stored.substr(1, end - 1), stored.substr(end + 1)};
    if (stored.starts_with("$1$")) return {"MD5-CRYPT", md5_crypt_part(stored)};
    return {default_scheme, stored};
}

} // namespace

Result<Credential> read_stored_password(std::string_view stored, std::string_view default_scheme) {
    auto const [name, value] = parts(stored, default_scheme);
    auto const named = read_scheme_name(name);
    if (!named) return std::unexpected(named.error());
    auto raw = decode(value, *named);
    if (!raw || (named->scheme->size != 0 && raw->size() != named->scheme->size))
        return permanent("a stored password that is not " + std::string(named->scheme->name));
    return Credential{std::string(named->scheme->name), Secret(std::move(*raw))};
}

Result<> check_scheme(std::string_view name) {
    if (auto const named = read_scheme_name(name); !named) return std::unexpected(named.error());
    return {};
}

bool is_locked(std::string_view stored, std::string_view default_scheme) {
    auto const [name, value] = parts(stored, default_scheme);
    auto const named = read_scheme_name(name);
    if (!named || named->form || (!value.starts_with('!') && !value.starts_with('*'))) return false;
    auto const is_text = [&](std::string_view plain) { return named->scheme->name == plain; };
    return !is_text("PLAIN") && !is_text("CLEAR") && !is_text("CLEARTEXT");
}

Result<bool> verify_password(Credential const& credential, PasswordAttempt const& attempt) {
    auto const* scheme = find_scheme(credential.scheme);
    if (scheme == nullptr) return permanent("unknown password scheme " + credential.scheme);
    // Half of the schemes end a password at a NUL or pad it with some: "secret" and "secret\0" must not be
    // one.
    if (attempt.password.contains('\0')) return false;
    return scheme->verify(credential.value.reveal(), attempt);
}

Result<std::string> make_stored_password(std::string_view scheme, PasswordAttempt const& attempt,
                                         GenerateOptions const& options) {
    auto const named = read_scheme_name(scheme);
    if (!named) return std::unexpected(named.error());
    auto raw = named->scheme->generate(attempt, options);
    if (!raw) return raw;
    auto const prefix = "{" + to_upper(scheme) + "}";
    switch (named->form.value_or(named->scheme->form)) {
    case TextForm::hex: return prefix + hex_encode(*raw);
    case TextForm::base64: return prefix + base64_encode(*raw);
    case TextForm::as_is: break;
    }
    return prefix + *raw;
}

} // namespace postern::auth_socket
