// Redis through hiredis: its protocol, our waiting and our limits.
#include "common/redis/redis.h"

#if POSTERN_REDIS
#include "common/base/host_address.h"
#include "common/redis/reply_builder.h"

#include <hiredis/hiredis.h>

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#endif

namespace postern::redis {

#if POSTERN_REDIS

bool is_available() { return true; }

namespace {

struct ContextCloser {
    void operator()(redisContext* context) const { redisFree(context); }
};
using Context = std::unique_ptr<redisContext, ContextCloser>;

Result<> wait_for(int descriptor, short events, Deadline deadline) {
    pollfd waiting{descriptor, events, 0};
    while (true) {
        auto const left = std::clamp<std::int64_t>(deadline.remaining().count(), 0, 3'600'000);
        auto const ready = ::poll(&waiting, 1, static_cast<int>(left));
        if (ready > 0) return {};
        if (ready == 0 && deadline.expired()) return temporary("no reply in time");
        if (ready < 0 && errno != EINTR) return system_error("poll", errno);
    }
}

class HiredisConnection final : public Connection {
  public:
    explicit HiredisConnection(Context context) : context_(std::move(context)), builder_(*context_->reader) {}

    Result<Reply> command(std::span<std::string const> words, Deadline deadline) override {
        if (deadline.expired()) return temporary("no time left");
        std::vector<char const*> texts;
        std::vector<std::size_t> sizes;
        for (auto const& word : words) {
            texts.push_back(word.data());
            sizes.push_back(word.size());
        }
        builder_.begin();
        if (redisAppendCommandArgv(context_.get(), static_cast<int>(words.size()), texts.data(),
                                   sizes.data()) != REDIS_OK)
            return temporary(context_->errstr);
        if (auto sent = send(deadline); !sent) return std::unexpected(std::move(sent.error()));
        return receive(deadline);
    }

  private:
    Result<> send(Deadline deadline) {
        for (int done = 0; done == 0;) {
            if (auto ready = wait_for(context_->fd, POLLOUT, deadline); !ready) return ready;
            if (redisBufferWrite(context_.get(), &done) != REDIS_OK) return temporary(context_->errstr);
        }
        return {};
    }

    Result<Reply> receive(Deadline deadline) {
        std::size_t octets = 0;
        while (true) {
            void* found = nullptr;
            if (redisReaderGetReply(context_->reader, &found) != REDIS_OK)
                return builder_.is_beyond_limits() ? malformed("a reply beyond its limits")
                                                   : malformed(context_->reader->errstr);
            if (found != nullptr) return builder_.finished(found);
            if (octets > ReplyLimits{}.octets) return malformed("a reply beyond its limits");
            if (auto ready = wait_for(context_->fd, POLLIN, deadline); !ready)
                return std::unexpected(std::move(ready.error()));
            auto const before = context_->reader->len;
            if (redisBufferRead(context_.get()) != REDIS_OK) return temporary(context_->errstr);
            auto const after = context_->reader->len;
            octets += after >= before ? after - before : after;
        }
    }

    Context const context_;
    ReplyBuilder builder_;
};

Result<Context> connected(ServerSettings const& server, Deadline deadline) {
    Context context;
    if (server.path.empty()) {
        auto const address = host_address(server.host, deadline);
        if (!address) return std::unexpected(address.error());
        context.reset(redisConnectNonBlock(address->c_str(), server.port));
    } else {
        context.reset(redisConnectUnixNonBlock(server.path.c_str()));
    }
    if (!context) return temporary("no memory");
    if (context->err != 0) return temporary(context->errstr);
    if (auto const ready = wait_for(context->fd, POLLOUT, deadline); !ready)
        return std::unexpected(ready.error());
    int error = 0;
    socklen_t size = sizeof error;
    if (::getsockopt(context->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    if (error != 0) return system_error("connect", error);
    return context;
}

} // namespace

Result<std::unique_ptr<Connection>> connect(ServerSettings const& server, Deadline deadline) {
    auto context = connected(server, deadline);
    if (!context) return std::unexpected(std::move(context.error()));
    auto connection = std::make_unique<HiredisConnection>(std::move(*context));
    if (server.password.empty()) return connection;
    std::vector<std::string> words{"AUTH"};
    if (!server.user.empty()) words.push_back(server.user);
    words.push_back(server.password);
    if (auto const done = connection->command(words, deadline); !done)
        return std::unexpected(Error(done.error()).within("AUTH"));
    return connection;
}

#else

bool is_available() { return false; }
Result<std::unique_ptr<Connection>> connect(ServerSettings const&, Deadline) {
    return permanent("built without hiredis");
}

#endif

} // namespace postern::redis
