// Whether a message comes from where mail of our own comes from.
#pragma once

#include "milter-dkim/configuration.h"
#include "milter-dkim/decide/reasons.h"
#include "milter-dkim/message/message_facts.h"

namespace postern::milter_dkim {

// By the MTA's name, macros, the client or its authentication, in this order.
bool is_origin_ours(Configuration const& configuration, MessageFacts const& facts, Reasons& reasons);

// The same without a word; no when it cannot be found out.
bool comes_from_us(Configuration const& configuration, MessageFacts const& facts);

} // namespace postern::milter_dkim
