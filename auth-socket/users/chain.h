// How several databases in a row come to one answer: result_success, result_failure, result_internalfail,
// skip.
#pragma once

#include "auth-socket/users/database.h"

#include <string_view>

namespace postern::auth_socket {

// Fed with each database's verdict in turn.
class ChainState {
  public:
    // False: no further database is asked.
    bool goes_on(DatabaseBlock const& block, Verdict verdict);
    Verdict verdict() const;
    bool success = false;

  private:
    Verdict failure_ = Verdict::unknown_user;
    bool temporary_ = false; // one of them could not be asked, so nobody knows
    bool needs_all_ = false; // one that said yes lets the others object
    bool final_ = false;     // user_disabled and the like: not to be let in by another database
};

// By mechanisms: of a lookup, "none".
bool serves_mechanism(DatabaseBlock const& block, Request const& request);
// By skip, mechanisms and username_filter.
bool is_skipped(DatabaseBlock const& block, Request const& request, bool known);

// default_fields and the like with their variables replaced.
Result<Fields> expanded(Fields const& templates, Request const& request);
// What override_fields (2.4: fields) make of a row; the request is as the row left it.
Result<Fields> overrides(DatabaseBlock const& block, Fields const& row, Request const& request);

} // namespace postern::auth_socket
