// Writes and reads jobs.
#include "lmtp-deliver/job.h"

#include "common/base/text.h"

#include <fmt/format.h>

#include <concepts>
#include <type_traits>

namespace postern::lmtp_deliver {

namespace {

constexpr std::size_t max_elements = 100000;

// Every value is "LENGTH:octets,".
class Writer {
  public:
    void text(std::string_view value) { out_ += fmt::format("{}:{},", value.size(), value); }
    template <class T>
        requires std::integral<T> || std::is_enum_v<T>
    void operator()(T const& value) {
        if constexpr (std::is_enum_v<T>)
            text(fmt::format("{}", static_cast<int>(value)));
        else
            text(fmt::format("{}", +value));
    }
    void operator()(std::string const& value) { text(value); }
    void operator()(std::vector<std::string> const& values) {
        (*this)(values.size());
        for (auto const& value : values) text(value);
    }
    std::string take() { return std::move(out_); }

  private:
    std::string out_;
};

class Reader {
  public:
    explicit Reader(std::string_view bytes) : rest_(bytes) {}
    std::string_view text() {
        auto const [length_text, after] = halve(rest_, ':');
        auto const length = parse_number<std::size_t>(length_text);
        if (!length || !after || after->size() <= *length || (*after)[*length] != ',') {
            good_ = false;
            rest_ = {};
            return {};
        }
        rest_ = after->substr(*length + 1);
        return after->substr(0, *length);
    }
    template <class T>
        requires std::integral<T> || std::is_enum_v<T>
    void operator()(T& value) {
        using Number = std::conditional_t<std::is_enum_v<T> || std::is_same_v<T, bool>, int, T>;
        auto const number = parse_number<Number>(text());
        good_ = good_ && number.has_value();
        if (number) value = static_cast<T>(*number);
    }
    void operator()(std::string& value) { value = text(); }
    void operator()(std::vector<std::string>& values) {
        std::size_t count = 0;
        (*this)(count);
        good_ = good_ && count <= max_elements;
        for (std::size_t i = 0; good_ && i < count; ++i) values.emplace_back(text());
    }
    bool good() const { return good_; }
    bool at_end() const { return good_ && rest_.empty(); }

  private:
    std::string_view rest_;
    bool good_ = true;
};

template <class Quota, class Each>
void each_quota_value(Quota& quota, Each& each) {
    each(quota.active);
    each(quota.forced);
    each(quota.root_bytes);
    each(quota.root_count);
    each(quota.folder_bytes);
    each(quota.folder_count);
    each(quota.grace);
    each(quota.folder_ignored);
    each(quota.enforced);
    each(quota.ignored_folders);
    each(quota.exceeded);
    each(quota.full_is_temporary);
}

template <class P, class Each>
void each_value(P& plan, Each& each) {
    each(plan.user);
    each(plan.session_id);
    each(plan.uid);
    each(plan.gid);
    each(plan.location.root);
    each(plan.location.inbox);
    each(plan.location.control);
    each(plan.location.subscriptions);
    each(plan.location.layout);
    each(plan.location.utf8);
    each(plan.folder.folder);
    each(plan.folder.name);
    each(plan.folder.subscription);
    each(plan.folder.create);
    each(plan.folder.subscribe);
    each(plan.fsync);
    each_quota_value(plan.quota, each);
    each_quota_value(plan.inbox_quota, each);
}

} // namespace

std::string encode_job(Job const& job) {
    Writer write;
    write(job.check_only);
    write(job.size.octets);
    write(job.size.virtual_octets);
    write(job.plans.size());
    for (auto const& plan : job.plans) each_value(plan, write);
    return write.take();
}

Result<Job> decode_job(std::string_view bytes) {
    Reader read(bytes);
    Job job;
    std::size_t count = 0;
    read(job.check_only);
    read(job.size.octets);
    read(job.size.virtual_octets);
    read(count);
    for (std::size_t i = 0; read.good() && i < count && i < max_elements; ++i)
        each_value(job.plans.emplace_back(), read);
    if (!read.at_end()) return malformed("a job that cannot be read");
    return job;
}

std::string encode_outcome(Outcome const& outcome) {
    Writer write;
    write(outcome.kind);
    write(outcome.text);
    return write.take();
}

std::vector<Outcome> decode_outcomes(std::string_view bytes, std::size_t expected) {
    Reader read(bytes);
    std::vector<Outcome> outcomes(expected);
    for (auto& outcome : outcomes) {
        Outcome next;
        read(next.kind);
        read(next.text);
        if (!read.good()) break;
        outcome = std::move(next);
    }
    return outcomes;
}

} // namespace postern::lmtp_deliver
