// The functions through which hiredis' reader makes values.
#include "common/redis/reply_builder.h"

#include <hiredis/hiredis.h>

#include <memory>

namespace postern::redis {

namespace {

constexpr ReplyLimits limits;

ReplyBuilder& builder_of(redisReadTask const* task) { return *static_cast<ReplyBuilder*>(task->privdata); }

// Nothing may be thrown through hiredis.
template <class Make>
void* made(redisReadTask const* task, Make const& make) {
    try {
        return builder_of(task).place(task, make());
    } catch (std::exception const&) {
        return nullptr;
    }
}

} // namespace

extern "C" {

static void* make_text(redisReadTask const* task, char* text, std::size_t size) {
    return made(task, [&] {
        if (task->type == REDIS_REPLY_ERROR)
            return Reply{Reply::Kind::error, 0, std::string(text, std::min(size, limits.text)), {}};
        if (size > limits.text) return Reply{Reply::Kind::too_long, 0, {}, {}};
        return Reply{Reply::Kind::text, 0, std::string(text, size), {}};
    });
}

static void* make_integer(redisReadTask const* task, long long value) {
    return made(task, [&] { return Reply{Reply::Kind::integer, value, {}, {}}; });
}

static void* make_nil(redisReadTask const* task) {
    return made(task, [] { return Reply(); });
}

static void* make_list(redisReadTask const* task, std::size_t size) {
    if (!builder_of(task).has_room(size)) return nullptr;
    return made(task, [&] { return Reply{Reply::Kind::array, 0, {}, std::vector<Reply>(size)}; });
}

static void free_reply(void* reply) { delete static_cast<Reply*>(reply); } // NOLINT: hiredis owns it

#if HIREDIS_MAJOR >= 1
static void* make_double(redisReadTask const*, double, char*, std::size_t) { return nullptr; } // RESP3
static void* make_truth(redisReadTask const*, int) { return nullptr; }
static redisReplyObjectFunctions functions{make_text, make_list,  make_integer, make_double,
                                           make_nil,  make_truth, free_reply};
#else
static void* make_array(redisReadTask const* task, int size) {
    return make_list(task, static_cast<std::size_t>(size));
}
static redisReplyObjectFunctions functions{make_text, make_array, make_integer, make_nil, free_reply};
#endif
}

ReplyBuilder::ReplyBuilder(redisReader& reader) {
    reader.fn = &functions;
    reader.privdata = this;
}

bool ReplyBuilder::has_room(std::size_t values) {
    beyond_ = beyond_ || values > limits.values - std::min(values_, limits.values);
    return !beyond_;
}

void* ReplyBuilder::place(redisReadTask const* task, Reply reply) {
    if (!has_room(1)) return nullptr;
    ++values_;
    if (task->parent == nullptr) return std::make_unique<Reply>(std::move(reply)).release();
    auto& place = static_cast<Reply*>(task->parent->obj)->array.at(static_cast<std::size_t>(task->idx));
    place = std::move(reply);
    return &place;
}

Result<Reply> ReplyBuilder::finished(void* reply) {
    std::unique_ptr<Reply> const owned(static_cast<Reply*>(reply));
    if (owned->kind == Reply::Kind::error) return permanent(std::move(owned->text));
    return std::move(*owned);
}

} // namespace postern::redis
