// The late resolver.
#include "policyd-spf/lazy_resolver.h"

namespace postern::policyd_spf {

Result<> LazyResolver::open() {
    std::call_once(made_, [this] {
        auto made = dns::make_unbound_resolver(settings_, log_, metrics_);
        if (made) {
            resolver_ = std::move(*made);
            return;
        }
        done_ = std::unexpected(made.error());
        log_.error("dns: {}", made.error().text);
    });
    return done_;
}

Result<dns::DnsAnswer> LazyResolver::lookup(std::string_view name, dns::RecordType type, Deadline deadline) {
    if (auto opened = open(); !opened) return temporary(opened.error().text);
    return resolver_->lookup(name, type, deadline);
}

} // namespace postern::policyd_spf
