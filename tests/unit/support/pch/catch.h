// Precompiled for every test executable.
#include "tests/unit/support/catch.h"

#include <fmt/format.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>
