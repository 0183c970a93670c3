// The small process that stays root where PAM or the shadow file must be asked, and says only yes or no.
#pragma once

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/secret.h"
#include "common/net/descriptor.h"

#include <mutex>
#include <string>
#include <string_view>

#include <sys/types.h>

namespace postern::auth_socket {

enum class HelperKind : char { pam = 'p', shadow = 's' };

struct HelperQuestion {
    HelperKind kind = HelperKind::pam;
    std::string service; // PAM's: /etc/pam.d/SERVICE
    std::string user;
    std::string remote_ip; // may be empty
    Secret password;
};

enum class HelperVerdict : char {
    yes = 'y',
    no = 'n',
    unknown_user = 'u',
    expired = 'e',
    refused = 'r', // the account may not log in (pam_acct_mgmt)
    temporary = 't',
};

struct HelperAnswer {
    HelperVerdict verdict = HelperVerdict::temporary;
    std::string text; // for the log: PAM's words
};

// What a question and an answer may have on the wire, in octets.
inline constexpr std::size_t helper_message_limit = 8192;
// Questions at a time; each has a process of its own, since PAM modules block and keep state.
inline constexpr int helper_children_limit = 64;

std::string encode_question(HelperQuestion const& question);
Result<HelperQuestion> decode_question(std::string_view message);
std::string encode_answer(HelperAnswer const& answer);
Result<HelperAnswer> decode_answer(std::string_view message);

// In the helper: answers one question. Blocks for as long as PAM does.
HelperAnswer answer_question(HelperQuestion const& question);

// In the daemon. Thread-safe once started.
class Helper {
  public:
    Helper() = default;
    ~Helper(); // the process ends when its socket closes

    // Forks. To be called by a process with one thread, with the privileges that the helper is to keep.
    Result<> start();
    bool started() const { return static_cast<bool>(control_); }
    // Temporary error: no answer within the deadline, or the helper is gone.
    Result<HelperAnswer> ask(HelperQuestion const& question, Deadline deadline) const;

  private:
    [[noreturn]] static void serve(int control);

    net::Descriptor control_;
    mutable std::mutex control_mutex_; // one sendmsg at a time
    pid_t pid_ = -1;
};

} // namespace postern::auth_socket
