// Makers of the error values.
#include "common/base/error.h"

#include <fmt/format.h>

#include <system_error>

namespace postern {

Error Error::within(std::string_view what) && {
    text.insert(0, fmt::format("{}: ", what));
    return std::move(*this);
}

std::unexpected<Error> temporary(std::string text) {
    return std::unexpected(Error{ErrorKind::temporary, std::move(text)});
}

std::unexpected<Error> permanent(std::string text) {
    return std::unexpected(Error{ErrorKind::permanent, std::move(text)});
}

std::unexpected<Error> malformed(std::string text) {
    return std::unexpected(Error{ErrorKind::malformed, std::move(text)});
}

std::unexpected<Error> closed(std::string text) {
    return std::unexpected(Error{ErrorKind::closed, std::move(text)});
}

std::unexpected<Error> system_error(std::string_view what, int error_number, ErrorKind kind) {
    return std::unexpected(
        Error{kind, fmt::format("{}: {}", what, std::generic_category().message(error_number))});
}

std::string_view to_string(ErrorKind kind) {
    switch (kind) {
    case ErrorKind::temporary: return "temporary";
    case ErrorKind::permanent: return "permanent";
    case ErrorKind::malformed: return "malformed";
    case ErrorKind::closed: return "closed";
    }
    return "unknown";
}

} // namespace postern
