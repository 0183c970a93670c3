// What a dry run says: every step of every rotation, with its values.
#pragma once

#include "milter-dkim/tools/rotate/plan.h"
#include "milter-dkim/tools/rotate/rotator.h"

#include <string>

namespace postern::milter_dkim::tools {

struct ReportParts {
    RotatorSettings const& settings;
    Inventory const& inventory;
    Authorities const& authorities;
    Publisher const& publisher;
    Reloader const& reloader;
    std::int64_t now;
};
// Asks the DNS for the zone and its servers, and nothing else.
std::string rotation_report(Rotation const& rotation, ReportParts const& parts);

} // namespace postern::milter_dkim::tools
