// The three ways.
#include "milter-dkim/tools/rotate/publisher.h"

#include "milter-dkim/report/run_command.h"
#include "milter-dkim/tools/key_record.h"

#include <fmt/format.h>

#include <cstdio>

namespace postern::milter_dkim::tools {

namespace {

std::string quoted(std::string_view text) {
    std::string out;
    for (auto const& piece : txt_strings(text)) out += (out.empty() ? "" : " ") + zone_quoted(piece);
    return out;
}

class UpdatePublisher final : public Publisher {
  public:
    UpdatePublisher(DnsServers& servers, std::optional<TsigKey> key)
        : servers_(servers), key_(std::move(key)) {}

    Result<> publish(RecordChange const& change, Authority const& authority, Deadline deadline) override {
        Result<> last =
            temporary(fmt::format("the primary server of {} cannot be found: give --server", authority.zone));
        for (auto const& server : authority.primaries) {
            last = servers_.update(server, {authority.zone, change.name, change.text, change.ttl}, key_,
                                   deadline);
            if (last) break;
        }
        return last;
    }
    std::string describe(Authority const& authority) const override {
        auto const& first = authority.primaries;
        return fmt::format("by an update of the zone {} at {}, {}", authority.zone,
                           first.empty() ? "nobody" : to_text(first[0]),
                           key_ ? "signed with " + key_->name : "not signed");
    }

  private:
    DnsServers& servers_;
    std::optional<TsigKey> key_;
};

class CommandPublisher final : public Publisher {
  public:
    CommandPublisher(std::string command, bool to_primary)
        : command_(std::move(command)), to_primary_(to_primary) {}

    Result<> publish(RecordChange const& change, Authority const& authority, Deadline deadline) override {
        bool const revoke = change.reason == RecordChange::Reason::revoke;
        return run_command(command_,
                           {{"POSTERN_REASON", revoke ? "revoke" : "publish"},
                            {"POSTERN_DOMAIN", change.domain},
                            {"POSTERN_ZONE", authority.zone},
                            {"POSTERN_NAME", change.name},
                            {"POSTERN_TTL", std::to_string(change.ttl)},
                            {"POSTERN_TEXT", change.text}},
                           update_script(change, authority, to_primary_), deadline);
    }
    std::string describe(Authority const&) const override { return "by the command " + command_; }

  private:
    std::string command_;
    bool to_primary_;
};

class PrintPublisher final : public Publisher {
  public:
    Result<> publish(RecordChange const& change, Authority const&, Deadline) override {
        fmt::print("{}. {} IN TXT {}\n", change.name, change.ttl, quoted(change.text));
        std::fflush(stdout);
        return {};
    }
    std::string describe(Authority const&) const override { return "by whoever reads it here"; }
};

} // namespace

std::unique_ptr<Publisher> update_publisher(DnsServers& servers, std::optional<TsigKey> key) {
    return std::make_unique<UpdatePublisher>(servers, std::move(key));
}

std::unique_ptr<Publisher> command_publisher(std::string command, bool to_primary) {
    return std::make_unique<CommandPublisher>(std::move(command), to_primary);
}

std::unique_ptr<Publisher> print_publisher() { return std::make_unique<PrintPublisher>(); }

std::string update_script(RecordChange const& change, Authority const& authority, bool to_primary) {
    std::string script;
    if (to_primary && !authority.primaries.empty())
        script = fmt::format("server {} {}\n", authority.primaries[0].host, authority.primaries[0].port);
    return script + fmt::format("zone {}.\nupdate delete {}. TXT\nupdate add {}. {} TXT {}\nsend\n",
                                authority.zone, change.name, change.name, change.ttl, quoted(change.text));
}

} // namespace postern::milter_dkim::tools
