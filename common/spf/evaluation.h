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
        unsigned level = 0; // of the record in the trace; 0: of the check itself, no include around it
    };

    Result<Verdict> check_domain(std::string domain, unsigned level);
    Result<std::optional<Record>> fetch_record(std::string const& domain, unsigned level);
    Result<std::optional<Verdict>> walk(Frame const& frame);
    std::size_t deciding_term(Frame const& frame, Term const* matched) const; // its place among the terms
    Result<bool> matches(Frame const& frame, Term const& term);
    Result<bool> decide(Frame const& frame, Term const& term);
    Result<bool> matches_include(Frame const& frame, Term const& term);
    Result<bool> matches_addresses(std::string const& name, bool by_macro, Term const& term, unsigned level);
    Result<bool> matches_mx(Frame const& frame, Term const& term);
    Result<bool> matches_exists(Frame const& frame, Term const& term);
    Result<bool> matches_ptr(Frame const& frame, Term const& term);

    using Answers = Result<std::vector<dns::DnsRecord>>;
    Result<> count_lookup();
    // Absent: no record, or the name cannot be asked for. Void answers are counted.
    Answers lookup(std::string const& name, bool by_macro, dns::RecordType type, unsigned level);
    // The same without counting, for what RFC 7208 does not count: exp=, names of a PTR.
    Answers ask_and_tell(std::string const& name, dns::RecordType type, unsigned level);
    Answers ask(std::string const& name, dns::RecordType type, unsigned level);
    dns::RecordType address_type() const;

    std::string target(Frame const& frame, Term const& term);
    std::string macro_value(Frame const& frame, char letter);
    std::vector<std::string> const& validated_names(unsigned level);
    std::string client_name(Frame const& frame); // %{p}

    std::string explanation(Verdict verdict);
    std::optional<std::string> own_words();

    template <class... T>
    void tell(unsigned level, fmt::format_string<T...> format, T&&... values) {
        if (trace_) trace_(level, fmt::format(format, std::forward<T>(values)...));
    }
    void tell_of_networks(Frame const& frame, std::size_t from, std::size_t to);
    void tell_of_end(unsigned level, std::string_view where, Error const& error); // once

    dns::Resolver& resolver_;
    Engine const& engine_;
    Query const& query_;
    CheckLimits const& limits_;
    Trace const& trace_;
    IpAddress client_;
    Mailbox sender_;
    Deadline deadline_;
    Outcome outcome_;
    bool end_is_told_ = false;
    std::optional<Frame> explaining_; // the record that decided, includes left out: its exp= speaks
    std::optional<std::vector<std::string>> validated_names_;
};

} // namespace postern::spf
