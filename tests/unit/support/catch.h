// Catch2 as Debian 12 (2.13) and Arch (3) have it; the only place that knows the difference.
#pragma once

#ifdef POSTERN_CATCH2_V3
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
