// The passdbs and userdbs of a configuration, asked in order by Dovecot's rules.
#pragma once

#include "auth-socket/authority.h"
#include "auth-socket/users/database.h"
#include "auth-socket/users/hashing.h"
#include "auth-socket/users/passdb_fields.h"
#include "auth-socket/users/username.h"
#include "common/base/log.h"

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace postern::auth_socket {

enum class ShownPassword { never, plain, sha1 };

struct AuthenticatorSettings {
    UsernameRules username;
    bool verbose = false; // auth_verbose: successes are logged too
    bool debug = false;
    ShownPassword shown_password = ShownPassword::never; // of failed logins: auth_verbose_passwords
    std::size_t shown_length = 0;                        // 0: all of it
};

class Authenticator final : public Authority {
  public:
    Authenticator(AuthenticatorSettings settings, std::vector<ConfiguredPassdb> passdbs,
                  std::vector<ConfiguredUserdb> userdbs, Hashing& hashing, Log& log);

    std::string account(Request const& request, std::string_view name) const override;
    bool asks_web(std::string_view mechanism) const override;
    Outcome check_password(Request& request, std::string_view authorization,
                           Secret const& password) const override;
    std::optional<Outcome> login_at_hand(Request& request, std::string_view authorization,
                                         Secret const& password) const override;
    void const* asked_together(Request& request, std::string_view authorization) const override;
    void look_up(std::span<Request* const> requests, HeldUp const& held_up) const override;
    Outcome find_secret(Request& request, std::string_view authorization,
                        std::span<std::string const> schemes) const override;
    Outcome find_login(Request& request, std::string_view authorization) const override;
    UserOutcome find_user(Request& request, Outcome const* login) const override;
    Result<> list_users(Request const& request, std::string_view mask,
                        std::function<void(std::string_view)> const& each) const override;
    void log_mismatch(Request const& request, std::string_view why) const override;

  private:
    // Judges one row of a passdb: is this the right password, is there a usable secret.
    using Judge = std::function<Verdict(ConfiguredPassdb const&, PassdbRow const&, Request const&, Outcome&)>;
    struct Question {
        Judge judge;
        Secret const* password = nullptr; // for databases that check by themselves
        bool lets_in = true;              // not only asked who exists: networks and delays count
    };
    Outcome login(Request& request, std::string_view authorization, Question const& question) const;
    Outcome refused(Request& request, std::string_view name, std::string_view why) const;
    Outcome master_login(Request& request, std::string const& target, Question const& question) const;
    Outcome ask_passdbs(Request& request, bool master, Question const& question) const;
    Verdict ask_passdb(ConfiguredPassdb const& passdb, Request& request, Outcome& outcome,
                       Question const& question) const;
    Verdict judge_rows(ConfiguredPassdb const& passdb, std::vector<Fields> const& rows, Request& request,
                       Outcome& outcome, Question const& question) const;
    Verdict judge_row(ConfiguredPassdb const& passdb, Fields const& row, Request& request, Outcome& outcome,
                      Question const& question) const;
    Verdict check_admission(ConfiguredPassdb const& passdb, PassdbRow const& row,
                            Request const& request) const;
    Verdict admit(ConfiguredPassdb const& passdb, PassdbRow const& row, Request& request,
                  Outcome& outcome) const;
    Verdict verify(ConfiguredPassdb const& passdb, PassdbRow const& row, Request const& request,
                   Secret const& password) const;
    Verdict without_password(ConfiguredPassdb const& passdb, Request const& request) const;
    Verdict pick_secret(ConfiguredPassdb const& passdb, PassdbRow const& row, Request const& request,
                        std::span<std::string const> wanted, Outcome& outcome) const;
    Result<Credential> stored_credential(ConfiguredPassdb const& passdb, PassdbRow const& row,
                                         Request const& request) const;
    void verify_nobody(Request const& request, Secret const& password) const;
    std::optional<std::string> plain_user(Request const& request, std::string_view authorization) const;
    std::uint32_t number(ConfiguredPassdb const& passdb) const;
    static Result<std::vector<Fields>> rows(ConfiguredPassdb const& passdb, Request const& request);
    std::optional<Outcome> known_at_hand(Request& request, Secret const& password) const;
    ConfiguredPassdb const* first_asked(Request const& request) const;
    bool fits_quickly(ConfiguredPassdb const& passdb, PassdbRow const& row, std::string const& user,
                      Request const& request, Secret const& password) const;
    static std::string default_scheme(ConfiguredPassdb const& passdb);
    std::string shown(Secret const& password) const;
    void say(ConfiguredPassdb const& passdb, Request const& request, Verdict verdict,
             std::string_view text) const;
    Verdict existence(Request& request) const;
    ConfiguredPassdb const* passdb_that_asks_for_passwords(Request const& request) const;
    Verdict ask_userdb(ConfiguredUserdb const& userdb, Outcome const* login, Request& request,
                       UserOutcome& outcome) const;
    Outcome asked_in_order(Request& request, bool master, Question const& question) const;

    AuthenticatorSettings const settings_;
    std::vector<ConfiguredPassdb> const passdbs_;
    std::vector<ConfiguredUserdb> const userdbs_;
    Hashing& hashing_;
    Log& log_;
};

} // namespace postern::auth_socket
