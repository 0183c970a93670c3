// Dovecot 2.4's way of writing where access tokens are checked: "oauth2 { }", oauth2_introspection_url, and
// "passdb oauth2 { }" for what differs.
#include "auth-socket/oauth2/settings.h"
#include "auth-socket/settings.h"

#include "common/base/text.h"

#include <algorithm>
#include <array>

namespace postern::auth_socket {

namespace {

using config::Assignment;
using config::Block;
using config::Problem;

// 2.4's names and those of dovecot-oauth2.conf.ext; empty: it has nothing to do here.
constexpr std::array<std::pair<std::string_view, std::string_view>, 8> renamed_settings{{
    {"username_validation_format", "username_format"},
    {"ssl_client_ca_file", "tls_ca_cert_file"},
    {"ssl_client_ca_dir", "tls_ca_cert_dir"},
    {"ssl_client_cert_file", "tls_cert_file"},
    {"ssl_client_key_file", "tls_key_file"},
    {"ssl_cipher_list", "tls_cipher_suite"},
    {"http_client_request_absolute_timeout", "timeout_msecs"},
    {"ssl_client_require_valid_cert", "tls_allow_invalid_cert"},
}};

class Collector {
  public:
    // Settings outside blocks carry the prefix, those inside may.
    void take(Block const& block, bool prefix_needed) {
        constexpr std::string_view prefix = "oauth2_";
        for (auto const& each : block.settings) {
            auto const prefixed = each.name.starts_with(prefix);
            if (prefix_needed && !prefixed) continue;
            add(prefixed ? each.name.substr(prefix.size()) : each.name, each);
        }
        for (auto const* name : {"local_validation", "oauth2_local_validation"})
            for (auto const* inner : block.all(name)) take_keys(*inner);
        for (auto const* name : {"fields", "oauth2_fields"})
            for (auto const* inner : block.all(name))
                for (auto const& each : inner->settings) fields.set(each.name, each.value);
        for (auto const* name : {"scope", "oauth2_scope", "issuers", "oauth2_issuers"}) // lists as blocks
            for (auto const* inner : block.all(name)) take_list(*inner, name);
    }

    std::vector<Assignment> assignments;
    Fields fields;

  private:
    void add(std::string name, Assignment const& from) {
        auto value = from.value;
        for (auto const& [newer, older] : renamed_settings)
            if (name == newer) name = older;
        if (name.starts_with("http_client_") || name.starts_with("ssl_")) return;
        if (name == "tls_allow_invalid_cert")
            value = config::parse_boolean(value).value_or(true) ? "no" : "yes";
        if (name == "timeout_msecs")
            if (auto const span = parse_duration(value)) value = std::to_string(span->count());
        assignments.push_back({std::move(name), std::move(value), from.place});
    }
    // dict fs { fs posix { prefix = /etc/dovecot/keys/ } }
    void take_keys(Block const& block) {
        for (auto const* dict : block.all("dict"))
            for (auto const* driver : dict->all("fs"))
                for (auto const& each : driver->settings)
                    if (each.name.ends_with("prefix"))
                        assignments.push_back(
                            {"local_validation_key_dict", "fs:posix:prefix=" + each.value, each.place});
    }
    void take_list(Block const& block, std::string_view name) {
        if (name.starts_with("oauth2_")) name.remove_prefix(7);
        Assignment list{std::string(name), "", block.place};
        for (auto const& each : block.settings)
            if (config::parse_boolean(each.value).value_or(false)) list.value += each.name + " ";
        assignments.push_back(std::move(list));
    }
};

} // namespace

std::shared_ptr<TokenSettings const> dovecot24_tokens(Block const& root, Block const* passdb,
                                                      std::vector<Problem>& problems) {
    Collector found;
    found.take(root, true);
    for (auto const* block : root.all("oauth2")) found.take(*block, false);
    if (passdb != nullptr) {
        found.take(*passdb, true);
        for (auto const* block : passdb->all("oauth2")) found.take(*block, false);
    }
    if (passdb == nullptr && found.assignments.empty()) return nullptr;
    auto const place = passdb != nullptr ? passdb->place : found.assignments.front().place;
    found.assignments.insert(found.assignments.begin(), {"username_format", "%{user}", place});
    if (passdb != nullptr &&
        std::ranges::find(found.assignments, "grant_url", &Assignment::name) != found.assignments.end())
        found.assignments.push_back({"use_grant_password", "yes", place});
    auto settings = checked_token_settings(found.assignments, place, problems);
    if (!settings) return nullptr;
    settings->pass_attributes = found.fields;
    return std::make_shared<TokenSettings const>(std::move(*settings));
}

// The passdbs behind it add their fields, and may know that the user is disabled.
void add_dovecot24_tokens(Block const& root, Settings& settings, std::vector<Problem>& problems) {
    auto const has = [&](std::string_view name) {
        return std::ranges::find(settings.client.mechanisms, name) != settings.client.mechanisms.end();
    };
    if (!has("OAUTHBEARER") && !has("XOAUTH2")) return;
    DatabaseBlock block;
    block.tokens = dovecot24_tokens(root, nullptr, problems);
    if (!block.tokens) return;
    block.driver = "oauth2";
    block.name = "oauth";
    block.place = root.place;
    block.mechanisms = {"OAUTHBEARER", "XOAUTH2"};
    block.success = Rule::continue_ok;
    block.others_may_object = true;
    block.failure = block.internal_failure = Rule::return_fail;
    settings.passdbs.insert(settings.passdbs.begin(), std::move(block));
}

} // namespace postern::auth_socket
