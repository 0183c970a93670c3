// The values of opendkim.conf that are more than a word, a switch or a number.
#pragma once

#include "milter-dkim/settings.h"

namespace postern::milter_dkim::values {

Result<> mode(Settings& settings, std::string_view value);
Result<> canonicalization(Settings& settings, std::string_view value);
Result<> signature_algorithm(Settings& settings, std::string_view value);
Result<> umask_value(Settings& settings, std::string_view value);
Result<> dns_timeout(Settings& settings, std::string_view value);
Result<> minimum(Settings& settings, std::string_view value);
Result<> restart_rate(Settings& settings, std::string_view value);
Result<> on_default(Settings& settings, std::string_view value);

// Only checked: what it asks for is so in any case.
Result<> checked_switch(Settings& settings, std::string_view value);

} // namespace postern::milter_dkim::values
