// Connect, tell that something may have been missed, listen, and again.
#include "common/sql/notifications.h"

#include "common/base/text.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace postern::sql {

class Notifications::Impl {
  public:
    Impl(NotificationSettings settings, Heard heard, Log& log)
        : settings_(std::move(settings)), heard_(std::move(heard)), log_(log),
          stop_(::eventfd(0, EFD_CLOEXEC)) {
        if (stop_ < 0) throw std::system_error(errno, std::system_category(), "eventfd");
        thread_ = std::thread([this] { run(); });
    }
    ~Impl() {
        std::uint64_t const one = 1;
        [[maybe_unused]] auto const written = ::write(stop_, &one, sizeof one);
        thread_.join();
        ::close(stop_);
    }

  private:
    bool stopped_within(std::chrono::milliseconds span) const {
        pollfd waiting{stop_, POLLIN, 0};
        return ::poll(&waiting, 1, static_cast<int>(span.count())) > 0;
    }
    std::unique_ptr<NotificationSource> connect();
    Result<> listen(NotificationSource& source);
    void run();
    void failed(std::string const& why);

    NotificationSettings settings_;
    Heard heard_;
    Log& log_;
    int stop_;
    bool away_ = false; // told already
    std::thread thread_;
};

void Notifications::Impl::failed(std::string const& why) {
    if (!std::exchange(away_, true))
        log_.warning("LISTEN {}: {}; changes in the database show late until it is back", settings_.channel,
                     printable(why, 500));
}

std::unique_ptr<NotificationSource> Notifications::Impl::connect() {
    std::string why = "no server is configured";
    for (auto const& server : settings_.servers) {
        auto made =
            settings_.connector(server, settings_.channel, Deadline::after(settings_.connect_timeout));
        if (made) {
            log_.info("LISTEN {} at {}", settings_.channel, server.to_string());
            away_ = false;
            return std::move(*made);
        }
        why = made.error().text;
    }
    failed(why);
    return nullptr;
}

Result<> Notifications::Impl::listen(NotificationSource& source) {
    heard_(std::nullopt);
    while (!stopped_within(std::chrono::milliseconds(0))) {
        auto const payloads = source.wait(stop_);
        if (!payloads) return std::unexpected(payloads.error());
        for (auto const& payload : *payloads) heard_(payload);
    }
    return {};
}

void Notifications::Impl::run() {
    while (!stopped_within(std::chrono::milliseconds(0))) {
        auto const source = connect();
        if (source) {
            if (auto const done = listen(*source); !done) failed(done.error().text);
        }
        if (stopped_within(settings_.retry_interval)) return;
    }
}

Notifications::Notifications(NotificationSettings settings, Heard heard, Log& log)
    : impl_(std::make_unique<Impl>(std::move(settings), std::move(heard), log)) {}
Notifications::~Notifications() = default;

} // namespace postern::sql
