// Signs with libopendkim.
#include "tests/unit/milter-dkim/oracle.h"

#include "common/base/text.h"
#include "milter-dkim/libopendkim.h"

#include <memory>
#include <stdexcept>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

namespace postern::test {

namespace {

// libopendkim leaks the private key that it reads for each signature. Our daemon does not sign with it.
struct LeaksOfTheLibrary {
#ifdef __SANITIZE_ADDRESS__
    __lsan::ScopedDisabler disabled;
#endif
};

void require(int status, char const* what) {
    if (status != DKIM_STAT_OK)
        throw std::runtime_error(std::string(what) + " gives " + std::to_string(status));
}

std::vector<unsigned char const*> pointers(std::vector<std::string> const& names) {
    std::vector<unsigned char const*> out;
    for (auto const& each : names) out.push_back(reinterpret_cast<unsigned char const*>(each.c_str()));
    out.push_back(nullptr);
    return out;
}

unsigned char* bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

void set_list(DKIM_LIB* library, int option, std::vector<std::string> const& names) {
    if (names.empty()) return;
    auto list = pointers(names);
    auto* first = list.data();
    require(dkim_options(library, DKIM_OP_SETOPT, option, first, sizeof first), "list");
}

} // namespace

std::string oracle_signature(OracleSettings const& settings, std::string const& pem,
                             milter_dkim::HeaderList const& headers, std::string const& body,
                             std::int64_t now) {
    std::unique_ptr<DKIM_LIB, decltype(&dkim_close)> const library(dkim_init(nullptr, nullptr), dkim_close);
    auto time = static_cast<std::uint64_t>(now);
    auto ttl = settings.ttl;
    unsigned flags = settings.copies_headers ? DKIM_LIBFLAGS_ZTAGS : 0U;
    require(dkim_options(library.get(), DKIM_OP_SETOPT, DKIM_OPTS_FIXEDTIME, &time, sizeof time), "time");
    require(dkim_options(library.get(), DKIM_OP_SETOPT, DKIM_OPTS_SIGNATURETTL, &ttl, sizeof ttl), "ttl");
    require(dkim_options(library.get(), DKIM_OP_SETOPT, DKIM_OPTS_FLAGS, &flags, sizeof flags), "flags");
    set_list(library.get(), DKIM_OPTS_SIGNHDRS, settings.sign);
    set_list(library.get(), DKIM_OPTS_SKIPHDRS, settings.omit);
    set_list(library.get(), DKIM_OPTS_OVERSIGNHDRS, settings.oversign);
    auto const form = [](milter_dkim::CanonicalForm each) {
        return each == milter_dkim::CanonicalForm::simple ? DKIM_CANON_SIMPLE : DKIM_CANON_RELAXED;
    };
    auto key = pem;
    auto domain = settings.domain;
    auto selector = settings.selector;
    int status = 0;
    bool const rsa = pem.size() > 400;
    std::unique_ptr<DKIM, decltype(&dkim_free)> const handle(
        dkim_sign(library.get(), reinterpret_cast<unsigned char const*>("job"), nullptr, bytes(key),
                  bytes(selector), bytes(domain), form(settings.canonicalization.header),
                  form(settings.canonicalization.body), rsa ? DKIM_SIGN_RSASHA256 : DKIM_SIGN_ED25519SHA256,
                  settings.limit, &status),
        dkim_free);
    require(status, "dkim_sign");
    if (!settings.identity.empty())
        require(
            dkim_set_signer(handle.get(), reinterpret_cast<unsigned char const*>(settings.identity.c_str())),
            "signer");
    if (settings.tells_length) require(dkim_setpartial(handle.get(), true), "partial");
    for (auto const& [name, value] : headers) {
        auto text = name + ":" + replace_all(value, "\n", "\r\n");
        require(dkim_header(handle.get(), bytes(text), text.size()), "dkim_header");
    }
    require(dkim_eoh(handle.get()), "dkim_eoh");
    // libopendkim signs a body without a last line end wrongly or not at all; an MTA always sends one.
    auto copy = body;
    if (!copy.empty() && !copy.ends_with("\r\n")) copy += "\r\n";
    if (!copy.empty()) require(dkim_body(handle.get(), bytes(copy), copy.size()), "dkim_body");
    {
        [[maybe_unused]] LeaksOfTheLibrary const tolerated;
        require(dkim_eom(handle.get(), nullptr), "dkim_eom");
    }
    unsigned char* out = nullptr;
    std::size_t size = 0;
    require(dkim_getsighdr_d(handle.get(), 16, &out, &size), "dkim_getsighdr_d");
    return replace_all({reinterpret_cast<char*>(out), size}, "\r\n", "\n");
}

} // namespace postern::test
