// check_host() of RFC 7208: a client, a sender and a HELO name in; a result with its reasons out.
#pragma once

#include "common/base/clock.h"
#include "common/dns/resolver.h"
#include "common/spf/engine.h"
#include "common/spf/ip_address.h"

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::spf {

enum class Verdict { none, neutral, pass, fail, softfail, temperror, permerror };

std::string_view to_string(Verdict verdict); // "none", "neutral", ... as RFC 7208 2.6 writes them

// Who asks to send. Octets may be anything.
struct Query {
    IpAddress client;
    // The MAIL FROM; empty asks for the HELO identity, postmaster@helo. Without '@' it is a domain, without a
    // local part the local part is "postmaster" (RFC 7208 4.3).
    std::string sender;
    std::string helo;
    std::string receiver = "unknown"; // %{r} in explanations
};

struct CheckLimits {
    unsigned lookups = 10;     // RFC 7208 4.6.4: terms that ask the DNS, over the whole check
    unsigned void_lookups = 2; // RFC 7208 4.6.4: answers without records
    std::chrono::milliseconds time = std::chrono::seconds(20);
};

struct Outcome {
    Verdict verdict = Verdict::none;
    // For people: printable ASCII, at most max_explanation octets. fail and softfail: the domain's own words
    // (exp=) when it has some; errors: "SPF Permanent Error: ...", "SPF Temporary Error: DNS ...". Empty for
    // none.
    std::string explanation;
    unsigned lookups = 0;
    std::vector<std::string> void_names; // "mail.example.com AAAA"
    std::vector<std::string> dead_names; // of them, without the type, those that no macro made
    std::size_t longest_record = 0;      // octets

    static constexpr std::size_t max_explanation = 400;
};

// Told of every step, for --explain; level is its place in the tree: a record, its terms below it, their
// lookups below them. Text may hold a stranger's octets.
using Trace = std::function<void(unsigned level, std::string const& line)>;

class Checker {
  public:
    Checker(dns::Resolver& resolver, Engine const& engine) : resolver_(resolver), engine_(engine) {}

    // Thread-safe. Never later than limits.time by more than a moment.
    Outcome check(Query const& query, CheckLimits const& limits, Trace const& trace = {}) const;

  private:
    dns::Resolver& resolver_;
    Engine const& engine_;
};

// A sender as RFC 7208 4.3 reads it.
struct Mailbox {
    std::string local_part;
    std::string domain;
};
Mailbox split_sender(std::string_view sender, std::string_view helo);

} // namespace postern::spf
