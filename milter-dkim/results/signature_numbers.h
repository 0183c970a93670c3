// libopendkim's numbers for what became of a signature (its dkim.h), as statistics, reports and scripts carry
// them.
#pragma once

#include <string_view>

namespace postern::milter_dkim {

struct NamedNumber {
    std::string_view name;
    int number;
};

// SignatureResult::error.
inline constexpr NamedNumber signature_errors[] = {
    {"DKIM_SIGERROR_UNKNOWN", -1},        {"DKIM_SIGERROR_OK", 0},
    {"DKIM_SIGERROR_VERSION", 1},         {"DKIM_SIGERROR_DOMAIN", 2},
    {"DKIM_SIGERROR_EXPIRED", 3},         {"DKIM_SIGERROR_FUTURE", 4},
    {"DKIM_SIGERROR_TIMESTAMPS", 5},      {"DKIM_SIGERROR_INVALID_HC", 7},
    {"DKIM_SIGERROR_INVALID_BC", 8},      {"DKIM_SIGERROR_MISSING_A", 9},
    {"DKIM_SIGERROR_INVALID_A", 10},      {"DKIM_SIGERROR_MISSING_H", 11},
    {"DKIM_SIGERROR_INVALID_L", 12},      {"DKIM_SIGERROR_INVALID_Q", 13},
    {"DKIM_SIGERROR_INVALID_QO", 14},     {"DKIM_SIGERROR_MISSING_D", 15},
    {"DKIM_SIGERROR_EMPTY_D", 16},        {"DKIM_SIGERROR_MISSING_S", 17},
    {"DKIM_SIGERROR_EMPTY_S", 18},        {"DKIM_SIGERROR_MISSING_B", 19},
    {"DKIM_SIGERROR_EMPTY_B", 20},        {"DKIM_SIGERROR_CORRUPT_B", 21},
    {"DKIM_SIGERROR_NOKEY", 22},          {"DKIM_SIGERROR_DNSSYNTAX", 23},
    {"DKIM_SIGERROR_KEYFAIL", 24},        {"DKIM_SIGERROR_MISSING_BH", 25},
    {"DKIM_SIGERROR_EMPTY_BH", 26},       {"DKIM_SIGERROR_CORRUPT_BH", 27},
    {"DKIM_SIGERROR_BADSIG", 28},         {"DKIM_SIGERROR_SUBDOMAIN", 29},
    {"DKIM_SIGERROR_MULTIREPLY", 30},     {"DKIM_SIGERROR_EMPTY_H", 31},
    {"DKIM_SIGERROR_INVALID_H", 32},      {"DKIM_SIGERROR_TOOLARGE_L", 33},
    {"DKIM_SIGERROR_MBSFAILED", 34},      {"DKIM_SIGERROR_KEYVERSION", 35},
    {"DKIM_SIGERROR_KEYUNKNOWNHASH", 36}, {"DKIM_SIGERROR_KEYHASHMISMATCH", 37},
    {"DKIM_SIGERROR_NOTEMAILKEY", 38},    {"DKIM_SIGERROR_KEYTYPEMISSING", 40},
    {"DKIM_SIGERROR_KEYTYPEUNKNOWN", 41}, {"DKIM_SIGERROR_KEYREVOKED", 42},
    {"DKIM_SIGERROR_KEYDECODE", 43},      {"DKIM_SIGERROR_MISSING_V", 44},
    {"DKIM_SIGERROR_EMPTY_V", 45},        {"DKIM_SIGERROR_KEYTOOSMALL", 46},
};

// SignatureResult::body_hash.
inline constexpr NamedNumber body_hash_results[] = {
    {"DKIM_SIGBH_UNTESTED", -1},
    {"DKIM_SIGBH_MATCH", 0},
    {"DKIM_SIGBH_MISMATCH", 1},
};

// By the name without its beginning: "BADSIG". An unknown name does not compile.
consteval int signature_error_number(std::string_view name) {
    for (auto const& each : signature_errors)
        if (each.name.substr(each.name.find("ERROR_") + 6) == name) return each.number;
    throw "no such error";
}

} // namespace postern::milter_dkim
