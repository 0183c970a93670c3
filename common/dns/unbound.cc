// The Resolver of production: callers, the questions they share, and the thread that drives libunbound.
#include "common/dns/unbound.h"

#include "common/base/text.h"
#include "common/dns/cache.h"
#include "common/dns/context.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>

namespace postern::dns {

namespace {

constexpr auto longest_wait = std::chrono::seconds(60);
// A question that was given up after less than this says nothing about the name, only about the caller.
constexpr auto telling_silence = std::chrono::seconds(5);
constexpr std::size_t max_questions = 4096; // open at one time

// One open question and everybody who waits for it. Guarded by UnboundResolver::mutex_.
struct Question {
    std::uint64_t token = 0;
    std::string key;
    std::string name;
    RecordType type{};
    Deadline latest = Deadline::never(); // the latest deadline of its callers
    Deadline::Clock::time_point asked;
    std::optional<Result<DnsAnswer>> answer;
    std::condition_variable answered;
};

// Changes whenever the file does; 0 when it is not there.
std::int64_t stamp_of(std::string const& path) {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) return 0;
    return status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec +
           static_cast<std::int64_t>(status.st_ino);
}

class Wakeup {
  public:
    Wakeup() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
    ~Wakeup() { ::close(fd_); }
    Wakeup(Wakeup const&) = delete;
    Wakeup& operator=(Wakeup const&) = delete;
    int descriptor() const { return fd_; }
    void wake() const { ::eventfd_write(fd_, 1); }
    void clear() const {
        eventfd_t value = 0;
        ::eventfd_read(fd_, &value);
    }

  private:
    int fd_;
};

struct Counts {
    Counter& cached;
    Counter& found;
    Counter& negative;
    Counter& failed;
    Counter& late;
    Histogram& seconds;

    explicit Counts(Metrics& metrics)
        : cached(of(metrics, "cached")), found(of(metrics, "found")), negative(of(metrics, "negative")),
          failed(of(metrics, "failed")), late(of(metrics, "timeout")),
          seconds(metrics.histogram("postern_dns_seconds",
                                    "Time of DNS lookups that the cache could not answer")) {}
    static Counter& of(Metrics& metrics, std::string_view result) {
        return metrics.counter("postern_dns_lookups_total", "DNS lookups by how they were answered",
                               "result=\"" + std::string(result) + "\"");
    }
};

class UnboundResolver final : public Resolver {
  public:
    UnboundResolver(ResolverSettings settings, Log& log, Metrics& metrics)
        : settings_(std::move(settings)), log_(log), counts_(metrics),
          cache_({settings_.cache_entries, settings_.cache_octets}) {}
    ~UnboundResolver() override;

    Result<> open_context();
    Result<DnsAnswer> lookup(std::string_view name, RecordType type, Deadline deadline) override;

  private:
    std::shared_ptr<Question>
    join_or_ask(std::string const& key, std::string_view name, RecordType type,
                Deadline deadline); // with mutex_ held; null when there are too many
    void drive();
    void follow_resolv_conf();
    void ask_new_questions();
    void wait_for_something();
    void give_up_late_questions();
    void complete(std::uint64_t token, Result<DnsAnswer> answer, bool remember);
    void remember(std::string const& key, Result<DnsAnswer> const& answer);

    ResolverSettings settings_;
    Log& log_;
    Counts counts_;
    Cache cache_;
    Wakeup wakeup_;
    std::unique_ptr<Context> context_; // the driver's, once it runs
    std::int64_t resolv_conf_stamp_ = 0;

    std::mutex mutex_; // guards the six below
    std::unordered_map<std::string, std::shared_ptr<Question>> by_key_;
    std::map<std::uint64_t, std::shared_ptr<Question>> open_; // by token
    std::vector<std::shared_ptr<Question>> new_questions_;
    std::uint64_t last_token_ = 0;
    bool stopping_ = false;
    std::thread driver_;
};

UnboundResolver::~UnboundResolver() {
    {
        std::lock_guard const lock(mutex_);
        stopping_ = true;
    }
    wakeup_.wake();
    if (driver_.joinable()) driver_.join();
}

Result<> UnboundResolver::open_context() {
    resolv_conf_stamp_ = stamp_of(settings_.resolv_conf);
    auto const servers =
        settings_.nameservers.empty() ? nameservers_of(settings_.resolv_conf) : settings_.nameservers;
    auto made = Context::make(settings_, servers);
    if (!made) return std::unexpected(std::move(made.error()));
    context_ = std::move(*made);
    return {};
}

Result<DnsAnswer> UnboundResolver::lookup(std::string_view name, RecordType type, Deadline deadline) {
    if (!is_askable(name)) return malformed("not a domain name: " + printable(name));
    auto const key = to_lower(name) + "/" + std::string(to_string(type));
    if (auto known = cache_.find(key, Cache::Clock::now())) {
        counts_.cached.add();
        return std::move(*known);
    }
    auto const began = Deadline::Clock::now();
    auto const until = deadline.or_after(longest_wait);
    std::unique_lock lock(mutex_);
    auto const question = join_or_ask(key, name, type, until);
    if (!question) return temporary("too many DNS questions are open");
    question->answered.wait_until(lock, until.point(), [&] { return question->answer.has_value(); });
    counts_.seconds.observe(std::chrono::duration<double>(Deadline::Clock::now() - began).count());
    if (question->answer) return *question->answer;
    counts_.late.add();
    return temporary("no answer in time for " + key);
}

std::shared_ptr<Question> UnboundResolver::join_or_ask(std::string const& key, std::string_view name,
                                                       RecordType type, Deadline deadline) {
    if (auto const found = by_key_.find(key); found != by_key_.end()) {
        auto const& question = found->second;
        if (question->latest.point() < deadline.point()) question->latest = deadline;
        return question;
    }
    if (open_.size() >= max_questions) return nullptr;
    auto question = std::make_shared<Question>();
    question->token = ++last_token_;
    question->key = key;
    question->name = name;
    question->type = type;
    question->latest = deadline;
    question->asked = Deadline::Clock::now();
    by_key_.emplace(key, question);
    open_.emplace(question->token, question);
    new_questions_.push_back(question);
    if (!driver_.joinable()) driver_ = std::thread([this] { drive(); });
    wakeup_.wake();
    return question;
}

void UnboundResolver::drive() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr); // signals are the main thread's
    for (;;) {
        {
            std::lock_guard const lock(mutex_);
            if (stopping_) break;
        }
        follow_resolv_conf();
        ask_new_questions();
        wait_for_something();
        for (auto& [token, answer] : context_->take_answers()) complete(token, std::move(answer), true);
        give_up_late_questions();
    }
    context_.reset();
}

// A laptop changes networks, a container gets its nameserver late: the settings of a context cannot change,
// so it is made anew and everything open is asked again.
void UnboundResolver::follow_resolv_conf() {
    if (!settings_.nameservers.empty() || stamp_of(settings_.resolv_conf) == resolv_conf_stamp_) return;
    auto const old = resolv_conf_stamp_;
    if (auto done = open_context(); !done) {
        if (old != resolv_conf_stamp_)
            log_.warning("dns: {} has changed, but {}; the old nameservers stay", settings_.resolv_conf,
                         done.error().text);
        return;
    }
    log_.info("dns: {} has changed, nameservers={}", settings_.resolv_conf,
              join(nameservers_of(settings_.resolv_conf), ","));
    std::lock_guard const lock(mutex_);
    new_questions_.clear();
    for (auto const& [token, question] : open_) new_questions_.push_back(question);
}

void UnboundResolver::ask_new_questions() {
    std::vector<std::shared_ptr<Question>> fresh;
    {
        std::lock_guard const lock(mutex_);
        fresh.swap(new_questions_);
    }
    for (auto const& question : fresh)
        if (auto asked = context_->ask(question->token, question->name, question->type); !asked)
            complete(question->token, std::unexpected(std::move(asked.error())), false);
}

void UnboundResolver::wait_for_something() {
    auto earliest = Deadline::never();
    {
        std::lock_guard const lock(mutex_);
        if (stopping_ || !new_questions_.empty()) return;
        for (auto const& [token, question] : open_) earliest = Deadline::earlier(earliest, question->latest);
    }
    pollfd ready[] = {{wakeup_.descriptor(), POLLIN, 0}, {context_->descriptor(), POLLIN, 0}};
    ::poll(ready, 2, earliest.poll_timeout());
    wakeup_.clear();
}

void UnboundResolver::give_up_late_questions() {
    std::vector<std::shared_ptr<Question>> late;
    {
        std::lock_guard const lock(mutex_);
        for (auto const& [token, question] : open_)
            if (question->latest.expired()) late.push_back(question);
    }
    for (auto const& question : late) {
        context_->cancel(question->token);
        bool const telling = Deadline::Clock::now() - question->asked >= telling_silence;
        complete(question->token, temporary("no answer in time for " + question->key), telling);
    }
}

void UnboundResolver::complete(std::uint64_t token, Result<DnsAnswer> answer, bool worth_remembering) {
    std::lock_guard const lock(mutex_);
    auto const found = open_.find(token);
    if (found == open_.end()) return;
    auto const question = found->second;
    open_.erase(found);
    by_key_.erase(question->key);
    if (worth_remembering) remember(question->key, answer);
    if (!answer) log_.debug("dns: {}: {}", printable(question->key), answer.error().text);
    (!answer ? counts_.failed : answer->found() ? counts_.found : counts_.negative).add();
    question->answer = std::move(answer);
    question->answered.notify_all();
}

void UnboundResolver::remember(std::string const& key, Result<DnsAnswer> const& answer) {
    auto const ttl =
        answer ? std::min(settings_.longest_ttl, std::chrono::seconds(answer->ttl)) : settings_.failure_ttl;
    cache_.put(key, answer, ttl, Cache::Clock::now());
}

} // namespace

Result<std::unique_ptr<Resolver>> make_unbound_resolver(ResolverSettings const& settings, Log& log,
                                                        Metrics& metrics) {
    auto resolver = std::make_unique<UnboundResolver>(settings, log, metrics);
    if (auto done = resolver->open_context(); !done) return std::unexpected(std::move(done.error()));
    return resolver;
}

} // namespace postern::dns
