// The memory of messages.
#include "policyd-spf/instances.h"

#include <algorithm>

namespace postern::policyd_spf {

Instances::Entry const* Instances::find(std::string_view instance) const {
    auto const found = std::ranges::find(entries_.rbegin(), entries_.rend(), instance, &Entry::instance);
    return found == entries_.rend() ? nullptr : &*found;
}

void Instances::remember(std::string_view instance, Answer answer, std::string shown) {
    if (instance.empty()) return;
    std::erase_if(entries_, [&](Entry const& entry) { return entry.instance == instance; });
    if (entries_.size() == limit) entries_.pop_front();
    entries_.push_back({std::string(instance), std::move(answer), std::move(shown)});
}

} // namespace postern::policyd_spf
