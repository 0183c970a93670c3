// libspf2 without memory: whichever of its allocations fails, a walk ends with a temporary error, or right,
// and the process lives, though the library's own answer to some of them is abort().
#include "tests/unit/support/catch.h"

#include "common/spf/engine.h"

#include <dlfcn.h>

#include <cstring>

using namespace postern;
using namespace postern::spf;

namespace {

long allocations = 0; // of libspf2 since the walk began
long failing = 0;     // which of them fails; 0: none

bool fails(void const* caller) {
    Dl_info info{};
    if (failing == 0 || ::dladdr(caller, &info) == 0 || info.dli_fname == nullptr) return false;
    return std::strstr(info.dli_fname, "libspf2") != nullptr && ++allocations == failing;
}

} // namespace

// In place of the C library's, which has these under other names as well.
extern "C" {
void* __libc_malloc(std::size_t size) noexcept;
void* __libc_calloc(std::size_t count, std::size_t size) noexcept;
void* __libc_realloc(void* old, std::size_t size) noexcept;

void* malloc(std::size_t size) noexcept {
    return fails(__builtin_return_address(0)) ? nullptr : __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) noexcept {
    return fails(__builtin_return_address(0)) ? nullptr : __libc_calloc(count, size);
}
void* realloc(void* old, std::size_t size) noexcept {
    return fails(__builtin_return_address(0)) ? nullptr : __libc_realloc(old, size);
}
}

TEST_CASE("an allocation of libspf2 that fails is a temporary error or changes nothing") {
    auto const engine = make_libspf2_engine();
    auto const record =
        parse_record("v=spf1 ip4:10.0.0.0/8 ip6:2001:db8::/32 a include:i.example mx exists:x.example -all");
    REQUIRE(record.has_value());
    int failed = 0;
    for (long number = 1;; ++number) {
        allocations = 0;
        failing = number;
        auto const decided =
            engine->walk(record->terms, *IpAddress::parse("192.0.2.1"),
                         [](Term const& term) { return Result<bool>(term.mechanism == Mechanism::exists); });
        bool const reached = allocations >= number;
        failing = 0;
        if (!reached) {
            CHECK((decided && *decided && **decided == Qualifier::pass));
            break;
        }
        INFO("allocation " << number);
        if (!decided)
            CHECK(decided.error().kind == ErrorKind::temporary);
        else // it could do without
            CHECK((*decided && **decided == Qualifier::pass));
        ++failed;
    }
    CHECK(failed > 10);
}
