// Questions to the helper and its answers, as one datagram each.
#include "auth-socket/helper/helper.h"

#include "common/base/text.h"

namespace postern::auth_socket {

// kind, then service, user, address and password, each ended by NUL but for the last.
std::string encode_question(HelperQuestion const& question) {
    std::string message(1, static_cast<char>(question.kind));
    for (auto const& part : {question.service, question.user, question.remote_ip}) message += part + '\0';
    message += question.password.reveal();
    return message;
}

Result<HelperQuestion> decode_question(std::string_view message) {
    auto const pieces = split(message.substr(message.empty() ? 0 : 1), '\0');
    if (pieces.size() != 4 || (message[0] != 'p' && message[0] != 's'))
        return malformed("a question that is not one");
    return HelperQuestion{static_cast<HelperKind>(message[0]), std::string(pieces[0]), std::string(pieces[1]),
                          std::string(pieces[2]), Secret(pieces[3])};
}

std::string encode_answer(HelperAnswer const& answer) {
    return std::string(1, static_cast<char>(answer.verdict)) +
           answer.text.substr(0, helper_message_limit - 1);
}

Result<HelperAnswer> decode_answer(std::string_view message) {
    if (message.empty() || !std::string_view("ynuert").contains(message[0]))
        return temporary("the helper gave no answer");
    return HelperAnswer{static_cast<HelperVerdict>(message[0]), printable(message.substr(1))};
}

} // namespace postern::auth_socket
