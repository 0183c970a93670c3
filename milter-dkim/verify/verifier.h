// Verifies the signatures of a message (RFC 6376 section 6): all of them in one pass over the body.
#pragma once

#include "common/base/clock.h"
#include "common/dns/resolver.h"
#include "milter-dkim/configuration.h"
#include "milter-dkim/message/canonical.h"
#include "milter-dkim/message/hashed_header.h"
#include "milter-dkim/message/message_facts.h"
#include "milter-dkim/results/results.h"
#include "milter-dkim/verify/bodies.h"
#include "milter-dkim/verify/key_records.h"
#include "milter-dkim/verify/public_key.h"
#include "milter-dkim/verify/signature.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::milter_dkim {

// One message. Used by one thread at a time.
class Verifier {
  public:
    // What follows for the message; kinds as On-* settings name them.
    enum class Outcome {
        good,
        tolerated,
        no_signature,
        bad_signature,
        key_not_found,
        dns_error,
        internal_error
    };

    // headers must outlive the Verifier. now: unix seconds.
    Verifier(Configuration const& configuration, dns::Resolver& resolver, HeaderList const& headers,
             std::string sender_domain, std::int64_t now = unix_time());

    bool has_signatures() const { return !fields_.empty(); }
    std::size_t signature_count() const { return fields_.size(); }
    SignatureField const& signature_field(std::size_t index) const { return fields_[index].read; }
    // This one is not to be verified; its result will be neutral. Before finish().
    void ignore(std::size_t index) { fields_[index].signature.reset(); }
    // False when the body does not matter.
    bool body(std::string_view chunk);
    // Once, after the body: asks for the keys; results in the order of the fields.
    std::vector<SignatureResult> finish();
    Outcome outcome() const { return outcome_; }
    bool test_key() const { return test_key_; } // a key said t=y: nothing may be refused for its sake
    std::string const& trouble() const { return trouble_; } // for the log; empty: none

  private:
    struct Field {
        std::string const* value;
        SignatureField read;
        std::optional<Signature> signature; // of those that are verified
        std::size_t body = 0;               // in bodies_
        std::string text;                   // of b=, without white space
        std::string fault;                  // why a readable one cannot hold: expired, another's i=, ...
    };
    void choose(std::string const& sender_domain);
    void take(Field& field);
    SignatureResult result_of(Field const& field);
    SignatureResult described(Field const& field) const;
    void judge(Field const& field, SignatureResult& result);
    void judge_with(PublicKey const& key, Field const& field, SignatureResult& result);
    void measure(Field const& field, SignatureResult& result) const;
    void judge_verified(Field const& field, SignatureResult& result) const;
    std::string prefix_of(Field const& field) const;
    void conclude(std::vector<SignatureResult> const& results);

    Configuration const& configuration_;
    HeaderList const& headers_;
    std::int64_t now_;
    std::vector<Field> fields_;
    Bodies bodies_;
    std::vector<FieldText> header_;
    KeyRecords records_;
    Outcome outcome_ = Outcome::no_signature;
    bool key_absent_ = false;
    bool test_key_ = false;
    bool failed_ = false; // by a fault of ours
    std::string trouble_;
};

} // namespace postern::milter_dkim
