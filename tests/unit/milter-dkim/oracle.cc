// Signs and verifies with libopendkim.
#include "tests/unit/milter-dkim/oracle.h"

#include "common/base/text.h"
#include "tests/unit/milter-dkim/libopendkim.h"

#include <cstring>
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

using Records = std::map<std::string, std::string>;

int find_key(DKIM* handle, DKIM_SIGINFO* signature, unsigned char* buffer, std::size_t size) {
    auto const& records = *static_cast<Records const*>(dkim_get_user_context(handle));
    auto const text = [](unsigned char const* each) { return reinterpret_cast<char const*>(each); };
    auto const found = records.find(text(dkim_sig_getselector(signature)) + std::string("._domainkey.") +
                                    text(dkim_sig_getdomain(signature)));
    if (found == records.end() || found->second.size() >= size) return DKIM_CBSTAT_NOTFOUND;
    std::memcpy(buffer, found->second.c_str(), found->second.size() + 1);
    return DKIM_CBSTAT_CONTINUE;
}

std::string verdict_of(DKIM_SIGINFO* signature) {
    if ((dkim_sig_getflags(signature) & DKIM_SIGFLAG_PASSED) != 0 &&
        dkim_sig_getbh(signature) == DKIM_SIGBH_MATCH)
        return "pass";
    char const* text = dkim_sig_geterrorstr(dkim_sig_geterror(signature));
    return text == nullptr ? "unknown error" : text;
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

std::vector<std::string> oracle_verdicts(milter_dkim::HeaderList const& headers, std::string const& body,
                                         Records const& records) {
    std::unique_ptr<DKIM_LIB, decltype(&dkim_close)> const library(dkim_init(nullptr, nullptr), dkim_close);
    dkim_set_key_lookup(library.get(), find_key);
    int status = 0;
    std::unique_ptr<DKIM, decltype(&dkim_free)> const handle(
        dkim_verify(library.get(), reinterpret_cast<unsigned char const*>("job"), nullptr, &status),
        dkim_free);
    require(status, "dkim_verify");
    dkim_set_user_context(handle.get(), const_cast<Records*>(&records));
    for (auto const& [name, value] : headers) {
        auto text = name + ":" + replace_all(value, "\n", "\r\n");
        if (dkim_header(handle.get(), bytes(text), text.size()) != DKIM_STAT_OK) return {"refused"};
    }
    dkim_eoh(handle.get());
    auto copy = body;
    if (!copy.empty()) dkim_body(handle.get(), bytes(copy), copy.size());
    dkim_eom(handle.get(), nullptr);
    DKIM_SIGINFO** signatures = nullptr;
    int count = 0;
    std::vector<std::string> out;
    if (dkim_getsiglist(handle.get(), &signatures, &count) == DKIM_STAT_OK)
        for (int i = 0; i < count; ++i) out.push_back(verdict_of(signatures[i]));
    return out;
}

} // namespace postern::test
