// The memory of messages.
#include "policyd-spf/instances.h"

#include <algorithm>

namespace postern::policyd_spf {

Answer const* Instances::find(std::string_view instance) const {
    auto const found = std::ranges::find(entries_.rbegin(), entries_.rend(), instance,
                                         [](auto const& entry) { return std::string_view(entry.first); });
    return found == entries_.rend() ? nullptr : &found->second;
}

void Instances::remember(std::string_view instance, Answer answer) {
    if (instance.empty()) return;
    std::erase_if(entries_, [&](auto const& entry) { return entry.first == instance; });
    if (entries_.size() == limit) entries_.pop_front();
    entries_.emplace_back(instance, std::move(answer));
}

} // namespace postern::policyd_spf
