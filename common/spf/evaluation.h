// One check at work: the counts, the time, and every DNS question of a single check_host().
#pragma once

#include "common/spf/check.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <vector>

namespace postern::spf {

class Evaluation {
  public:
    Evaluation(dns::Resolver& resolver, Engine const& engine, Query const& query, CheckLimits const& limits,
               Trace const& trace);

    Outcome run();

  private:
    // The record that is being walked and the domain it belongs to, %{d}.
    struct Frame {
        std::string domain;
        Record record;
        unsigned depth = 0;
    };

    Result<Verdict> check_domain(std::string domain, unsigned depth);
    Result<std::optional<Record>> fetch_record(std::string const& domain, unsigned depth);
    Result<std::optional<Verdict>> walk(Frame const& frame);
    std::string deciding_term(Frame const& frame, Term const* matched) const;
    Result<bool> matches(Frame const& frame, Term const& term);
    Result<bool> matches_include(Frame const& frame, Term const& term);
    Result<bool> matches_addresses(std::string const& name, Term const& term, unsigned depth);
    Result<bool> matches_mx(Frame const& frame, Term const& term);
    Result<bool> matches_exists(Frame const& frame, Term const& term);
    Result<bool> matches_ptr(Frame const& frame, Term const& term);

    Result<> count_lookup();
    Result<> count_void(std::string const& question);
    // Absent: no record, or the name cannot be asked for. Void answers are counted.
    Result<std::vector<dns::DnsRecord>> lookup(std::string const& name, dns::RecordType type, unsigned depth);
    // The same without counting, for what RFC 7208 does not count: exp=, names of a PTR.
    Result<std::vector<dns::DnsRecord>> ask(std::string const& name, dns::RecordType type, unsigned depth);
    dns::RecordType address_type() const;

    std::string target(Frame const& frame, Term const& term);
    std::string macro_value(Frame const& frame, char letter);
    std::vector<std::string> const& validated_names(unsigned depth);
    std::string client_name(Frame const& frame); // %{p}

    std::string explanation(Verdict verdict);
    std::optional<std::string> own_words();

    template <class... T>
    void tell(unsigned depth, fmt::format_string<T...> format, T&&... values) {
        if (trace_) trace_(depth, fmt::format(format, std::forward<T>(values)...));
    }

    dns::Resolver& resolver_;
    Engine const& engine_;
    Query const& query_;
    CheckLimits const& limits_;
    Trace const& trace_;
    IpAddress client_;
    Mailbox sender_;
    Deadline deadline_;
    Outcome outcome_;
    std::optional<Frame> explaining_; // the record that decided, includes left out: its exp= speaks
    std::optional<std::vector<std::string>> validated_names_;
};

} // namespace postern::spf
