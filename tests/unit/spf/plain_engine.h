// An Engine of a few lines, to hold the one on libspf2 against.
#pragma once

#include "common/spf/engine.h"

namespace postern::test {

class PlainEngine final : public spf::Engine {
  public:
    Result<std::optional<spf::Qualifier>> walk(std::span<spf::Term const> terms, spf::IpAddress const& client,
                                               spf::TermMatcher const& matches) const override {
        for (auto const& term : terms) {
            bool matched = term.mechanism == spf::Mechanism::all;
            if (term.network)
                matched = client.in_network(*term.network, client.is_v4() ? term.prefix4 : term.prefix6);
            if (term.asks_dns()) {
                auto const answer = matches(term);
                if (!answer) return std::unexpected(answer.error());
                matched = *answer;
            }
            if (matched) return term.qualifier;
        }
        return std::nullopt;
    }
};

} // namespace postern::test
