// Tags one octet after another, with the place of the first mistake.
#include "milter-dkim/tools/published_key.h"

#include "common/base/encoding.h"
#include "common/base/text.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <algorithm>
#include <map>
#include <memory>

namespace postern::milter_dkim::tools {

namespace {

constexpr std::size_t ed25519_octets = 32;

using Tags = std::map<std::string, std::string, std::less<>>;

class TagReader {
  public:
    explicit TagReader(std::string_view text) : text_(text) {}

    Result<Tags> read() {
        for (; at_ < text_.size(); ++at_)
            if (auto taken = take(text_[at_]); !taken) return std::unexpected(taken.error());
        if (state_ == State::name || state_ == State::behind_name)
            return permanent("tag without value at end of key data");
        keep();
        return std::move(tags_);
    }

  private:
    enum class State { before_name, name, behind_name, value };

    Result<> take(char c) {
        if (!is_printable(c) && !is_space(c))
            return permanent(fmt::format("invalid character (ASCII 0x{:02x} at offset {}) in key data",
                                         static_cast<unsigned char>(c), at_));
        switch (state_) {
        case State::before_name:
            if (is_space(c)) return {};
            if (c == ';' || c == '=') return syntax_error(c);
            name_ = c;
            state_ = State::name;
            return {};
        case State::name:
            if (c == ';') return syntax_error(c);
            if (is_space(c)) state_ = State::behind_name;
            if (c == '=') state_ = State::value;
            if (!is_space(c) && c != '=') name_ += c;
            return {};
        case State::behind_name:
            if (is_space(c)) return {};
            if (c != '=') return syntax_error(c);
            state_ = State::value;
            return {};
        case State::value:
            if (c == ';') keep();
            if (c != ';' && !is_space(c)) value_ += c;
            return {};
        }
        return {};
    }
    std::unexpected<Error> syntax_error(char c) const {
        return permanent(fmt::format("syntax error in key data (ASCII 0x{:02x} at offset {})",
                                     static_cast<unsigned char>(c), at_));
    }
    void keep() {
        if (!name_.empty()) tags_.emplace(std::move(name_), std::move(value_));
        name_.clear();
        value_.clear();
        state_ = State::before_name;
    }

    std::string_view text_;
    std::size_t at_ = 0;
    State state_ = State::before_name;
    std::string name_;
    std::string value_;
    Tags tags_;
};

bool lists_any(std::string const& list, std::initializer_list<std::string_view> wanted) {
    return std::ranges::any_of(split(list, ':'), [&](std::string_view each) {
        return std::ranges::any_of(wanted, [&](auto name) { return equals_ignoring_case(each, name); });
    });
}

Result<> check_use(Tags const& tags) {
    auto const version = tags.find("v");
    if (version != tags.end() && version->second != "DKIM1")
        return permanent(fmt::format("invalid key version '{}'", printable(version->second)));
    auto const hashes = tags.find("h");
    if (hashes != tags.end() && !lists_any(hashes->second, {"sha1", "sha256"}))
        return permanent(fmt::format("unknown hash '{}'", printable(hashes->second)));
    auto const services = tags.find("s");
    if (services != tags.end() && !lists_any(services->second, {"email", "*"}))
        return permanent("key type mismatch");
    return {};
}

Result<int> rsa_bits(std::string const& der) {
    auto const* at = reinterpret_cast<unsigned char const*>(der.data());
    std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> const key(
        d2i_PUBKEY(nullptr, &at, static_cast<long>(der.size())), EVP_PKEY_free);
    ERR_clear_error();
    if (key == nullptr || EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_RSA)
        return permanent("p= holds no RSA public key");
    return EVP_PKEY_get_bits(key.get());
}

} // namespace

Result<PublishedKey> parse_published_key(std::string_view record) {
    if (trim(record).empty()) return permanent("empty key record");
    auto const tags = TagReader(record).read();
    if (!tags) return std::unexpected(tags.error());
    if (auto good = check_use(*tags); !good) return std::unexpected(good.error());
    PublishedKey key;
    if (auto const type = tags->find("k"); type != tags->end()) {
        auto const known = parse_key_type(type->second);
        if (!known) return permanent(fmt::format("unknown key type '{}'", printable(type->second)));
        key.type = *known;
    }
    auto const data = tags->find("p");
    if (data == tags->end()) return permanent("key missing");
    if (data->second.empty()) return permanent("Revoked key");
    key.base64 = data->second;
    auto const flags = tags->find("t");
    key.test_mode = flags != tags->end() && lists_any(flags->second, {"y"});
    return key;
}

Result<int> published_bits(PublishedKey const& key) {
    auto const octets = base64_decode(key.base64);
    if (!octets) return permanent("p= is no base64");
    if (key.type == KeyType::rsa) return rsa_bits(*octets);
    if (octets->size() != ed25519_octets) return permanent("p= holds no Ed25519 public key");
    return static_cast<int>(ed25519_octets * 8);
}

} // namespace postern::milter_dkim::tools
