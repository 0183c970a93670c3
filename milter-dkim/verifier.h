// Verifies a message's signatures with libopendkim, behind a fence: nothing malformed reaches it, and every
// key comes from our resolver.
#pragma once

#include "common/base/metrics.h"
#include "common/dns/resolver.h"
#include "milter-dkim/configuration.h"
#include "milter-dkim/message_facts.h"
#include "milter-dkim/results.h"
#include "milter-dkim/signature_field.h"

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct dkim_lib;
struct dkim;
struct dkim_siginfo;

namespace postern::milter_dkim {

// libopendkim with the options of one configuration. Shared by threads; outlives its Verifiers.
class VerifyingLibrary {
  public:
    explicit VerifyingLibrary(Configuration const& configuration);

    dkim_lib* get() const { return library_.get(); }

  private:
    struct Close {
        void operator()(dkim_lib* library) const;
    };
    std::unique_ptr<dkim_lib, Close> library_;
};

// One message. Used by one thread at a time.
class Verifier {
  public:
    // What follows for the message; kinds as On-* settings name them.
    enum class Outcome {
        good,
        partial,
        no_signature,
        bad_signature,
        key_not_found,
        dns_error,
        internal_error
    };

    Verifier(VerifyingLibrary const& library, Configuration const& configuration, dns::Resolver& resolver,
             HeaderList const& headers, std::string job_id, std::string sender_domain);
    ~Verifier();

    bool has_signatures() const { return !fields_.empty(); }
    std::size_t signature_count() const { return fields_.size(); }
    SignatureField const& signature_field(std::size_t index) const { return fields_[index].read; }
    // This one is not to be verified; its result will be neutral. Before finish().
    void ignore(std::size_t index);
    // False once the rest of the body does not matter.
    bool body(std::string_view chunk);
    // Once, after the body: results in the order of the fields.
    std::vector<SignatureResult> finish();
    Outcome outcome() const { return outcome_; }
    bool test_key() const { return test_key_; } // a key said t=y: nothing may be refused for its sake
    std::string const& trouble() const { return trouble_; } // for the log; empty: none

    // Called by libopendkim.
    void prescreen(dkim_siginfo** signatures, int count);
    int key_lookup(dkim_siginfo* signature, unsigned char* buffer, std::size_t size);

  private:
    struct Field {
        SignatureField read;
        bool chosen = false;
        bool unreachable = false; // the DNS gave no answer
        bool no_key = false;
        std::string key_error; // the answer is no key record
        std::string dnssec;
        bool bogus = false; // DNSSEC says that the answer is forged
    };
    void read_fields();
    void choose();
    void feed();
    Field* field_of(dkim_siginfo* signature);
    Result<std::string> key_record(Field& field, std::string const& name);
    SignatureResult result_of(Field const& field, dkim_siginfo* signature) const;
    SignatureResult judged(Field const& field, dkim_siginfo* signature, SignatureResult result) const;
    bool leaves_out_required(Field const& field) const;
    bool covers_enough(SignatureResult const& result) const;
    void conclude(std::vector<SignatureResult> const& results);

    VerifyingLibrary const& library_;
    Configuration const& configuration_;
    dns::Resolver& resolver_;
    HeaderList const& headers_;
    std::string job_id_;
    std::string sender_domain_;
    std::vector<Field> fields_;
    std::map<dkim_siginfo*, Field*> owners_;
    struct Free {
        void operator()(dkim* handle) const;
    };
    std::unique_ptr<dkim, Free> handle_;
    Outcome outcome_ = Outcome::no_signature;
    bool test_key_ = false;
    bool failed_ = false;   // the library took the message for malformed
    bool internal_ = false; // the library had no memory, or met itself
    std::string trouble_;
};

} // namespace postern::milter_dkim
