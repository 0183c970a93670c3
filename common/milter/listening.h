// How libmilter gets a socket that is open already.
#pragma once

#include "common/base/error.h"

namespace postern::milter {

// Debian's libmilter takes "fd:N"; sendmail's own (Arch) knows only sockets that it makes itself.
enum class HandOver {
    by_number,      // fd:N
    by_replacement, // it makes a private one of the same family, and ours is put in its place with dup2(2)
    either,         // the first that works
};

// Answers leave at once on every connection that a TCP listener accepts (Linux inherits the option):
// libmilter writes each change of a message on its own, and Nagle's algorithm would add 40 ms to each.
// Nothing for other sockets.
void answer_without_delay(int listener);

// After smfi_register(), before smfi_main(). The descriptor stays the caller's.
Result<> hand_over_listener(int descriptor, HandOver way = HandOver::either);

// Connects to the listening socket once, so that a poll on it wakes up. False when nobody can connect.
bool wake_listener(int descriptor);

} // namespace postern::milter
