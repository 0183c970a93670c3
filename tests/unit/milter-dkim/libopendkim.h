// The header of libopendkim, which needs help to be read as C++.
#pragma once

#include <sys/types.h>

#define _Bool bool
#include <opendkim/dkim.h>
#undef _Bool
