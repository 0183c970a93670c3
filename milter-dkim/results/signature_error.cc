// The words and their numbers.
#include "milter-dkim/results/signature_error.h"

#include "milter-dkim/results/signature_numbers.h"

namespace postern::milter_dkim {

namespace {

struct Row {
    std::string_view words;
    int number;
};
constexpr Row rows[] = {
    {"", signature_error_number("OK")},
    {"unsupported version", signature_error_number("VERSION")},
    {"invalid domain coverage", signature_error_number("DOMAIN")},
    {"signature expired", signature_error_number("EXPIRED")},
    {"signature timestamp in the future", signature_error_number("FUTURE")},
    {"signature timestamp order error", signature_error_number("TIMESTAMPS")},
    {"invalid header canonicalization", signature_error_number("INVALID_HC")},
    {"invalid body canonicalization", signature_error_number("INVALID_BC")},
    {"missing a=", signature_error_number("MISSING_A")},
    {"signature algorithm invalid", signature_error_number("INVALID_A")},
    {"missing h=", signature_error_number("MISSING_H")},
    {"invalid l=", signature_error_number("INVALID_L")},
    {"query method invalid", signature_error_number("INVALID_Q")},
    {"missing d=", signature_error_number("MISSING_D")},
    {"missing s=", signature_error_number("MISSING_S")},
    {"missing b=", signature_error_number("MISSING_B")},
    {"signature data corrupt", signature_error_number("CORRUPT_B")},
    {"key not found in DNS", signature_error_number("NOKEY")},
    {"key DNS reply corrupt", signature_error_number("DNSSYNTAX")},
    {"no key in the record", signature_error_number("DNSSYNTAX")},
    {"the record has no p=", signature_error_number("DNSSYNTAX")},
    {"key DNS query failed", signature_error_number("KEYFAIL")},
    {"missing bh=", signature_error_number("MISSING_BH")},
    {"body hash corrupt", signature_error_number("CORRUPT_BH")},
    {"signature verification failed", signature_error_number("BADSIG")},
    {"the key may not sign for subdomains (t=s)", signature_error_number("SUBDOMAIN")},
    {"multiple keys found", signature_error_number("MULTIREPLY")},
    {"header list tag empty", signature_error_number("EMPTY_H")},
    {"header list missing required entries", signature_error_number("INVALID_H")},
    {"length tag value exceeds body size", signature_error_number("TOOLARGE_L")},
    {"mandatory header not signed", signature_error_number("MBSFAILED")},
    {"unknown key version", signature_error_number("KEYVERSION")},
    {"unknown key hash", signature_error_number("KEYUNKNOWNHASH")},
    {"signature-key hash mismatch", signature_error_number("KEYHASHMISMATCH")},
    {"not an e-mail key", signature_error_number("NOTEMAILKEY")},
    {"unknown key type", signature_error_number("KEYTYPEUNKNOWN")},
    {"key revoked", signature_error_number("KEYREVOKED")},
    {"p= holds no such key", signature_error_number("KEYDECODE")},
    {"missing v=", signature_error_number("MISSING_V")},
    {"signing key too small", signature_error_number("KEYTOOSMALL")},
};

} // namespace

int signature_error(std::string_view words) {
    for (auto const& row : rows)
        if (row.words == words) return row.number;
    return -1;
}

} // namespace postern::milter_dkim
