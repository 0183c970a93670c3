// Configurations and keys for the tests of milter-dkim.
#pragma once

#include "milter-dkim/configuration.h"
#include "milter-dkim/decide/decision.h"
#include "tests/unit/support/temp_dir.h"
#include "tests/unit/support/test_log.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace postern::test {

// PEM text; made once per process. RSA with 1024 bits is fast and enough for everything but size checks.
std::string const& rsa_key();
std::string const& ed25519_key();
std::string make_rsa_key(int bits);

// Text of an opendkim.conf to a configuration; problems as text, one a line.
struct Made {
    std::shared_ptr<milter_dkim::Configuration const> configuration;
    std::string problems;
};
Made configure(std::string_view text, Log& log,
               milter_dkim::DataSetOpener const& opener = milter_dkim::DataSetOpener());

// A message's facts over plain maps.
struct Facts {
    milter_dkim::HeaderList headers{{"From", " Alice <alice@example.com>"}, {"To", " bob@example.net"}};
    std::map<std::string, std::string, std::less<>> macros{{"j", "mx.example.com"}};
    std::string client_name = "client.example.org";
    std::string client_address = "192.0.2.7";
    std::vector<std::string> recipients{"bob@example.net"};

    milter_dkim::MessageFacts get() const;
};
std::string lines_of(milter_dkim::Decision const& decision);

} // namespace postern::test
