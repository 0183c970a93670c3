// Accounts, and root that does not come back.
#include "common/daemon/privileges.h"

#include "tests/unit/support/catch.h"
#include "tests/unit/support/skip.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace postern;
using namespace postern::daemon;

TEST_CASE("accounts are found by name and number, with a group of one's own choice") {
    auto const root = find_identity("root");
    REQUIRE(root);
    CHECK(root->uid == 0);
    auto const number = find_identity("12345:54321");
    REQUIRE(number);
    CHECK(number->uid == 12345);
    CHECK(number->gid == 54321);
    CHECK(find_identity("no-such-user").error().text == "no user \"no-such-user\"");
    CHECK(find_identity("root:no-such-group").error().text == "no group \"no-such-group\"");
}

TEST_CASE("after becoming another user root cannot be had back") {
    if (!is_root()) return postern::test::skip_case("only root can become another user");
    pid_t const child = ::fork();
    if (child == 0) {
        auto const nobody = find_identity("nobody");
        bool const good = nobody && become(*nobody) && ::geteuid() == nobody->uid &&
                          ::getegid() == nobody->gid && ::setuid(0) != 0 &&
                          ::open("/etc/shadow", O_RDONLY) < 0;
        ::_exit(good ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(status == 0);
}
