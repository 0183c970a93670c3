// A connection's requests.
#include "policyd-spf/session.h"

#include "common/base/text.h"

#include <exception>

namespace postern::policyd_spf {

Session::Session(std::shared_ptr<Settings const> settings, Shared shared)
    : shared_(shared), policy_(std::move(settings), shared),
      decoder_([this](std::string_view line, bool matched) { watch(line, matched); }) {
    if (policy_.settings().debug_level >= 3) shared_.log.info("Starting");
}

Session::~Session() {
    if (policy_.settings().debug_level >= 3) shared_.log.info("Normal exit");
}

void Session::watch(std::string_view line, bool matched) {
    auto const level = policy_.settings().debug_level;
    if (level >= 4) shared_.log.info("Read line: \"{}\"", printable(line, 1000));
    if (!matched && level >= 0) shared_.log.info("ERROR: Could not match line \"{}\"", printable(line, 1000));
}

Result<std::string> Session::receive(std::string_view bytes) {
    decoder_.feed(bytes);
    std::string replies;
    for (;;) {
        auto request = decoder_.next();
        if (!request) {
            unsent_ = std::move(replies);
            return std::unexpected(std::move(request.error()));
        }
        if (!*request) return replies;
        try {
            replies += policy_.reply_to(**request);
        } catch (std::exception const& broken) { // a mistake of ours must not turn mail away
            shared_.log.error("spfcheck: not checked because of a failure of our own: {}", broken.what());
            replies += encode_action("dunno");
        }
    }
}

} // namespace postern::policyd_spf
