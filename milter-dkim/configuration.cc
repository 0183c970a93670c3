// Opens what the settings name.
#include "milter-dkim/configuration.h"

#include "common/base/text.h"

#include <algorithm>
#include <array>
#include <set>
#include <span>
#include <utility>

namespace postern::milter_dkim {

namespace {

using config::Problem;

// RFC 6376 5.4.1, in the order in which OpenDKIM lists them.
constexpr std::array<std::string_view, 20> recommended{"from",
                                                       "reply-to",
                                                       "subject",
                                                       "date",
                                                       "to",
                                                       "cc",
                                                       "resent-date",
                                                       "resent-from",
                                                       "resent-sender",
                                                       "resent-to",
                                                       "resent-cc",
                                                       "in-reply-to",
                                                       "references",
                                                       "list-id",
                                                       "list-help",
                                                       "list-unsubscribe",
                                                       "list-subscribe",
                                                       "list-post",
                                                       "list-owner",
                                                       "list-archive"};
// RFC 6376 5.4.1: fields that change on the way.
constexpr std::array<std::string_view, 4> changing{"return-path", "received", "comments", "keywords"};

class Opener {
  public:
    Opener(Settings const& settings, DataSetOpener const& opener, std::vector<Problem>& problems)
        : settings_(settings), opener_(opener), problems_(problems) {}

    std::unique_ptr<DataSet> open(std::string_view name, std::string_view value) {
        if (value.empty()) return nullptr;
        auto const place = settings_.place_of(name);
        auto opened = opener_.open(value, place, problems_);
        if (opened) return std::move(*opened);
        problems_.push_back(
            {Problem::Severity::error, place, std::string(name) + ": " + opened.error().text});
        return nullptr;
    }

    // Names in a list; "*" takes the default, "+name" adds to it, "-name" takes away.
    std::vector<std::string> names(std::string_view setting, std::string_view value,
                                   std::span<std::string_view const> defaults) {
        std::vector<std::string> out;
        auto const set = open(setting, value);
        if (!set || set->rows() == nullptr) return {defaults.begin(), defaults.end()};
        bool const delta = std::ranges::any_of(*set->rows(), [](Row const& row) { return row.key == "*"; });
        if (delta) out.assign(defaults.begin(), defaults.end());
        for (auto const& row : *set->rows()) {
            if (row.key == "*") continue;
            if (delta && row.key.starts_with('-'))
                std::erase(out, row.key.substr(1));
            else
                out.push_back(row.written.substr(row.key.starts_with('+') ? 1 : 0));
        }
        return out;
    }

  private:
    Settings const& settings_;
    DataSetOpener const& opener_;
    std::vector<Problem>& problems_;
};

void open_sets(Configuration& to, Opener& opener) {
    auto const& from = to.settings;
    to.domains = opener.open("Domain", from.domain);
    to.internal_hosts =
        opener.open("InternalHosts", from.internal_hosts.empty() ? "csl:127.0.0.1,::1" : from.internal_hosts);
    to.external_ignore_list = opener.open("ExternalIgnoreList", from.external_ignore_list);
    to.peer_list = opener.open("PeerList", from.peer_list);
    to.mta = opener.open("MTA", from.mta);
    to.macros = opener.open("MacroList", from.macro_list);
    to.exempt_domains = opener.open("ExemptDomains", from.exempt_domains);
    to.dont_sign_mail_to = opener.open("DontSignMailTo", from.dont_sign_mail_to);
    to.body_length_db = opener.open("BodyLengthDB", from.body_length_db);
    to.remove_ar_from = opener.open("RemoveARFrom", from.remove_ar_from);
    to.trust_signatures_from = opener.open("TrustSignaturesFrom", from.trust_signatures_from);
    to.atps_domains = opener.open("ATPSDomains", from.atps_domains);
    to.test_keys = opener.open("TestDNSData", from.test_dns_data);
    if (!to.test_keys && !from.test_public_keys.empty())
        to.test_keys = opener.open("TestPublicKeys", "file:" + from.test_public_keys);
}

// OpenDKIM asks a host list for "!name" before "name", and a pattern that begins with "*" matches both.
void warn_of_patterns(Configuration const& configuration, std::vector<Problem>& problems) {
    std::set<std::pair<std::string, int>> told; // places: one file may serve two settings
    for (auto const* set : {configuration.internal_hosts.get(), configuration.external_ignore_list.get(),
                            configuration.peer_list.get()}) {
        if (set == nullptr || !set->has_patterns()) continue;
        for (auto const& row : *set->rows())
            if (row.key.starts_with('*') && told.emplace(row.place.file, row.place.line).second)
                problems.push_back({Problem::Severity::warning, row.place,
                                    "a pattern that begins with * matches no host here, as in OpenDKIM; "
                                    "write \"" +
                                        row.key.substr(row.key.find_first_not_of('*') == std::string::npos
                                                           ? row.key.size()
                                                           : row.key.find_first_not_of('*')) +
                                        "\""});
    }
}

void load_replacements(Configuration& to, Opener& opener, std::vector<Problem>& problems) {
    auto const& from = to.settings;
    to.replace_headers = opener.open("ReplaceHeaders", from.replace_headers);
    if (from.replace_rules.empty()) return;
    if (auto const text = config::read_file(from.replace_rules))
        to.replacements = Replacements::parse(*text, from.replace_rules, problems);
    else
        problems.push_back({Problem::Severity::error, from.place_of("ReplaceRules"), text.error().text});
}

void load_scripts(Configuration& to, std::vector<Problem>& problems) {
    auto const load = [&](std::string_view name, std::string const& path,
                          std::optional<lua::Script>& script) {
        if (path.empty()) return;
        if (auto loaded = lua::load_script(path))
            script = std::move(*loaded);
        else
            problems.push_back({Problem::Severity::error, to.settings.place_of(name),
                                std::string(name) + ": " + loaded.error().text});
    };
    load("SetupPolicyScript", to.settings.setup_policy_script, to.setup_script);
    load("ScreenPolicyScript", to.settings.screen_policy_script, to.screen_script);
    load("FinalPolicyScript", to.settings.final_policy_script, to.final_script);
}

void load_keys(Configuration& to, Opener& opener, Log& log, std::vector<Problem>& problems) {
    auto const& from = to.settings;
    auto store = std::make_shared<KeyStore>(
        KeyPolicy{from.minimum_key_bits, from.require_safe_keys, from.user_id}, log);
    if (!from.key_file.empty()) {
        auto key = store->get_file(from.key_file);
        if (key)
            to.default_key = *key;
        else
            to.default_key_error = key.error().text;
        if (!key && from.signs)
            problems.push_back({Problem::Severity::error, from.place_of("KeyFile"), key.error().text});
    }
    auto key_table = opener.open("KeyTable", from.key_table);
    auto signing_table = opener.open("SigningTable", from.signing_table);
    // Scripts name keys themselves.
    if (!signing_table && !from.setup_policy_script.empty()) signing_table = list_set({});
    if (key_table && signing_table) {
        to.tables.emplace(std::move(key_table), std::move(signing_table), store);
        if (from.signs) to.tables->check(problems);
    }
    to.oldest_key = store->oldest_change();
}

} // namespace

Result<std::string> Configuration::replaced(std::string_view name, std::string value) const {
    if (replacements.empty()) return value;
    auto const meant = replace_headers ? replace_headers->contains(name) : true;
    if (!meant) return std::unexpected(meant.error());
    return *meant ? replacements.applied(std::move(value)) : std::move(value);
}

std::shared_ptr<Configuration const> Configuration::make(Settings settings, DataSetOpener const& opener,
                                                         Log& log, std::vector<Problem>& problems) {
    auto made = std::make_shared<Configuration>();
    made->settings = std::move(settings);
    made->script_sets = std::make_unique<ScriptSets>(opener);
    Opener open(made->settings, opener, problems);
    open_sets(*made, open);
    warn_of_patterns(*made, problems);
    load_keys(*made, open, log, problems);
    load_replacements(*made, open, problems);
    load_scripts(*made, problems);
    auto const& from = made->settings;
    made->headers.sign = open.names("SignHeaders", from.sign_headers, recommended);
    made->headers.omit = open.names("OmitHeaders", from.omit_headers, changing);
    made->headers.oversign = open.names("OverSignHeaders", from.oversign_headers, {});
    made->must_be_signed = open.names("MustBeSigned", from.must_be_signed, {});
    made->sender_headers = open.names("SenderHeaders", from.sender_headers, {});
    return made;
}

} // namespace postern::milter_dkim
