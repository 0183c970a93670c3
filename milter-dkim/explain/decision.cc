// Sign or verify: the questions in the order in which they are asked, each answered from the same data sets.
#include "milter-dkim/explain/explain.h"

#include "common/base/text.h"
#include "milter-dkim/tables/hosts.h"

#include <fmt/format.h>

namespace postern::milter_dkim::explain {

namespace {

constexpr std::size_t most_rows = 8; // of a list that is shown whole

std::string place_of(Row const& row) {
    return row.place.line == 0 ? row.place.file : fmt::format("{}:{}", row.place.file, row.place.line);
}

std::string contents(DataSet const& set) {
    auto const* rows = set.rows();
    if (rows == nullptr) return "a database";
    std::vector<std::string> names;
    for (auto const& row : *rows) {
        names.push_back(row.written);
        if (names.size() == most_rows && rows->size() > most_rows) {
            names.push_back(fmt::format("and {} more", rows->size() - most_rows));
            break;
        }
    }
    return names.empty() ? "an empty list" : join(names, ", ");
}

std::string yes_or_no(Result<bool> const& answer) {
    if (!answer) return "cannot be asked (" + answer.error().text + "), so the mail is put off";
    return *answer ? "yes" : "no";
}

class Teller {
  public:
    Teller(Page& page, Case const& about, Decision const& decision)
        : page_(page), about_(about), configuration_(about.configuration()), decision_(decision) {}

    void tell() {
        page_.title("Sign or verify?");
        page_.row("Mode", fmt::format("{}{}", about_.settings().signs ? "s" : "",
                                      about_.settings().verifies ? "v" : ""));
        tell_peer();
        page_.row("sender's domain", decision_.sender_domain.empty() ? "none: no field names a sender"
                                                                     : decision_.sender_domain);
        membership("ExemptDomains", configuration_.exempt_domains.get(), decision_.sender_domain);
        tell_origin();
        tell_domain();
        tell_tables();
        tell_recipients();
        page_.row("so", conclusion());
        tell_scripts();
        for (auto const& line : decision_.lines)
            if (!line.why && line.level >= LogLevel::warning) page_.row("!", line.text);
    }

  private:
    void membership(std::string_view setting, DataSet const* set, std::string const& key) {
        if (set == nullptr || key.empty()) return;
        page_.row(setting,
                  fmt::format("is {} in it? {} ({})", key, yes_or_no(set->contains(key)), contents(*set)));
    }
    void hosts(std::string_view setting, DataSet const* set) {
        if (set == nullptr) return;
        auto const& envelope = about_.envelope;
        page_.row(setting,
                  fmt::format("is {} or {} in it? {} ({})", envelope.client_name, envelope.client_address,
                              yes_or_no(lists_client(*set, envelope.client_name, envelope.client_address)),
                              contents(*set)));
    }

    void tell_peer() { hosts("PeerList", configuration_.peer_list.get()); }

    void tell_origin() {
        if (configuration_.mta)
            membership("MTA", configuration_.mta.get(),
                       about_.envelope.daemon_name.empty() ? "(no daemon_name)"
                                                           : about_.envelope.daemon_name);
        if (configuration_.macros)
            page_.row("MacroList",
                      fmt::format("{}; of the macros only those that options give are known here",
                                  contents(*configuration_.macros)));
        hosts("InternalHosts", configuration_.internal_hosts.get());
        page_.row("logged in?",
                  about_.envelope.auth_type.empty() ? "no" : "yes, " + about_.envelope.auth_type);
        page_.row("comes from us?", comes_from_us(configuration_, about_.facts()) ? "yes" : "no");
    }

    void tell_domain() {
        auto const* set = configuration_.domains.get();
        if (set == nullptr) return page_.row("Domain", "not set");
        membership("Domain", set, decision_.sender_domain);
        if (about_.settings().sub_domains) page_.row("SubDomains", "a parent domain counts, too");
        if (!comes_from_us(configuration_, about_.facts()))
            hosts("ExternalIgnoreList", configuration_.external_ignore_list.get());
    }

    void tell_tables() {
        if (!configuration_.tables) return;
        auto const* from = find_header(about_.message.headers, "From");
        auto const sender = from == nullptr ? std::nullopt : sender_of(*from);
        if (!sender) return;
        if (!comes_from_us(configuration_, about_.facts()))
            return page_.row("SigningTable", "not asked: the mail does not come from us");
        auto const rows = configuration_.tables->rows_for(sender->local_part, to_lower(sender->domain));
        if (!configuration_.tables->signing_table().rows())
            page_.row("SigningTable", "a database: its answer stands in the keys below");
        else if (rows.empty())
            page_.row("SigningTable", fmt::format("no row for {}@{}", sender->local_part, sender->domain));
        bool first = true;
        for (auto const* row : rows) {
            bool const used = first || about_.settings().multiple_signatures;
            page_.row("SigningTable",
                      fmt::format("\"{}\" names {} ({}){}", row->written, row->value, place_of(*row),
                                  used ? "" : ", not used: MultipleSignatures is no"));
            if (used) tell_keys(halve(row->value, ':').before, to_lower(sender->domain));
            first = false;
        }
    }

    // What stands in the row may be the key itself: only a path is shown.
    void tell_keys(std::string_view names, std::string const& domain) {
        for (auto const name : split_words(names, ", \t")) {
            auto const key = std::string(name == "%" ? domain : name);
            auto const value = configuration_.tables->key_table().find(key);
            if (!value || !*value) {
                page_.row("KeyTable", fmt::format("no row \"{}\"", key));
                continue;
            }
            auto const row = parse_key_row(**value);
            page_.row("KeyTable",
                      row ? fmt::format("\"{}\": d={} s={} key {}", key, row->domain, row->selector,
                                        row->is_path() ? row->source : "in the table itself")
                          : fmt::format("\"{}\": {}", key, row.error().text));
        }
    }

    void tell_recipients() {
        auto const* set = configuration_.dont_sign_mail_to.get();
        if (set == nullptr || decision_.action == Decision::Action::verify) return;
        for (auto const& recipient : about_.envelope.recipients) membership("DontSignMailTo", set, recipient);
    }

    // They are run for what is told below, where they may have decided otherwise.
    void tell_scripts() {
        auto const tell = [&](std::string_view name, std::optional<lua::Script> const& script) {
            if (script) page_.row(name, script->path + " may decide otherwise: see what is done");
        };
        tell("SetupPolicyScript", configuration_.setup_script);
        tell("ScreenPolicyScript", configuration_.screen_script);
        tell("FinalPolicyScript", configuration_.final_script);
    }

    std::string conclusion() const {
        switch (decision_.action) {
        case Decision::Action::pass: return "it passes, neither signed nor verified";
        case Decision::Action::sign:
            return fmt::format("it is signed, {}", counted(decision_.requests.size(), "signature"));
        case Decision::Action::verify: return "it is verified";
        case Decision::Action::malformed: return "no sender can be read from it: it is told to be malformed";
        case Decision::Action::tempfail: return "it cannot be told now, or its key is not to be had: put off";
        case Decision::Action::scripted: break; // not here, where no script has run
        }
        return {};
    }

    Page& page_;
    Case const& about_;
    Configuration const& configuration_;
    Decision const& decision_;
};

} // namespace

Decision tell_decision(Page& page, Case const& about) {
    auto decision = decide(about.configuration(), about.facts());
    // A peer's mail is passed before anything is asked of it.
    auto const* peers = about.configuration().peer_list.get();
    auto const& envelope = about.envelope;
    if (peers != nullptr &&
        lists_client(*peers, envelope.client_name, envelope.client_address).value_or(false))
        decision.action = Decision::Action::pass;
    Teller(page, about, decision).tell();
    return decision;
}

} // namespace postern::milter_dkim::explain
