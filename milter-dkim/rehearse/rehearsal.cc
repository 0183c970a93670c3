// The callbacks in an MTA's order, and what comes back from them.
#include "milter-dkim/rehearse/rehearsal.h"

#include "common/base/text.h"
#include "common/mail/headers.h"
#include "milter-dkim/message/hashed_header.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace postern::milter_dkim {

namespace {

using Change = Rehearsal::Change;
using Stage = Rehearsal::Stage;
using milter::Verdict;

constexpr std::size_t chunk = 65535; // of a body, as Postfix sends it

class EnvelopeMacros final : public milter::Macros {
  public:
    explicit EnvelopeMacros(Envelope const& envelope) : envelope_(envelope) {}
    std::optional<std::string> get(std::string_view name) const override {
        auto const told = [](std::string const& value) {
            return value.empty() ? std::nullopt : std::optional<std::string>(value);
        };
        if (name == "i") return told(envelope_.job_id);
        if (name == "j") return told(envelope_.host_name);
        if (name == "{auth_type}") return told(envelope_.auth_type);
        if (name == "{daemon_name}") return told(envelope_.daemon_name);
        if (name == "{mail_addr}") return told(envelope_.mail_from);
        return std::nullopt;
    }

  private:
    Envelope const& envelope_;
};

class Recorder final : public milter::Editor {
  public:
    explicit Recorder(std::vector<Change>& changes) : changes_(changes) {}
    Result<> insert_header(int index, std::string_view name, std::string_view value) override {
        return note({Change::Kind::insert, index, std::string(name), std::string(value)});
    }
    Result<> add_header(std::string_view name, std::string_view value) override {
        return note({Change::Kind::add, 0, std::string(name), std::string(value)});
    }
    Result<> change_header(std::string_view name, int index, std::string_view value) override {
        return note({value.empty() ? Change::Kind::remove : Change::Kind::change, index, std::string(name),
                     std::string(value)});
    }
    Result<> quarantine(std::string_view reason) override {
        return note({Change::Kind::hold, 0, {}, std::string(reason)});
    }
    Result<> add_recipient(std::string_view recipient) override {
        return note({Change::Kind::add_recipient, 0, {}, std::string(recipient)});
    }
    Result<> delete_recipient(std::string_view recipient) override {
        return note({Change::Kind::remove_recipient, 0, {}, std::string(recipient)});
    }

  private:
    Result<> note(Change change) {
        changes_.push_back(std::move(change));
        return {};
    }
    std::vector<Change>& changes_;
};

class KeptLog final : public Log {
  public:
    explicit KeptLog(std::vector<std::pair<LogLevel, std::string>>& lines) : lines_(lines) {
        set_threshold(LogLevel::debug);
    }

  protected:
    void put(LogLevel level, std::string_view line) override { lines_.emplace_back(level, line); }

  private:
    std::vector<std::pair<LogLevel, std::string>>& lines_;
};

class Player {
  public:
    Player(Session& session, Envelope const& envelope, Rehearsal& to)
        : session_(session), envelope_(envelope), macros_(envelope), to_(to) {}

    void play(RehearsedMessage const& message) {
        if (!goes_on(Stage::connect,
                     session_.connect({envelope_.client_name, envelope_.client_address}, macros_)) ||
            !goes_on(Stage::mail_from, session_.mail_from("<" + envelope_.mail_from + ">", {}, macros_)))
            return;
        for (auto const& recipient : envelope_.recipients)
            if (!goes_on(Stage::recipient, session_.recipient("<" + recipient + ">", macros_))) return;
        for (std::size_t i = 0; i < message.headers.size(); ++i) {
            auto const& [name, value] = message.headers[i];
            if (!goes_on(Stage::header, session_.header(name, value, macros_), message.lines[i])) return;
        }
        if (goes_on(Stage::end_of_headers, session_.end_of_headers(macros_))) play_body(message.body);
    }

  private:
    void play_body(std::string_view body) {
        while (!body.empty()) {
            if (!goes_on(Stage::body, session_.body(body.substr(0, chunk)))) return;
            if (to_.verdict().action == Verdict::Action::skip) break;
            body.remove_prefix(std::min(chunk, body.size()));
        }
        Recorder recorder(to_.changes);
        goes_on(Stage::end_of_message, session_.end_of_message(recorder, macros_));
    }
    bool goes_on(Stage stage, Verdict verdict, std::size_t line = 0) {
        bool const on = verdict.action == Verdict::Action::next || verdict.action == Verdict::Action::skip;
        to_.steps.push_back({stage, line, std::move(verdict)});
        return on;
    }

    Session& session_;
    Envelope const& envelope_;
    EnvelopeMacros macros_;
    Rehearsal& to_;
};

} // namespace

Result<RehearsedMessage> RehearsedMessage::parse(std::string_view text) {
    auto const body_at = mail::body_offset(text);
    auto const section = mail::Headers::parse(text.substr(0, body_at));
    if (!section) return std::unexpected(section.error());
    RehearsedMessage message;
    std::size_t line = 1;
    for (auto const& field : section->fields()) {
        message.headers.emplace_back(std::string(field.name()), replace_all(field.value(), "\r\n", "\n"));
        message.lines.push_back(line);
        line += static_cast<std::size_t>(std::ranges::count(field.octets(), '\n'));
    }
    message.body = with_crlf(text.substr(body_at));
    return message;
}

Result<std::string> read_message_file(std::string const& path) {
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> const file(
        path == "-" ? stdin : std::fopen(path.c_str(), "rb"),
        path == "-" ? [](std::FILE*) { return 0; } : [](std::FILE* each) { return std::fclose(each); });
    if (!file) return permanent(std::string("fopen(): ") + std::strerror(errno));
    std::string text;
    char buffer[65536];
    while (auto const size = std::fread(buffer, 1, sizeof buffer, file.get())) {
        text.append(buffer, size);
        if (text.size() > max_rehearsed) return permanent("the message is too large");
    }
    if (std::ferror(file.get()) != 0) return permanent(std::string("fread(): ") + std::strerror(errno));
    return text;
}

Rehearsal rehearse(std::shared_ptr<Generation const> const& generation, RehearsedMessage const& message,
                   Envelope const& envelope) {
    Rehearsal out;
    KeptLog log(out.log);
    Metrics metrics;
    Outcomes outcomes(metrics);
    Session session(generation, {true}, log, outcomes);
    Player(session, envelope, out).play(message);
    return out;
}

} // namespace postern::milter_dkim
