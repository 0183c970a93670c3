// milter-dmarc -t: judges messages from files.
#include "milter-dmarc/test_mode.h"

#include "common/base/text.h"

#include <fmt/format.h>

#include <cstdio>

namespace postern::milter_dmarc {

namespace {

inline constexpr int exit_data_error = 65;

class TestMacros final : public milter::Macros {
  public:
    std::optional<std::string> get(std::string_view name) const override {
        if (name == "i") return "test";
        if (name == "j") return host_name();
        return std::nullopt;
    }
};

class Printer final : public milter::Editor {
  public:
    explicit Printer(std::string name) : name_(std::move(name)) {}
    std::string const& text() const { return text_; }
    Result<> put(std::string const& line) {
        text_ += name_ + ": " + line + "\n";
        return {};
    }

    Result<> insert_header(int, std::string_view name, std::string_view value) override {
        return put(fmt::format("insert {}: {}", name, value));
    }
    Result<> add_header(std::string_view name, std::string_view value) override {
        return put(fmt::format("add {}: {}", name, value));
    }
    Result<> change_header(std::string_view name, int index, std::string_view value) override {
        return put(fmt::format("change {} {}: {}", name, index, value));
    }
    Result<> quarantine(std::string_view reason) override { return put(fmt::format("hold: {}", reason)); }
    Result<> add_recipient(std::string_view recipient) override {
        return put(fmt::format("add recipient {}", recipient));
    }
    Result<> delete_recipient(std::string_view recipient) override {
        return put(fmt::format("delete recipient {}", recipient));
    }

  private:
    std::string name_;
    std::string text_;
};

std::string worded(milter::Verdict const& verdict) {
    using Action = milter::Verdict::Action;
    switch (verdict.action) {
    case Action::next:
    case Action::skip:
    case Action::accept: return "accept";
    case Action::discard: return "discard";
    case Action::reject:
        return verdict.text.empty() ? "reject"
                                    : fmt::format("{} {} {}", verdict.code, verdict.enhanced, verdict.text);
    case Action::tempfail: return fmt::format("{} {} {}", verdict.code, verdict.enhanced, verdict.text);
    }
    return {};
}

} // namespace

std::string judged(std::string const& name, std::string_view message,
                   std::shared_ptr<Configuration const> configuration, Log& log, Outcomes& outcomes) {
    Printer printer(name);
    auto const headers = mail::Headers::parse(message);
    if (!headers) {
        (void)printer.put(headers.error().text);
        return printer.text();
    }
    TestMacros const macros;
    Session session(std::move(configuration), log, outcomes, [] { return 0U; });
    auto const* const path = headers->first("Return-Path");
    session.mail_from(path != nullptr ? path->unfolded_value() : "<>", {}, macros);
    for (auto const& field : headers->fields()) session.header(field.name(), field.value(), macros);
    auto const verdict = session.end_of_message(printer, macros);
    (void)printer.put(worded(verdict));
    return printer.text();
}

int judge_files(std::string_view files, Configuration const& settings) {
    auto const configuration = std::make_shared<Configuration>(settings);
    configuration->settings.history_file.clear(); // a test is no mail
    StreamLog log("milter-dmarc");
    Metrics metrics;
    Outcomes outcomes(metrics);
    if (auto done = complete(*configuration, nullptr, log, metrics); !done) {
        log.error("{}", done.error().text);
        return daemon::exit_configuration;
    }
    int code = daemon::exit_ok;
    for (auto const path : split_words(files, ",")) {
        auto const message = config::read_file(std::string(path));
        if (!message) {
            log.error("{}", message.error().text);
            code = exit_data_error;
            continue;
        }
        auto const text = judged(std::string(path), *message, configuration, log, outcomes);
        if (text.contains(": 451 ")) code = daemon::exit_temporary;
        std::fputs(text.c_str(), stdout);
    }
    return code;
}

} // namespace postern::milter_dmarc
