// The opendkim.conf as the tools read it, and the resolver that it asks for.
#pragma once

#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/dns/unbound.h"
#include "milter-dkim/settings.h"

#include <memory>
#include <optional>
#include <string>

namespace postern::milter_dkim::tools {

// given: -x's file. Without one the first of the usual places that can be read, and none at all is no
// mistake. Absent: there are errors, which have been printed. Goes to BaseDirectory.
std::optional<Settings> read_tool_settings(std::string const& program,
                                           std::optional<std::string> const& given);

Result<std::unique_ptr<dns::Resolver>> tool_resolver(Settings const& settings, Log& log, Metrics& metrics);

} // namespace postern::milter_dkim::tools
