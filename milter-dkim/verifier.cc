// The fence around libopendkim 2.11's verifier.
#include "milter-dkim/verifier.h"

#include "common/base/text.h"
#include "common/mail/domain.h"
#include "milter-dkim/libopendkim.h"
#include "milter-dkim/sender.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <stdexcept>

namespace postern::milter_dkim {

namespace {

using Kind = SignatureResult::Kind;

// libopendkim copies field names into a buffer of 4096 octets and writes behind it when they fill it.
constexpr std::size_t max_field_name = 998; // RFC 5322 2.1.1
constexpr std::size_t header_b_length = 8;  // RFC 6008: at least
constexpr std::size_t max_verified = 100;   // with MaximumSignaturesToVerify 0

int on_prescreen(DKIM* handle, DKIM_SIGINFO** signatures, int count) {
    static_cast<Verifier*>(dkim_get_user_context(handle))->prescreen(signatures, count);
    return DKIM_CBSTAT_CONTINUE;
}

int on_key_lookup(DKIM* handle, DKIM_SIGINFO* signature, unsigned char* buffer, std::size_t size) {
    return static_cast<Verifier*>(dkim_get_user_context(handle))->key_lookup(signature, buffer, size);
}

std::string text_of(unsigned char const* text) {
    return text == nullptr ? "" : reinterpret_cast<char const*>(text);
}

unsigned char* octets(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

template <class T>
void set_option(DKIM_LIB* library, int option, T value) {
    if (dkim_options(library, DKIM_OP_SETOPT, option, &value, sizeof value) != DKIM_STAT_OK)
        throw std::runtime_error("libopendkim refuses option " + std::to_string(option));
}

std::string tag_value(DKIM_SIGINFO* signature, char const* name) {
    std::string copy(name);
    std::string out;
    for (char const c : text_of(dkim_sig_gettagvalue(signature, false, octets(copy))))
        if (!is_space(c)) out += c;
    return out;
}

// Text for a stranger's header: the library's own fixed words, without what would end a quoted string.
std::string reason_text(int error) {
    char const* text = dkim_sig_geterrorstr(error);
    std::string out = text == nullptr ? "unknown error" : text;
    std::erase_if(out, [](char c) { return c == '"' || c == '\\' || !is_printable(c); });
    return out;
}

// What cannot be told counts as a body of which nothing is covered.
void measure(DKIM* handle, DKIM_SIGINFO* signature, SignatureResult& result) {
    ssize_t body = 0;
    ssize_t covered = 0;
    ssize_t limit = 0;
    result.error = dkim_sig_geterror(signature);
    result.body_hash = dkim_sig_getbh(signature);
    if (dkim_sig_getcanonlen(handle, signature, &body, &covered, &limit) != DKIM_STAT_OK) {
        result.body_length = 1;
        return;
    }
    result.limit = limit;
    result.body_length = body;
    result.covered = limit >= 0 ? covered : body;
}

} // namespace

void VerifyingLibrary::Close::operator()(dkim_lib* library) const { dkim_close(library); }

VerifyingLibrary::VerifyingLibrary(Configuration const& configuration)
    : library_(dkim_init(nullptr, nullptr)) {
    if (!library_) throw std::runtime_error("libopendkim does not start");
    auto const& settings = configuration.settings;
    // Unparsable signatures are to be seen, not to vanish.
    unsigned flags = DKIM_LIBFLAGS_BADSIGHANDLES;
    if (settings.fix_crlf) flags |= DKIM_LIBFLAGS_FIXCRLF;
    if (settings.strict_headers) flags |= DKIM_LIBFLAGS_STRICTHDRS;
    set_option(get(), DKIM_OPTS_FLAGS, flags);
    set_option(get(), DKIM_OPTS_CLOCKDRIFT, settings.clock_drift);
    set_option(get(), DKIM_OPTS_MINKEYBITS, settings.minimum_key_bits);
    dkim_set_prescreen(get(), on_prescreen);
    dkim_set_key_lookup(get(), on_key_lookup);
}

void Verifier::Free::operator()(dkim* handle) const { dkim_free(handle); }

Verifier::Verifier(VerifyingLibrary const& library, Configuration const& configuration,
                   dns::Resolver& resolver, HeaderList const& headers, std::string job_id,
                   std::string sender_domain)
    : library_(library), configuration_(configuration), resolver_(resolver), headers_(headers),
      job_id_(std::move(job_id)), sender_domain_(std::move(sender_domain)) {
    read_fields();
    choose();
    if (std::ranges::any_of(fields_, &Field::chosen)) feed();
}

Verifier::~Verifier() = default;

void Verifier::read_fields() {
    for (auto const& [name, value] : headers_)
        if (equals_ignoring_case(name, "DKIM-Signature"))
            fields_.push_back({SignatureField::read(value), false, false, false, {}, {}, false});
}

// The author's domain first, then the others, or only those trusted, up to the configured number; with 0 all
// of the author's and those trusted.
void Verifier::choose() {
    auto const configured = static_cast<std::size_t>(configuration_.settings.maximum_signatures_to_verify);
    auto left = configured == 0 ? max_verified : configured;
    auto const take = [&](auto const& wanted) {
        for (auto& field : fields_) {
            if (left == 0) return;
            if (field.chosen || !field.read.error.empty() || !wanted(to_lower(field.read.tag("d")))) continue;
            field.chosen = true;
            --left;
        }
    };
    take([&](std::string const& domain) {
        return !sender_domain_.empty() && mail::is_at_or_below(sender_domain_, domain);
    });
    auto const* trusted = configuration_.trust_signatures_from.get();
    take([&](std::string const& domain) {
        if (trusted == nullptr) return configured != 0;
        return trusted->contains(domain).value_or(false);
    });
}

void Verifier::ignore(std::size_t index) {
    fields_[index].chosen = false;
    for (auto const& [signature, field] : owners_)
        if (field == &fields_[index]) dkim_sig_ignore(signature);
}

void Verifier::feed() {
    int status = 0;
    handle_.reset(dkim_verify(library_.get(), reinterpret_cast<unsigned char const*>(job_id_.c_str()),
                              nullptr, &status));
    if (!handle_) throw std::runtime_error("dkim_verify gives " + std::to_string(status));
    dkim_set_user_context(handle_.get(), this);
    std::size_t signature = 0;
    for (auto const& [name, value] : headers_) {
        if (equals_ignoring_case(name, "DKIM-Signature") && !fields_[signature++].read.error.empty())
            continue;
        if (name.empty() || name.size() > max_field_name) continue;
        std::string field = name + ":";
        for (char const c : value) {
            if (c == '\n' && field.back() != '\r') field += '\r';
            if (c != '\0') field += c;
        }
        status = dkim_header(handle_.get(), octets(field), field.size());
        if (status != DKIM_STAT_OK) break;
    }
    if (status == DKIM_STAT_OK) status = dkim_eoh(handle_.get());
    // Anything else than a broken message shows again in the signatures' own errors.
    if (status == DKIM_STAT_SYNTAX || status == DKIM_STAT_INTERNAL || status == DKIM_STAT_NORESOURCE ||
        status == DKIM_STAT_INVALID) {
        failed_ = true;
        internal_ = status == DKIM_STAT_INTERNAL || status == DKIM_STAT_NORESOURCE;
        char const* text = dkim_geterror(handle_.get());
        trouble_ = text == nullptr ? "header refused" : text;
    }
}

bool Verifier::body(std::string_view chunk) {
    if (!handle_ || failed_ || chunk.empty()) return handle_ && !failed_;
    // The library takes no const, and leaves the octets alone.
    auto* data = reinterpret_cast<unsigned char*>(const_cast<char*>(chunk.data()));
    if (dkim_body(handle_.get(), data, chunk.size()) != DKIM_STAT_OK) {
        failed_ = internal_ = true;
        char const* text = dkim_geterror(handle_.get());
        trouble_ = text == nullptr ? "body refused" : text;
        return false;
    }
    return dkim_minbody(handle_.get()) != 0;
}

// The library's signature is told from the others by its tags; of equal ones the first is the first.
Verifier::Field* Verifier::field_of(dkim_siginfo* signature) {
    if (auto const known = owners_.find(signature); known != owners_.end()) return known->second;
    auto const wanted = tag_value(signature, "b");
    auto const domain = tag_value(signature, "d");
    for (auto& field : fields_) {
        if (!field.read.error.empty() || field.read.signature() != wanted || field.read.tag("d") != domain)
            continue;
        if (std::ranges::any_of(owners_, [&](auto const& each) { return each.second == &field; })) continue;
        owners_.emplace(signature, &field);
        return &field;
    }
    return nullptr;
}

void Verifier::prescreen(dkim_siginfo** signatures, int count) {
    for (int i = 0; i < count; ++i)
        if (auto const* field = field_of(signatures[i]); field == nullptr || !field->chosen)
            dkim_sig_ignore(signatures[i]);
}

Result<std::string> Verifier::key_record(Field& field, std::string const& name) {
    if (configuration_.test_keys) {
        auto const found = configuration_.test_keys->find(name);
        if (!found) return std::unexpected(found.error());
        field.no_key = !*found;
        return found->value_or("");
    }
    auto const deadline = Deadline::after(configuration_.settings.dns_timeout);
    auto const answer = resolver_.lookup(name, dns::RecordType::txt, deadline);
    if (!answer) return std::unexpected(answer.error());
    field.dnssec = answer->secure ? "secure" : "unprotected";
    // RFC 6376 3.6.2.2: other records may stand at the name; two keys are undefined.
    std::vector<std::string> keys;
    for (auto const& record : answer->records)
        if (record.data.contains("p=")) keys.push_back(record.data);
    if (keys.size() > 1) field.key_error = "multiple key records";
    field.no_key = keys.empty() && !answer->found();
    if (keys.empty() && answer->found()) field.key_error = "no key in the record";
    return keys.empty() ? std::string() : keys.front();
}

int Verifier::key_lookup(dkim_siginfo* signature, unsigned char* buffer, std::size_t size) {
    auto* field = field_of(signature);
    if (field == nullptr) return DKIM_CBSTAT_ERROR;
    auto const name = fmt::format("{}._domainkey.{}", field->read.tag("s"), field->read.tag("d"));
    auto const record = key_record(*field, name);
    if (!record) {
        if (record.error().kind == ErrorKind::malformed) {
            field->no_key = true; // such a name cannot be in the DNS
            return DKIM_CBSTAT_NOTFOUND;
        }
        field->bogus = dns::is_bogus(record.error());
        if (field->bogus) field->dnssec = "bogus";
        field->unreachable = true;
        trouble_ = record.error().text;
        return DKIM_CBSTAT_ERROR;
    }
    if (field->no_key) return DKIM_CBSTAT_NOTFOUND;
    // RSA keys over 5,000 bits do not fit into the library's buffer.
    if (field->key_error.empty() && record->size() >= size) field->key_error = "key record too long";
    if (!field->key_error.empty()) return DKIM_CBSTAT_NOTFOUND;
    std::memcpy(buffer, record->c_str(), record->size() + 1);
    return DKIM_CBSTAT_CONTINUE;
}

// MustBeSigned: fields that are there must be in h=. The library's own option for it does nothing here.
bool Verifier::leaves_out_required(Field const& field) const {
    auto const names = split_words(field.read.tag("h"), ": \t\r\n");
    return std::ranges::any_of(configuration_.must_be_signed, [&](std::string const& required) {
        auto const is_it = [&](std::string_view name) { return equals_ignoring_case(name, required); };
        return find_header(headers_, required) != nullptr && std::ranges::none_of(names, is_it);
    });
}

// Minimum; unset nothing may be left uncovered.
bool Verifier::covers_enough(SignatureResult const& result) const {
    auto const& minimum = configuration_.settings.minimum;
    if (!minimum || result.body_length <= 0) return false;
    auto const covered = static_cast<std::uint64_t>(result.covered);
    auto const length = static_cast<std::uint64_t>(result.body_length);
    switch (minimum->kind) {
    case MinimumCoverage::Kind::octets: return covered >= std::min(minimum->amount, length);
    case MinimumCoverage::Kind::percent: return covered * 100 / length >= minimum->amount;
    case MinimumCoverage::Kind::uncovered: return length - covered <= minimum->amount;
    }
    return false;
}

SignatureResult Verifier::judged(Field const& field, dkim_siginfo* signature, SignatureResult result) const {
    auto const flags = dkim_sig_getflags(signature);
    auto const error = dkim_sig_geterror(signature);
    auto const say = [&](Kind kind, std::string reason) {
        result.kind = kind;
        result.reason = std::move(reason);
        return result;
    };
    if (field.bogus && configuration_.settings.bogus_key == KeyHandling::neutral)
        return say(Kind::neutral, {});
    if (field.bogus && configuration_.settings.bogus_key == KeyHandling::fail)
        return say(Kind::policy, "key is bogus");
    if (field.unreachable) return say(Kind::temperror, {});
    // OpenDKIM's word for it; RFC 8601 would have permerror.
    if (field.no_key) return say(Kind::fail, reason_text(DKIM_SIGERROR_NOKEY));
    if (!field.key_error.empty()) return say(Kind::permerror, {});
    bool const verified = (flags & DKIM_SIGFLAG_PASSED) != 0 && dkim_sig_getbh(signature) == DKIM_SIGBH_MATCH;
    if (verified) {
        // RFC 8301: SHA-1 says nothing any more.
        if (to_lower(result.algorithm) == "rsa-sha1") return say(Kind::policy, "rsa-sha1 is not accepted");
        if (leaves_out_required(field)) return say(Kind::policy, reason_text(DKIM_SIGERROR_MBSFAILED));
        if (result.covered < result.body_length) {
            result.partial = covers_enough(result);
            return say(Kind::policy, "signature does not cover the whole body");
        }
        if (result.key_bits > 0 && result.key_bits < configuration_.settings.minimum_key_bits)
            return say(Kind::policy, reason_text(DKIM_SIGERROR_KEYTOOSMALL));
        if (result.dnssec == "unprotected" && configuration_.settings.unprotected_key == KeyHandling::fail)
            return say(Kind::policy, {});
        if (result.dnssec == "unprotected" && configuration_.settings.unprotected_key == KeyHandling::neutral)
            return say(Kind::neutral, {});
        return say(Kind::pass, {});
    }
    if (error == DKIM_SIGERROR_KEYTOOSMALL) return say(Kind::policy, reason_text(error));
    if ((flags & DKIM_SIGFLAG_PROCESSED) != 0) return say(Kind::fail, reason_text(error));
    if (error != DKIM_SIGERROR_UNKNOWN && error != DKIM_SIGERROR_OK) return say(Kind::permerror, {});
    return say(Kind::neutral, {});
}

SignatureResult Verifier::result_of(Field const& field, dkim_siginfo* signature) const {
    SignatureResult result;
    result.domain = field.read.tag("d");
    result.selector = field.read.tag("s");
    result.algorithm = field.read.tag("a");
    result.identity =
        field.read.tags.find("i") ? field.read.tag("i") : (result.domain.empty() ? "" : "@" + result.domain);
    for (char const c : field.read.signature().substr(0, header_b_length))
        if (is_alnum(c) || c == '+' || c == '/' || c == '=') result.signature += c;
    result.dnssec = field.dnssec;
    if (!field.read.error.empty()) result.kind = Kind::permerror;
    if (signature == nullptr) return result;
    unsigned bits = 0;
    if (dkim_sig_getkeysize(signature, &bits) == DKIM_STAT_OK) result.key_bits = bits;
    measure(handle_.get(), signature, result);
    char prefix[1024];
    std::size_t size = sizeof prefix - 1;
    // Longer only where another signature begins with the same octets.
    if (dkim_get_sigsubstring(handle_.get(), signature, prefix, &size) == DKIM_STAT_OK &&
        size > header_b_length)
        result.signature = field.read.signature().substr(0, size);
    return field.chosen ? judged(field, signature, std::move(result)) : result;
}

std::vector<SignatureResult> Verifier::finish() {
    std::map<Field const*, dkim_siginfo*> found;
    if (handle_ && !failed_) {
        bool test = false;
        dkim_eom(handle_.get(), &test);
        DKIM_SIGINFO** signatures = nullptr;
        int count = 0;
        if (dkim_getsiglist(handle_.get(), &signatures, &count) == DKIM_STAT_OK)
            for (int i = 0; i < count; ++i) {
                if (auto const* field = field_of(signatures[i])) found.emplace(field, signatures[i]);
                test_key_ = test_key_ || (dkim_sig_getflags(signatures[i]) & DKIM_SIGFLAG_TESTKEY) != 0;
            }
    }
    std::vector<SignatureResult> results;
    for (auto const& field : fields_) {
        auto const at = found.find(&field);
        auto result = result_of(field, at == found.end() ? nullptr : at->second);
        // What the library lost or refused was not verified; it is no pass, and no reason to wait.
        if (field.chosen && at == found.end()) result.kind = Kind::permerror;
        results.push_back(std::move(result));
    }
    conclude(results);
    return results;
}

// One good signature is enough; one that could not be looked up leaves the question open.
void Verifier::conclude(std::vector<SignatureResult> const& results) {
    auto const any = [&](Kind kind) {
        return std::ranges::any_of(results, [&](SignatureResult const& each) { return each.kind == kind; });
    };
    if (results.empty())
        outcome_ = Outcome::no_signature;
    else if (any(Kind::pass))
        outcome_ = Outcome::good;
    else if (internal_)
        outcome_ = Outcome::internal_error;
    else if (any(Kind::temperror))
        outcome_ = Outcome::dns_error;
    else if (std::ranges::any_of(results, &SignatureResult::partial))
        outcome_ = Outcome::partial;
    else if (std::ranges::any_of(fields_, &Field::no_key))
        outcome_ = Outcome::key_not_found;
    else
        outcome_ = Outcome::bad_signature;
}

} // namespace postern::milter_dkim
