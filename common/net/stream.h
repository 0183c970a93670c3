// A connected socket whose every wait has a deadline.
#pragma once

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/net/address.h"
#include "common/net/descriptor.h"

#include <span>
#include <string>
#include <string_view>

namespace postern::net {

class Stream {
  public:
    explicit Stream(Descriptor fd); // makes it non-blocking

    // At least one octet; ErrorKind::closed at the end of the stream, temporary when the deadline passes.
    Result<std::size_t> read(std::span<char> buffer, Deadline deadline);
    // All of it, or an error.
    Result<> write(std::string_view bytes, Deadline deadline);
    // Up to and without the LF (and a CR before it); more than limit octets is malformed.
    Result<std::string> read_line(std::size_t limit, Deadline deadline);

    int descriptor() const { return fd_.get(); }
    void shutdown_both();

  private:
    Descriptor fd_;
    std::string buffered_; // what read_line has taken from the socket and not given out
};

// Tries every address of a host name in turn. Names are resolved by the system's resolver.
Result<Stream> connect(Address const& address, Deadline deadline);

} // namespace postern::net
