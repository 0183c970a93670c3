// policyd-spf.conf and the per-user files, in the names of python policyd-spf 3.0.4.
#pragma once

#include "common/config/settings.h"
#include "policyd-spf/networks.h"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::policyd_spf {

// HELO_reject and Mail_From_reject.
enum class RejectPolicy {
    fail,
    softfail,     // fail, too
    spf_not_pass, // neutral, too; permerror is PermError_reject's
    null_sender,  // HELO_reject only: a fail, and only for the null sender
    never,        // "False": PermError_reject and TempError_Defer do not count either
    no_check,     // the identity is not looked at
    unknown,      // a word that nobody knows: no result is rejected, as stock has it
};

enum class HeaderType { spf, ar, none };

// A setting as the file has it.
struct GivenValue {
    std::string name;
    std::string value;
};

struct Settings {
    int debug_level = 1;
    bool test_only = false; // answers reject and defer become dunno
    RejectPolicy helo_reject = RejectPolicy::fail;
    RejectPolicy mail_from_reject = RejectPolicy::fail;
    std::string helo_pass_restriction; // an action; empty: unset
    std::string mail_from_pass_restriction;
    bool permerror_reject = false;
    bool temperror_defer = false;
    bool no_mail = false;
    std::vector<std::string> reject_not_pass_domains; // lower case
    std::string prospective;                          // an address instead of the client's
    Networks skip_addresses;
    Networks whitelist;
    std::vector<std::string> helo_whitelist; // lower case
    std::vector<std::string> domain_whitelist;
    std::vector<std::string> domain_whitelist_ptr; // lower case
    std::string per_user_file;                     // empty: unset
    bool enhanced_status_codes = true;
    HeaderType header_type = HeaderType::spf;
    bool hide_receiver = false;
    std::string authserv_id;
    std::chrono::seconds lookup_time{20};
    std::chrono::seconds whitelist_lookup_time{10};
    unsigned void_limit = 2;
    std::string reason_message;
    bool mock = false;
    bool queue_id = true; // the log lines begin with it

    // Postern's own.
    std::vector<std::string> nameservers;
    std::string user; // of the standing daemon when root starts it
    std::string metrics_listen;
    std::size_t max_connections = 500;
    std::size_t dns_cache_entries = 20000;

    std::optional<bool> default_seed_only; // the old name of TestOnly, which comes before it
    std::optional<bool> explicit_test_only;
    std::string file;              // where they were read; empty: nowhere
    std::vector<GivenValue> given; // each name once, where it stood first, with its last value

    // While a line is read.
    std::vector<std::string> notes; // what is no mistake and should be known
    bool has_bad_number = false;
};

config::Table<Settings> const& settings_table();

// Applies the lines in order and notes those that count in Settings::given. Warnings: what a reader should
// know and no mistake is.
std::vector<config::Problem> apply_settings(Settings& settings, std::vector<config::Assignment> const& lines);

// The built-in defaults, as the table has them.
Settings default_settings();

struct ReadSettings {
    Settings settings;
    std::vector<config::Problem> problems;
    // False: a number that is none, or a file that is there and cannot be read. Stock ends, and so do we:
    // with settings that nobody chose, mail would be refused for good.
    bool usable = true;
};
// A path that is not there or no file gives the defaults and one problem whose text is stock's: ERROR stating
// "PATH": ...
ReadSettings read_settings(std::string const& path);
ReadSettings parse_settings(std::string_view text, std::string const& file);

} // namespace postern::policyd_spf
