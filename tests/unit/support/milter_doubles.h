// The MTA's side of a milter session for unit tests: macros from a map, an editor that writes down what it is
// told.
#pragma once

#include "common/milter/session.h"

#include <fmt/format.h>

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace postern::test {

class MapMacros final : public milter::Macros {
  public:
    using Values = std::map<std::string, std::string, std::less<>>;
    explicit MapMacros(Values given) : values(std::move(given)) {}

    Values values;

    std::optional<std::string> get(std::string_view name) const override {
        auto const found = values.find(name);
        return found == values.end() ? std::nullopt : std::optional(found->second);
    }
};

class Notes final : public milter::Editor {
  public:
    std::string text;     // one line each: "insert 0 Name: value", "rcpt+ <a@b>", ...
    bool refuses = false; // every change fails

    Result<> insert_header(int index, std::string_view name, std::string_view value) override {
        return note(fmt::format("insert {} {}: {}", index, name, value));
    }
    Result<> add_header(std::string_view name, std::string_view value) override {
        return note(fmt::format("add {}: {}", name, value));
    }
    Result<> change_header(std::string_view name, int index, std::string_view value) override {
        return note(fmt::format("change {} {}: {}", name, index, value));
    }
    Result<> quarantine(std::string_view reason) override {
        return note(fmt::format("quarantine {}", reason));
    }
    Result<> add_recipient(std::string_view recipient) override {
        return note(fmt::format("rcpt+ {}", recipient));
    }
    Result<> delete_recipient(std::string_view recipient) override {
        return note(fmt::format("rcpt- {}", recipient));
    }

  private:
    Result<> note(std::string const& line) {
        if (refuses) return temporary("the MTA went away");
        text += line + "\n";
        return {};
    }
};

// "accept", "reject 550 5.7.1 text".
inline std::string told(milter::Verdict const& verdict) {
    static constexpr std::array<char const*, 6> words{"next",    "accept",   "reject",
                                                      "discard", "tempfail", "skip"};
    std::string text = words.at(static_cast<std::size_t>(verdict.action));
    for (auto const& part : {verdict.code, verdict.enhanced, verdict.text})
        if (!part.empty()) text += " " + part;
    return text;
}

} // namespace postern::test
