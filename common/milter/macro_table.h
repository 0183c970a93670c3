// The macros that the MTA has sent on one connection, by the stage that they belong to.
#pragma once

#include "common/milter/session.h"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postern::milter {

class MacroTable final : public Macros {
  public:
    // The value sent for the latest stage. "x" and "{x}" are one name where x is a single letter.
    std::optional<std::string> get(std::string_view name) const override;

    // What came for the command of that letter replaces what it and later stages had. A letter without a
    // stage of its own has no macros.
    void set(char command, std::vector<std::string_view> const& names_and_values);
    // Those of one message: from MAIL on.
    void forget_message();
    void forget_all() { stages_ = {}; }

  private:
    using Stage = std::vector<std::pair<std::string, std::string>>;
    static constexpr std::size_t stage_count = 7;

    static std::optional<std::size_t> stage_of(char command);
    void forget_from(std::size_t stage);

    std::array<Stage, stage_count> stages_;
};

} // namespace postern::milter
