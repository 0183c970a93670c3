// opendkim -t and -Q: messages from files through the daemon's session, and single questions to data sets.
#pragma once

#include "milter-dkim/rehearse/rehearsal.h"

#include <memory>
#include <string>
#include <string_view>

namespace postern::milter_dkim {

struct TestMode {
    std::string program; // before each line
    int verbosity = 0;   // how often -v was given
    bool strict = false; // StrictTestMode: lines must end with CRLF
};

// files: paths separated by commas, "-" for standard input. Prints as OpenDKIM does; gives its exit code: 0
// whatever the signatures are worth, 69 when a file cannot be read, 65 when it is not strict, 70 when the
// message is not looked at to its end.
int test_files(TestMode const& mode, std::string_view files,
               std::shared_ptr<Generation const> const& generation);

// Lines on standard input: a data set, then questions "KEY/COUNT" of values wanted. Exit 0, 70 when it cannot
// be opened, 64 when a question is none.
int query_data_set(std::string const& program, DataSetOpener const& opener);

} // namespace postern::milter_dkim
