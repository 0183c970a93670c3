// Selects, canonicalizes, hashes, signs.
#include "milter-dkim/sign/signer.h"

#include "common/base/encoding.h"
#include "common/base/text.h"
#include "milter-dkim/message/quoted_printable.h"

#include <fmt/format.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include <algorithm>

namespace postern::milter_dkim {

namespace {

constexpr std::size_t margin = 75;
constexpr std::size_t tab = 8;
constexpr std::size_t first_column = 16; // behind "DKIM-Signature: "

bool any_matches(std::vector<std::string> const& patterns, std::string_view name) {
    return std::ranges::any_of(patterns,
                               [&](std::string const& each) { return matches_pattern(each, name); });
}

class Folder {
  public:
    void add(std::string const& tag) {
        if (out_.empty()) {
            append(tag);
            return;
        }
        // The blank before the tag is not counted here, so a line may have one column more.
        if (column_ + tag.size() <= margin) {
            append(" ");
            append(tag);
            return;
        }
        out_ += "\n\t";
        column_ = tab;
        if (tag.starts_with("h="))
            add_names(tag);
        else if (tag.starts_with("b=") || tag.starts_with("bh=") || tag.starts_with("z="))
            add_octets(tag);
        else
            append(tag);
    }
    std::string take() { return std::move(out_); }

  private:
    void append(std::string_view text) {
        out_ += text;
        column_ += text.size();
    }
    void continue_line() {
        out_ += "\n\t ";
        column_ = tab + 1;
    }
    void add_names(std::string_view tag) {
        bool first = true;
        for (auto const name : split(tag, ':')) {
            if (!first) {
                append(":");
                if (column_ + name.size() > margin) continue_line();
            }
            append(name);
            first = false;
        }
    }
    void add_octets(std::string_view tag) {
        while (!tag.empty()) {
            if (column_ >= margin) continue_line();
            auto const size = std::min(tag.size(), margin - column_);
            append(tag.substr(0, size));
            tag.remove_prefix(size);
        }
    }

    std::string out_;
    std::size_t column_ = first_column;
};

using Context = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

unsigned char const* octets(std::string const& text) {
    return reinterpret_cast<unsigned char const*>(text.data());
}

// RSA signs the text (RSASSA-PKCS1-v1_5 with SHA-256), Ed25519 its SHA-256 (RFC 8463 3).
Result<std::string> raw_signature(SigningKey const& key, std::string const& text) {
    bool const rsa = key.algorithm() == Algorithm::rsa_sha256;
    auto const input = rsa ? text : sha256(text);
    Context const context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    std::string out(static_cast<std::size_t>(EVP_PKEY_get_size(key.get())), '\0');
    std::size_t size = out.size();
    if (!context ||
        EVP_DigestSignInit(context.get(), nullptr, rsa ? EVP_sha256() : nullptr, nullptr, key.get()) != 1 ||
        EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size, octets(input),
                       input.size()) != 1) {
        char reason[256];
        ERR_error_string_n(ERR_get_error(), reason, sizeof reason);
        ERR_clear_error();
        return permanent(std::string("OpenSSL cannot sign: ") + reason);
    }
    out.resize(size);
    return out;
}

} // namespace

std::string fold_tags(std::vector<std::string> const& tags) {
    Folder folder;
    for (auto const& tag : tags) folder.add(tag);
    return folder.take();
}

Signer::Signer(std::vector<SigningRequest> requests, SigningOptions options, HeaderChoice const& choice,
               HeaderList const& headers)
    : requests_(std::move(requests)), options_(std::move(options)), fields_(field_texts(headers)),
      is_signed_(fields_.size(), false),
      body_(options_.canonicalization.body, options_.body_limit, options_.lone_ends) {
    choose(choice);
}

void Signer::choose(HeaderChoice const& choice) {
    for (std::size_t i = 0; i < fields_.size(); ++i) {
        auto const& field = fields_[i];
        // RFC 6376 5.4: From is always signed; a signature does not cover others of its kind here.
        bool const from = equals_ignoring_case(field.name, "From");
        if (equals_ignoring_case(field.name, "DKIM-Signature") && choice.sign.empty()) continue;
        if (!from && any_matches(choice.omit, field.name)) continue;
        if (!from && !choice.sign.empty() && !any_matches(choice.sign, field.name)) continue;
        is_signed_[i] = true;
        names_.push_back(field.name);
    }
    for (auto const& name : choice.oversign) names_.push_back(name);
}

std::string Signer::copied_headers() const {
    std::string out;
    for (std::size_t i = 0; i < fields_.size(); ++i) {
        auto const& field = fields_[i];
        if (!is_signed_[i]) continue;
        if (!out.empty()) out += '|';
        auto const colon = field.octets.find(':');
        out += quoted_printable(field.octets.substr(0, colon)) + ":" +
               quoted_printable(field.octets.substr(colon + 1));
    }
    return out;
}

std::vector<std::string> Signer::tags(SigningRequest const& request, std::int64_t now) const {
    auto const form = [](CanonicalForm each) { return each == CanonicalForm::simple ? "simple" : "relaxed"; };
    auto const& canonicalization = options_.canonicalization;
    std::vector<std::string> out{
        "v=1;",
        fmt::format("a={};", to_string(request.key->algorithm())),
        fmt::format("c={}/{};", form(canonicalization.header), form(canonicalization.body)),
        fmt::format("d={};", request.domain),
        fmt::format("s={};", request.selector),
        fmt::format("t={};", now)};
    if (options_.ttl != 0)
        out.push_back(fmt::format("x={};", static_cast<std::uint64_t>(now) + options_.ttl));
    if (!request.identity.empty()) out.push_back(fmt::format("i={};", request.identity));
    if (options_.requests_reports) out.emplace_back("r=y;");
    if (!options_.atps_domain.empty()) {
        out.push_back(fmt::format("atps={};", options_.atps_domain));
        out.push_back(fmt::format("atpsh={};", options_.atps_hash));
    }
    for (auto const& [name, value] : options_.extra_tags) out.push_back(fmt::format("{}={};", name, value));
    out.push_back(fmt::format("bh={};", base64_encode(body_hash_)));
    if (options_.tells_length || options_.body_limit != BodyHash::whole)
        out.push_back(fmt::format("l={};", body_.hashed()));
    out.push_back(fmt::format("h={};", join(names_, ":")));
    if (options_.copies_headers) out.push_back(fmt::format("z={};", copied_headers()));
    return out;
}

Result<std::string> Signer::sign(SigningRequest const& request, std::string const& header_text,
                                 std::int64_t now) const {
    auto all = tags(request, now);
    all.emplace_back("b=");
    // The field as it will stand, with an empty b= (RFC 6376 3.7). Where b= stands does not depend on its
    // value only when it begins a line of its own.
    auto const length = static_cast<std::size_t>(EVP_PKEY_get_size(request.key->get()));
    all.back() = "b=" + std::string((length + 2) / 3 * 4, 'A');
    auto const shape = fold_tags(all);
    auto const unsigned_field = "DKIM-Signature: " + with_crlf(shape.substr(0, shape.rfind("b=A") + 2));
    auto signature = raw_signature(
        *request.key, header_text + canonical_field(options_.canonicalization.header, unsigned_field));
    if (!signature) return std::unexpected(signature.error());
    all.back() = "b=" + base64_encode(*signature);
    return fold_tags(all);
}

Result<std::vector<Signer::Signature>> Signer::finish(std::int64_t now) {
    body_hash_ = body_.finish();
    auto const text = hashed_header(options_.canonicalization.header, names_, fields_);
    std::vector<Signature> signatures;
    for (auto const& request : requests_) {
        auto value = sign(request, text, now);
        if (!value) return std::unexpected(value.error());
        signatures.push_back({&request, std::move(*value)});
    }
    return signatures;
}

} // namespace postern::milter_dkim
