// libunbound's asynchronous context: the only place that knows its C interface. One thread uses it.
#pragma once

#include "common/base/error.h"
#include "common/dns/resolver.h"
#include "common/dns/unbound.h"

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

struct ub_ctx;
struct ub_result;

namespace postern::dns {

class Context {
  public:
    struct Answer {
        std::uint64_t token;
        Result<DnsAnswer> answer;
    };

    // nameservers as in ResolverSettings, at least one. The error names the setting that libunbound refused.
    static Result<std::unique_ptr<Context>> make(ResolverSettings const& settings,
                                                 std::vector<std::string> const& nameservers);
    ~Context();
    Context(Context const&) = delete;
    Context& operator=(Context const&) = delete;

    // Begins a question; its answer comes out of take_answers() under this token.
    Result<> ask(std::uint64_t token, std::string const& name, RecordType type);
    // The answer will not come any more. Nothing happens when it is not waited for.
    void cancel(std::uint64_t token);
    // Readable when take_answers() has something to give.
    int descriptor() const;
    std::vector<Answer> take_answers();

  private:
    struct Slot {
        Context* context;
        std::uint64_t token;
        RecordType type;
        int id = 0;
    };
    struct Delete {
        void operator()(ub_ctx* context) const;
    };
    explicit Context(ub_ctx* context) : context_(context) {}
    static void on_answer(void* slot, int error, ub_result* result);

    std::unordered_map<std::uint64_t, Slot> slots_; // the C side points into it: nodes do not move
    std::vector<Answer> answers_;
    std::unique_ptr<ub_ctx, Delete> context_;
};

// The nameserver lines of a resolv.conf(5); 127.0.0.1 when there is none or the file cannot be read.
std::vector<std::string> nameservers_of(std::string const& resolv_conf);

} // namespace postern::dns
