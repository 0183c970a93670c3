// `sql-maps --import DIRECTORY`: which SQL tables a Postfix uses, whether they work, and how to switch over.
#pragma once

#include "common/base/error.h"
#include "sql-maps/settings.h"

#include <string>
#include <string_view>
#include <vector>

namespace postern::sql_maps {

// One parameter that names SQL tables, of main.cf or of a service in master.cf, or a service's command.
struct ParameterUse {
    std::string name;    // "virtual_alias_maps", "smtp/inet/smtpd_sender_login_maps", "smtp/inet/command"
    std::string value;   // as it stands
    std::string proxied; // the same with "proxy:" before each SQL table
    std::vector<std::string> tables; // "pgsql:/etc/postfix/x.cf"

    bool is_command() const { return name.ends_with("/command"); }
};

// From the lines "name = value" that postconf(1) prints. What "proxy:$name" refers to stays without "proxy:".
std::vector<ParameterUse> find_tables(std::string_view postconf_output);

// The postconf commands that switch over, or back; options in master.cf change with their whole command, as
// postconf -P takes no value with blanks. service: what proxymap_service_name is to be; before: what
// it is now, empty when it is not set.
std::string switch_over(std::vector<ParameterUse> const& uses, std::string const& directory,
                        std::string const& service);
std::string switch_back(std::vector<ParameterUse> const& uses, std::string const& directory,
                        std::string const& before);

// Prints it all; gives the exit code: 0 when every table answers, 1 when one does not, 75 without postconf.
int import_tables(Settings settings, std::string const& directory, Log& log);

} // namespace postern::sql_maps
