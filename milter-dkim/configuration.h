// One generation of the configuration: settings, opened data sets and loaded keys, never changed once made.
#pragma once

#include "milter-dkim/lua/script.h"
#include "milter-dkim/settings.h"
#include "milter-dkim/sign/replacements.h"
#include "milter-dkim/tables/data_set.h"
#include "milter-dkim/tables/script_sets.h"
#include "milter-dkim/tables/tables.h"
#include "milter-dkim/verify/public_key.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace postern::milter_dkim {

// Which header fields are signed, by name; "*" in sign and omit stands for any octets.
struct HeaderChoice {
    std::vector<std::string> sign;     // empty: all that omit does not name
    std::vector<std::string> omit;     // never signed
    std::vector<std::string> oversign; // named in h= once more than they are there
};

class Configuration {
  public:
    // Opens and loads everything. Errors make the configuration unusable; warnings do not.
    static std::shared_ptr<Configuration const> make(Settings settings, DataSetOpener const& opener, Log& log,
                                                     std::vector<config::Problem>& problems);

    Settings settings;
    // Null where the setting is unset.
    std::unique_ptr<DataSet> domains;
    std::unique_ptr<DataSet> internal_hosts; // never null: the default is this machine
    std::unique_ptr<DataSet> external_ignore_list;
    std::unique_ptr<DataSet> peer_list;
    std::unique_ptr<DataSet> mta;
    std::unique_ptr<DataSet> macros;
    std::unique_ptr<DataSet> exempt_domains;
    std::unique_ptr<DataSet> dont_sign_mail_to;
    std::unique_ptr<DataSet> body_length_db;
    std::unique_ptr<DataSet> remove_ar_from;
    std::unique_ptr<DataSet> trust_signatures_from;
    std::unique_ptr<DataSet> atps_domains;
    std::unique_ptr<DataSet> test_keys; // DNS names and key records; TestDNSData and TestPublicKeys

    std::optional<SigningTables> tables;
    std::shared_ptr<SigningKey const> default_key; // KeyFile
    std::int64_t oldest_key = 0;                   // unix seconds of its file's last change; 0: no key file
    std::string default_key_error;                 // why there is none although it is configured
    PublicKeys public_keys;                        // of other domains
    HeaderChoice headers;
    std::vector<std::string> must_be_signed;
    std::vector<std::string> sender_headers;
    Replacements replacements;
    std::unique_ptr<DataSet> replace_headers; // null: all

    std::optional<lua::Script> setup_script;
    std::optional<lua::Script> screen_script;
    std::optional<lua::Script> final_script;
    std::unique_ptr<ScriptSets const> script_sets; // never null

    // A header field's value as ReplaceRules make it.
    Result<std::string> replaced(std::string_view name, std::string value) const;
};

} // namespace postern::milter_dkim
