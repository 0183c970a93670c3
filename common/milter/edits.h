// What a filter says back: changes of the message, and the verdict as the MTA reads it.
#pragma once

#include "common/milter/session.h"

#include <cstdint>
#include <string>

namespace postern::milter {

// Writes the changes as packets. actions: what the negotiation granted; anything else is refused.
class Edits final : public Editor {
  public:
    Edits(std::string& to, std::uint32_t actions, bool leading_space)
        : to_(to), actions_(actions), space_(leading_space ? " " : "") {}

    Result<> insert_header(int index, std::string_view name, std::string_view value) override;
    Result<> add_header(std::string_view name, std::string_view value) override;
    Result<> change_header(std::string_view name, int index, std::string_view value) override;
    Result<> quarantine(std::string_view reason) override;
    Result<> add_recipient(std::string_view recipient) override;
    Result<> delete_recipient(std::string_view recipient) override;

  private:
    Result<> granted(std::uint32_t action, std::string_view what, std::string_view of) const;

    std::string& to_;
    std::uint32_t actions_;
    std::string_view space_;
};

// An SMTP reply that is not one (codes of another class, line ends) is left to the MTA's own words.
void append_verdict(std::string& to, Verdict const& verdict);

} // namespace postern::milter
