// A case that this machine cannot run is counted as skipped, never as passed.
#pragma once

#include <string>

namespace postern::test {

// The case says so first and returns: skip_case("only root can give a file away").
void skip_case(std::string reason);
// The directory of real administrators' files; null, and the case is skipped, when there is none.
char const* corpus_or_skip();

// For the runner: the reason given since the last call, empty when none was.
std::string take_skip();

} // namespace postern::test
