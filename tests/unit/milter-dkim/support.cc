// Keys by OpenSSL, configurations from text.
#include "tests/unit/milter-dkim/support.h"

#include "common/config/words.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

namespace postern::test {

namespace {

std::string pem_of(EVP_PKEY* key) {
    BIO* out = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
    char* data = nullptr;
    auto const size = BIO_get_mem_data(out, &data);
    std::string text(data, static_cast<std::size_t>(size));
    BIO_free(out);
    EVP_PKEY_free(key);
    return text;
}

} // namespace

std::string make_rsa_key(int bits) { return pem_of(EVP_RSA_gen(static_cast<unsigned>(bits))); }

std::string const& rsa_key() {
    static std::string const key = make_rsa_key(1024);
    return key;
}

std::string const& ed25519_key() {
    static std::string const key = pem_of(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    return key;
}

Made configure(std::string_view text, Log& log, milter_dkim::DataSetOpener const& opener) {
    auto read = config::parse_words(text, "opendkim.conf");
    auto loaded = milter_dkim::make_settings(std::move(read.assignments), std::move(read.problems));
    Made made;
    made.configuration =
        milter_dkim::Configuration::make(std::move(loaded.settings), opener, log, loaded.problems);
    for (auto const& problem : loaded.problems) made.problems += problem.to_string() + "\n";
    return made;
}

milter_dkim::MessageFacts Facts::get() const {
    return {client_name, client_address, recipients, &headers,
            [this](std::string_view name) -> std::optional<std::string> {
                auto const found = macros.find(name);
                if (found == macros.end()) return std::nullopt;
                return found->second;
            }};
}

std::string lines_of(milter_dkim::Decision const& decision) {
    std::string out;
    for (auto const& line : decision.lines) out += line.text + "\n";
    return out;
}

} // namespace postern::test
