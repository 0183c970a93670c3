// How a failure travels: as a value with a kind, chosen where it happens, and a text that only the log sees.
#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace postern {

enum class ErrorKind {
    temporary, // could not be found out now: a database, resolver or disk failed, a deadline passed
    permanent, // will fail the same way again: a bad setting, a missing file, a refused value
    malformed, // the peer's bytes break their protocol
    closed,    // the peer went away
};

struct Error {
    ErrorKind kind;
    std::string text; // for the log; never sent to a stranger

    // The same error, told from one frame further out: "reading /etc/x.cf: no such file".
    Error within(std::string_view what) &&;
};

template <class T = void>
using Result = std::expected<T, Error>;

std::unexpected<Error> temporary(std::string text);
std::unexpected<Error> permanent(std::string text);
std::unexpected<Error> malformed(std::string text);
std::unexpected<Error> closed(std::string text);

// errno, in words, after what failed: "open /run/x.sock: Permission denied". Temporary unless said otherwise.
std::unexpected<Error> system_error(std::string_view what, int error_number,
                                    ErrorKind kind = ErrorKind::temporary);

std::string_view to_string(ErrorKind kind);

} // namespace postern
