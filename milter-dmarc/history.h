// HistoryFile: one block of lines for each message, as OpenDMARC's importer reads them.
#pragma once

#include "common/base/error.h"
#include "milter-dmarc/evaluate.h"
#include "milter-dmarc/inputs.h"

#include <cstdint>
#include <string>

namespace postern::milter_dmarc {

// What was done with the message, in OpenDMARC's numbers.
enum class Action { reject = 0, discard = 1, accept = 2, tempfail = 3, quarantine = 4 };

struct HistoryEntry {
    std::string job_id;
    std::string reporter; // the MTA's name
    std::int64_t received = 0;
    std::string author;
    Envelope envelope;
    Identities identities;
    Evaluation evaluation;
    Action action = Action::accept;
};

// The block; control characters of strangers become "?", so that no text can begin a line of its own.
std::string history_text(HistoryEntry const& entry);

// Appends with a single write(2) under flock(2): a reader never sees half a block, nor does a crash leave
// one.
Result<> append_history(std::string const& path, std::string const& text, Deadline deadline);

} // namespace postern::milter_dmarc
