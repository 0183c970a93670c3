// In the place of the C library's getaddrinfo(3); every other name is left to that one.
#include "tests/unit/support/slow_dns.h"

#include <dlfcn.h>
#include <netdb.h>

#include <condition_variable>
#include <mutex>

namespace postern::test {

namespace {

struct SlowDns {
    std::mutex mutex;
    std::condition_variable changed;
    bool released = false, answered = false;

    void wait() {
        std::unique_lock lock(mutex);
        changed.wait(lock, [this] { return released; });
        answered = true;
        changed.notify_all();
    }
} slow_dns;

using Resolve = int (*)(char const*, char const*, addrinfo const*, addrinfo**);

} // namespace

void let_slow_dns_go() {
    std::unique_lock lock(slow_dns.mutex);
    slow_dns.released = true;
    slow_dns.changed.notify_all();
    slow_dns.changed.wait(lock, [] { return slow_dns.answered; });
}

} // namespace postern::test

extern "C" int getaddrinfo(char const* name, char const* service, addrinfo const* hints, addrinfo** result) {
    auto const only_digits = hints != nullptr && (hints->ai_flags & AI_NUMERICHOST) != 0;
    if (name != nullptr && name == postern::test::slow_name && !only_digits) {
        postern::test::slow_dns.wait();
        return EAI_AGAIN;
    }
    static auto const real = reinterpret_cast<postern::test::Resolve>(::dlsym(RTLD_NEXT, "getaddrinfo"));
    return real(name, service, hints, result);
}
