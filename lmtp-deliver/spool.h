// One message while it arrives: in memory up to a limit, then in a file without a name.
#pragma once

#include "common/base/error.h"
#include "common/net/descriptor.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace postern::lmtp_deliver {

struct SpoolLimits {
    std::size_t memory = 128 * 1024; // octets held in memory; a larger message goes to a file
    std::string directory = "/tmp";  // where that file is made (mail_temp_dir)
};

// What a Maildir file name says of its message.
struct MessageSize {
    std::uint64_t octets = 0;         // as stored, S=
    std::uint64_t virtual_octets = 0; // with every line end counted as CRLF, W=

    bool operator==(MessageSize const&) const = default;
};

class Spool {
  public:
    explicit Spool(SpoolLimits limits = {}) : limits_(std::move(limits)) {}
    // A message that another process has spooled.
    static Spool of_file(net::Descriptor file, MessageSize size);

    // An error (no room for the file) stays: later calls give it again, and the message is not whole.
    Result<> append(std::string_view octets);
    MessageSize size() const { return size_; }
    bool in_memory() const { return !file_; }
    // The first octets, at most limit: for what must be known of the header.
    std::string beginning(std::size_t limit) const;
    // The whole message, in pieces of up to 64 KiB; the reader's error ends it.
    template <class Take>
    Result<> read(Take&& take) const;
    // A descriptor with the whole message, to be read with pread(2): the file, or one in memory.
    Result<int> as_file();

  private:
    Result<> to_file();
    Result<> write_file(std::string_view octets);
    Result<std::size_t> read_at(std::uint64_t offset, char* buffer, std::size_t size) const;

    SpoolLimits limits_;
    std::string memory_;
    net::Descriptor file_;
    MessageSize size_;
    char last_ = 0;
    bool broken_ = false;
};

template <class Take>
Result<> Spool::read(Take&& take) const {
    if (broken_) return temporary("the message could not be spooled");
    if (in_memory()) return take(std::string_view(memory_));
    std::string buffer(65536, '\0');
    for (std::uint64_t offset = 0; offset < size_.octets;) {
        auto const count = read_at(offset, buffer.data(), buffer.size());
        if (!count) return std::unexpected(count.error());
        if (auto done = take(std::string_view(buffer.data(), *count)); !done) return done;
        offset += *count;
    }
    return {};
}

} // namespace postern::lmtp_deliver
