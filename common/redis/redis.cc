// Redis through hiredis' blocking interface.
#include "common/redis/redis.h"

#include <algorithm>

#if POSTERN_REDIS
#include <hiredis/hiredis.h>

#include <sys/time.h>
#endif

namespace postern::redis {

#if POSTERN_REDIS

bool is_available() { return true; }

namespace {

struct ContextCloser {
    void operator()(redisContext* context) const { redisFree(context); }
};
using Context = std::unique_ptr<redisContext, ContextCloser>;
struct ReplyCloser {
    void operator()(void* reply) const { freeReplyObject(reply); }
};

// 0 would mean "for ever" to setsockopt(2).
timeval span_until(Deadline deadline) {
    auto const left = std::clamp<std::int64_t>(deadline.remaining().count(), 1, 3'600'000);
    return {static_cast<time_t>(left / 1000), static_cast<suseconds_t>(left % 1000 * 1000)};
}

Result<Reply> taken(redisReply const& reply, ReplyLimits const& limits, std::size_t depth,
                    std::size_t& values) {
    if (depth > limits.depth || ++values > limits.values || reply.len > limits.text)
        return malformed("a reply beyond its limits");
    Reply made;
    switch (reply.type) {
    case REDIS_REPLY_NIL: break;
    case REDIS_REPLY_INTEGER:
        made.kind = Reply::Kind::integer;
        made.integer = reply.integer;
        break;
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_STRING:
        made.kind = Reply::Kind::text;
        made.text.assign(reply.str, reply.len);
        break;
    case REDIS_REPLY_ARRAY:
        made.kind = Reply::Kind::array;
        for (std::size_t i = 0; i < reply.elements; ++i) {
            auto element = taken(*reply.element[i], limits, depth + 1, values);
            if (!element) return element;
            made.array.push_back(std::move(*element));
        }
        break;
    default: return malformed("a reply of an unknown kind");
    }
    return made;
}

class HiredisConnection final : public Connection {
  public:
    explicit HiredisConnection(Context context) : context_(std::move(context)) {}

    Result<Reply> command(std::span<std::string const> words, Deadline deadline) override {
        if (deadline.expired()) return temporary("no time left");
        std::vector<char const*> texts;
        std::vector<std::size_t> sizes;
        for (auto const& word : words) {
            texts.push_back(word.data());
            sizes.push_back(word.size());
        }
        redisSetTimeout(context_.get(), span_until(deadline));
        std::unique_ptr<redisReply, ReplyCloser> const reply(static_cast<redisReply*>(
            redisCommandArgv(context_.get(), static_cast<int>(words.size()), texts.data(), sizes.data())));
        if (!reply) return temporary(context_->errstr);
        if (reply->type == REDIS_REPLY_ERROR) return permanent(std::string(reply->str, reply->len));
        std::size_t values = 0;
        return taken(*reply, {}, 0, values);
    }

  private:
    Context const context_;
};

} // namespace

Result<std::unique_ptr<Connection>> connect(ServerSettings const& server, Deadline deadline) {
    auto const span = span_until(deadline);
    Context context(server.path.empty() ? redisConnectWithTimeout(server.host.c_str(), server.port, span)
                                        : redisConnectUnixWithTimeout(server.path.c_str(), span));
    if (!context) return temporary("no memory");
    if (context->err != 0) return temporary(context->errstr);
    auto connection = std::make_unique<HiredisConnection>(std::move(context));
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
