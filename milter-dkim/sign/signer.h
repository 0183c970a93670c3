// Makes DKIM-Signature fields (RFC 6376 section 5, RFC 8463): all signatures of a message in one pass.
#pragma once

#include "common/base/error.h"
#include "milter-dkim/configuration.h"
#include "milter-dkim/message/canonical.h"
#include "milter-dkim/message/hashed_header.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace postern::milter_dkim {

struct SigningOptions {
    Canonicalization canonicalization;
    std::uint64_t ttl = 0;                                       // x= is t= and this; 0: no x=
    std::uint64_t body_limit = BodyHash::whole;                  // l= when less is given
    bool tells_length = false;                                   // l= in any case
    bool copies_headers = false;                                 // z=
    bool requests_reports = false;                               // r=y
    bool lone_ends = false;                                      // FixCRLF
    std::string atps_domain;                                     // atps=; empty: none
    std::string atps_hash;                                       // atpsh=
    std::vector<std::pair<std::string, std::string>> extra_tags; // what scripts add, fit to stand there
};

// One message.
class Signer {
  public:
    // headers as received: values with what stood behind the colon, lines joined with "\n" or "\r\n". choice
    // must outlive the Signer.
    Signer(std::vector<SigningRequest> requests, SigningOptions options, HeaderChoice const& choice,
           HeaderList const& headers);

    void body(std::string_view chunk) { body_.add(chunk); }
    void set_extra_tags(std::vector<std::pair<std::string, std::string>> tags) {
        options_.extra_tags = std::move(tags);
    }

    struct Signature {
        SigningRequest const* request;
        std::string value; // of the DKIM-Signature field, without leading blank, lines joined with "\n"
    };
    // Once, after the body. now: unix seconds.
    Result<std::vector<Signature>> finish(std::int64_t now);

  private:
    void choose(HeaderChoice const& choice);
    std::vector<std::string> tags(SigningRequest const& request, std::int64_t now) const;
    std::string copied_headers() const;
    Result<std::string> sign(SigningRequest const& request, std::string const& header_text,
                             std::int64_t now) const;

    std::vector<SigningRequest> requests_;
    SigningOptions options_;
    std::vector<FieldText> fields_;
    std::vector<bool> is_signed_;    // of each field
    std::vector<std::string> names_; // h=
    BodyHash body_;
    std::string body_hash_;
};

// Tags joined and folded as OpenDKIM does it: lines of at most 75 columns, h= broken at colons, b= and z=
// anywhere. The last one, b=, may be empty.
std::string fold_tags(std::vector<std::string> const& tags);

} // namespace postern::milter_dkim
