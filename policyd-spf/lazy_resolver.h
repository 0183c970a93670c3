// A resolver that comes to life with its first question: under spawn(8) many processes never ask one.
#pragma once

#include "common/dns/unbound.h"

#include <memory>
#include <mutex>

namespace postern::policyd_spf {

class LazyResolver final : public dns::Resolver {
  public:
    LazyResolver(dns::ResolverSettings settings, Log& log, Metrics& metrics)
        : settings_(std::move(settings)), log_(log), metrics_(metrics) {}

    // Makes it now, to learn what is wrong with the settings.
    Result<> open();
    // Temporary errors when it could not be made; the log says why, once.
    Result<dns::DnsAnswer> lookup(std::string_view name, dns::RecordType type, Deadline deadline) override;

  private:
    dns::ResolverSettings settings_;
    Log& log_;
    Metrics& metrics_;
    std::once_flag made_;
    std::unique_ptr<dns::Resolver> resolver_;
    Result<> done_;
};

} // namespace postern::policyd_spf
