// What passdbs said about a login while they were asked one after another. Only when all of them were, it is
// known whether that is a failure: else fail2ban would ban whom the second passdb lets in, or a database that
// is away keeps waiting.
#pragma once

#include "auth-socket/request.h"

#include <string>
#include <vector>

namespace postern::auth_socket {

struct Remark {
    Verdict verdict = Verdict::refused; // that the passdb came to
    std::string line;
};

struct Remarks {
    std::vector<Remark> made;
};

// The lines to be logged for a login that ended so: none when it did not fail, and one for all passdbs that
// do not know the user, or whose password was another.
std::vector<std::string> lines_of_failure(Remarks const& remarks, Verdict ended);

} // namespace postern::auth_socket
