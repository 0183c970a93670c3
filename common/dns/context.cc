// The border to libunbound.
#include "common/dns/context.h"

#include "common/base/text.h"
#include "common/dns/rdata.h"

#include <unbound.h>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <array>
#include <fstream>
#include <string_view>
#include <utility>

namespace postern::dns {

namespace {

// A stub that only forwards. Its nameserver answers some names at once and others after seconds, so neither
// may a late name count against the nameserver, nor its fast answers shorten the wait for a late one: by
// itself libunbound asks again after a fifth of a second, throws the late answers away, and gives up.
constexpr std::pair<char const*, char const*> stub_options[] = {
    {"do-not-query-localhost:", "no"},
    {"outgoing-range:", "512"},
    {"num-queries-per-thread:", "512"},
    {"outgoing-num-tcp:", "32"},
    {"infra-host-ttl:", "1"},
    {"infra-cache-min-rtt:", "2000"},
    {"unknown-server-time-limit:", "2000"},
    {"minimal-responses:", "yes"},
    {"msg-cache-size:", "1m"}, // our own cache stands in front
    {"rrset-cache-size:", "2m"},
};

// Zones that libunbound answers by itself unless told otherwise (RFC 6303, RFC 6761): the resolver that is
// asked may well know private clients and test domains.
std::vector<std::string> builtin_zones() {
    std::vector<std::string> zones = {"test.",
                                      "invalid.",
                                      "home.arpa.",
                                      "127.in-addr.arpa.",
                                      "10.in-addr.arpa.",
                                      "168.192.in-addr.arpa.",
                                      "0.in-addr.arpa.",
                                      "254.169.in-addr.arpa.",
                                      "2.0.192.in-addr.arpa.",
                                      "100.51.198.in-addr.arpa.",
                                      "113.0.203.in-addr.arpa.",
                                      "255.255.255.255.in-addr.arpa.",
                                      "d.f.ip6.arpa.",
                                      "8.e.f.ip6.arpa.",
                                      "9.e.f.ip6.arpa.",
                                      "a.e.f.ip6.arpa.",
                                      "b.e.f.ip6.arpa.",
                                      "8.b.d.0.1.0.0.2.ip6.arpa."};
    for (int i = 16; i < 32; ++i) zones.push_back(fmt::format("{}.172.in-addr.arpa.", i));
    for (int i = 64; i < 128; ++i) zones.push_back(fmt::format("{}.100.in-addr.arpa.", i));
    std::string zeros;
    for (int i = 0; i < 31; ++i) zeros += "0.";
    zones.push_back("1." + zeros + "ip6.arpa."); // ::1
    zones.push_back("0." + zeros + "ip6.arpa."); // ::
    return zones;
}

Result<> accepted(int error, std::string_view what) {
    if (error == 0) return {};
    return permanent(fmt::format("libunbound refuses {}: {}", what, ub_strerror(error)));
}

// Whether a configuration file says itself where everything is asked: forward-zone: name: ".". Then the
// system's nameservers beside its own would get half of the questions.
bool forwards_everything(std::vector<std::string> const& files) {
    for (auto const& file : files) {
        std::ifstream in(file);
        for (std::string line; std::getline(in, line);) {
            auto const text = trim(std::string_view(line).substr(0, line.find('#')));
            if (!text.starts_with("name:")) continue;
            auto const name = trim(text.substr(5));
            if (name == "." || name == "\".\"") return true;
        }
    }
    return false;
}

Result<> configure(ub_ctx* context, ResolverSettings const& settings,
                   std::vector<std::string> const& nameservers) {
    ub_ctx_debugout(context, nullptr); // it would write to standard error
    for (auto const& [option, value] : stub_options)
        if (auto done = accepted(ub_ctx_set_option(context, option, value), option); !done) return done;
    if (settings.tcp_only)
        if (auto done = accepted(ub_ctx_set_option(context, "tcp-upstream:", "yes"), "tcp-upstream"); !done)
            return done;
    if (settings.trust_anchor_file.empty()) {
        if (auto done = accepted(ub_ctx_set_option(context, "module-config:", "iterator"), "iterator"); !done)
            return done;
    } else if (auto done = accepted(ub_ctx_add_ta_file(context, settings.trust_anchor_file.c_str()),
                                    "the trust anchor file " + settings.trust_anchor_file);
               !done) {
        return done;
    }
    for (auto const& file : settings.unbound_configuration)
        if (auto done = accepted(ub_ctx_config(context, file.c_str()), "the file " + file); !done)
            return done;
    bool const has_own = settings.nameservers.empty() && forwards_everything(settings.unbound_configuration);
    for (auto const& server : has_own ? std::vector<std::string>() : nameservers)
        if (auto done = accepted(ub_ctx_set_fwd(context, server.c_str()), "the nameserver " + server); !done)
            return done;
    if (!settings.hosts_file.empty())
        if (auto done = accepted(ub_ctx_hosts(context, settings.hosts_file.c_str()), settings.hosts_file);
            !done)
            return done;
    if (auto done = accepted(ub_ctx_async(context, 1), "threads"); !done) return done;
    for (auto const& zone : builtin_zones()) // this ends the configuration
        if (auto done = accepted(ub_ctx_zone_remove(context, zone.c_str()), "the settings"); !done)
            return done;
    return {};
}

Result<DnsAnswer> decode_answer(RecordType type, ub_result const& result) {
    if (result.bogus != 0)
        return std::unexpected(bogus_answer(result.why_bogus == nullptr ? "bogus" : result.why_bogus));
    constexpr int noerror = 0;
    constexpr int nxdomain = 3;
    if (result.rcode != noerror && result.rcode != nxdomain)
        return temporary(result.rcode == 2 ? "SERVFAIL" : fmt::format("rcode {}", result.rcode));
    DnsAnswer answer;
    answer.ttl = result.ttl > 0 ? static_cast<std::uint32_t>(result.ttl) : 0;
    answer.secure = result.secure != 0;
    answer.kind = result.nxdomain != 0 ? DnsAnswer::Kind::no_such_name : DnsAnswer::Kind::no_records;
    if (result.havedata == 0) return answer;
    answer.kind = DnsAnswer::Kind::found;
    for (int i = 0; result.data[i] != nullptr; ++i) {
        auto record = decode_rdata(type, {result.data[i], static_cast<std::size_t>(result.len[i])});
        if (!record) return std::unexpected(std::move(record.error()));
        answer.records.push_back(std::move(*record));
    }
    return answer;
}

struct FreeResult {
    void operator()(ub_result* result) const { ub_resolve_free(result); }
};

} // namespace

void Context::Delete::operator()(ub_ctx* context) const { ub_ctx_delete(context); }

Context::~Context() = default;

Result<std::unique_ptr<Context>> Context::make(ResolverSettings const& settings,
                                               std::vector<std::string> const& nameservers) {
    std::unique_ptr<Context> context(new Context(ub_ctx_create()));
    if (!context->context_) return temporary("libunbound: no memory or no descriptors left");
    if (auto done = configure(context->context_.get(), settings, nameservers); !done)
        return std::unexpected(std::move(done.error()));
    return context;
}

Result<> Context::ask(std::uint64_t token, std::string const& name, RecordType type) {
    auto& slot = slots_.insert_or_assign(token, Slot{this, token, type}).first->second;
    constexpr int internet = 1;
    int const error = ub_resolve_async(context_.get(), name.c_str(), static_cast<int>(type), internet, &slot,
                                       &Context::on_answer, &slot.id);
    if (error == 0) return {};
    slots_.erase(token);
    return temporary(fmt::format("libunbound: {}", ub_strerror(error)));
}

void Context::cancel(std::uint64_t token) {
    auto const found = slots_.find(token);
    if (found == slots_.end()) return;
    ub_cancel(context_.get(), found->second.id);
    slots_.erase(found);
}

int Context::descriptor() const { return ub_fd(context_.get()); }

std::vector<Context::Answer> Context::take_answers() {
    ub_process(context_.get());
    return std::exchange(answers_, {});
}

void Context::on_answer(void* argument, int error, ub_result* raw) {
    std::unique_ptr<ub_result, FreeResult> const result(raw);
    auto const slot = *static_cast<Slot*>(argument);
    auto& context = *slot.context;
    context.slots_.erase(slot.token);
    if (error != 0 || !result)
        context.answers_.push_back(
            {slot.token, temporary(fmt::format("libunbound: {}", ub_strerror(error)))});
    else
        context.answers_.push_back({slot.token, decode_answer(slot.type, *result)});
}

namespace {

// Without "@port" and "%interface".
bool is_address(std::string_view nameserver) {
    std::string const address(nameserver.substr(0, nameserver.find_first_of("@%")));
    std::array<char, sizeof(in6_addr)> octets{};
    return ::inet_pton(AF_INET, address.c_str(), octets.data()) == 1 ||
           ::inet_pton(AF_INET6, address.c_str(), octets.data()) == 1;
}

} // namespace

// A line that is no address is passed over, as the C library does.
std::vector<std::string> nameservers_of(std::string const& resolv_conf) {
    constexpr std::size_t max_nameservers = 8;
    constexpr int max_lines = 1000;
    std::vector<std::string> servers;
    std::ifstream file(resolv_conf);
    std::string line;
    for (int i = 0; i < max_lines && std::getline(file, line); ++i) {
        auto const words = split_words(line);
        if (words.size() >= 2 && words[0] == "nameserver" && is_address(words[1]) &&
            servers.size() < max_nameservers)
            servers.emplace_back(words[1]);
    }
    if (servers.empty()) servers.emplace_back("127.0.0.1"); // resolv.conf(5)
    return servers;
}

} // namespace postern::dns
