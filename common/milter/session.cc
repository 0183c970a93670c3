// The verdicts' short forms.
#include "common/milter/session.h"

namespace postern::milter {

Verdict Verdict::reject(std::string code, std::string enhanced, std::string text) {
    return {Action::reject, std::move(code), std::move(enhanced), std::move(text)};
}

Verdict Verdict::tempfail(std::string code, std::string enhanced, std::string text) {
    return {Action::tempfail, std::move(code), std::move(enhanced), std::move(text)};
}

} // namespace postern::milter
