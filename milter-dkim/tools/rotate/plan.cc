// Patterns, names that are taken, and new files.
#include "milter-dkim/tools/rotate/plan.h"

#include "common/base/text.h"
#include "common/config/settings.h"
#include "milter-dkim/sign/keys.h"
#include "milter-dkim/tools/key_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <iterator>

namespace postern::milter_dkim::tools {

namespace {

constexpr int least_new_bits = 2048; // a key under it is not made again

// A number in old where the pattern has %n, if the rest of it fits.
std::int64_t number_in(std::string_view old, std::string_view before, std::string_view after) {
    if (old.size() < before.size() + after.size() || !old.starts_with(before) || !old.ends_with(after))
        return 0;
    auto const digits = old.substr(before.size(), old.size() - before.size() - after.size());
    constexpr std::int64_t too_much = 1'000'000'000;
    auto const number = parse_number<std::int64_t>(digits).value_or(0);
    return number < 0 || number > too_much ? 0 : number;
}

Result<std::string> expand_dates(PlanSettings const& settings, std::string_view pattern) {
    std::time_t const now = settings.now;
    std::tm date{};
    ::gmtime_r(&now, &date);
    std::string out;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        if (pattern[i] != '%') {
            out += pattern[i];
            continue;
        }
        char const what = ++i < pattern.size() ? pattern[i] : '\0';
        switch (what) {
        case 'Y': out += fmt::format("{:04}", date.tm_year + 1900); break;
        case 'y': out += fmt::format("{:02}", date.tm_year % 100); break;
        case 'm': out += fmt::format("{:02}", date.tm_mon + 1); break;
        case 'd': out += fmt::format("{:02}", date.tm_mday); break;
        case 'j': out += fmt::format("{:03}", date.tm_yday + 1); break;
        case 'h': out += settings.host; break;
        case '%': out += '%'; break;
        default:
            return permanent(fmt::format("\"{}\" has an unknown %; %Y %y %m %d %j %h %n and %% are known",
                                         printable(settings.pattern)));
        }
    }
    return out;
}

struct OldKey {
    KeyType type = KeyType::rsa;
    int bits = 0;
    std::int64_t changed_at = 0;
};

// What can be read of the old key; one that cannot be read is RSA as far as anybody knows.
OldKey look_at(KeyInUse const& key) {
    OldKey old;
    if (key.path.empty()) return old;
    std::error_code none;
    auto const time = std::filesystem::last_write_time(key.path, none);
    if (!none)
        old.changed_at = std::chrono::duration_cast<std::chrono::seconds>(
                             std::chrono::file_clock::to_sys(time).time_since_epoch())
                             .count();
    auto const text = config::read_file(key.path);
    auto const parsed = text ? SigningKey::parse(*text, smallest_rsa_bits) : std::unexpected(text.error());
    if (!parsed) return old;
    old.type = (*parsed)->algorithm() == Algorithm::ed25519_sha256 ? KeyType::ed25519 : KeyType::rsa;
    old.bits = static_cast<int>((*parsed)->bits());
    return old;
}

bool share_a_domain(std::vector<std::string> const& a, std::vector<std::string> const& b) {
    return std::ranges::any_of(a, [&](auto const& each) { return std::ranges::count(b, each) > 0; });
}

class Planner {
  public:
    Planner(Inventory const& inventory, std::vector<Rotation> const& known, PlanSettings const& settings)
        : inventory_(inventory), known_(known), settings_(settings) {}

    Result<> consider(KeyInUse const& key);
    Plan take() { return std::move(plan_); }

  private:
    bool is_wanted(KeyInUse const& key) const;
    bool is_taken(std::vector<std::string> const& domains, std::string_view selector) const;
    bool is_claimed(std::string const& path) const;
    Result<std::string> selector_for(KeyInUse const& key, std::string const& expanded, KeyType type) const;
    Result<std::string> path_for(KeyInUse const& key, std::string const& selector) const;
    void note(KeyInUse const& key, std::string_view text) {
        plan_.notes.push_back(fmt::format("domain={} selector={} {}", key.domains[0], key.selector, text));
    }

    Inventory const& inventory_;
    std::vector<Rotation> const& known_;
    PlanSettings const& settings_;
    Plan plan_;
};

bool Planner::is_wanted(KeyInUse const& key) const {
    return settings_.domains.empty() || share_a_domain(key.domains, settings_.domains);
}

// In use, or on its way in or out.
bool Planner::is_taken(std::vector<std::string> const& domains, std::string_view selector) const {
    auto const by_rotation = [&](Rotation const& rotation) {
        return share_a_domain(rotation.domains, domains) &&
               (equals_ignoring_case(rotation.new_selector, selector) ||
                equals_ignoring_case(rotation.old_selector, selector));
    };
    return std::ranges::any_of(known_, by_rotation) || std::ranges::any_of(plan_.rotations, by_rotation) ||
           std::ranges::any_of(inventory_.keys, [&](KeyInUse const& key) {
               return share_a_domain(key.domains, domains) && equals_ignoring_case(key.selector, selector);
           });
}

bool Planner::is_claimed(std::string const& path) const {
    auto const claims = [&](Rotation const& rotation) { return rotation.new_key_file == path; };
    std::error_code none;
    return std::ranges::any_of(known_, claims) || std::ranges::any_of(plan_.rotations, claims) ||
           std::filesystem::exists(path, none);
}

Result<std::string> Planner::selector_for(KeyInUse const& key, std::string const& expanded,
                                          KeyType type) const {
    std::vector<std::string> candidates{expanded};
    if (type == KeyType::ed25519) candidates.push_back(expanded + "-ed25519");
    for (char letter = 'b'; letter <= 'z'; ++letter) candidates.push_back(expanded + letter);
    for (auto const& candidate : candidates)
        if (!is_taken(key.domains, candidate)) return candidate;
    return permanent(
        fmt::format("{}: every selector from {} to {}z is in use", key.place(), expanded, expanded));
}

Result<std::string> Planner::path_for(KeyInUse const& key, std::string const& selector) const {
    std::filesystem::path const old(key.path);
    auto const directory = settings_.directory.empty() ? old.parent_path().string() : settings_.directory;
    if (directory.empty())
        return permanent(
            fmt::format("{}: the key stands in its row; say with -D where key files go", key.place()));
    std::vector<std::string> names;
    auto const name = old.filename().string();
    if (auto const at = name.find(key.selector); at != std::string::npos)
        names.push_back(std::string(name).replace(at, key.selector.size(), selector));
    names.push_back(fmt::format("{}.{}.private", key.domains[0], selector));
    for (auto const& each : names)
        if (auto path = directory + "/" + each; !is_claimed(path)) return path;
    return permanent(fmt::format("{}: {}/{} exists already", key.place(), directory, names.back()));
}

Result<> Planner::consider(KeyInUse const& key) {
    if (!is_wanted(key)) return {};
    auto const is_under_way = [&](Rotation const& rotation) {
        return share_a_domain(rotation.domains, key.domains) && rotation.is_unfinished() &&
               (rotation.old_selector == key.selector || rotation.new_selector == key.selector);
    };
    if (std::ranges::any_of(known_, is_under_way)) return {};
    auto const expanded = expand_pattern(settings_, key.selector);
    if (!expanded) return std::unexpected(expanded.error());
    if (!settings_.at_once && is_from(key.selector, *expanded))
        return note(key, "is this period's selector already"), Result<>();
    auto const old = look_at(key);
    bool const is_young = settings_.minimum_age > 0 && settings_.now - old.changed_at < settings_.minimum_age;
    if (!settings_.at_once && is_young) return note(key, "is not old enough"), Result<>();

    Rotation rotation;
    rotation.domains = key.domains;
    rotation.old_selector = key.selector;
    rotation.old_type = old.type;
    rotation.new_type = settings_.type.value_or(old.type);
    rotation.bits = settings_.bits.value_or(std::max(old.bits, least_new_bits));
    if (old.type == KeyType::ed25519 && !settings_.bits) rotation.bits = least_new_bits;
    rotation.old_key_file = key.path;
    auto selector = selector_for(key, *expanded, rotation.new_type);
    if (!selector) return std::unexpected(selector.error());
    rotation.new_selector = std::move(*selector);
    auto path = path_for(key, rotation.new_selector);
    if (!path) return std::unexpected(path.error());
    rotation.new_key_file = std::move(*path);
    plan_.rotations.push_back(std::move(rotation));
    return {};
}

} // namespace

Result<std::string> expand_pattern(PlanSettings const& settings, std::string_view old_selector) {
    auto const at = settings.pattern.find("%n");
    auto before = expand_dates(settings, std::string_view(settings.pattern).substr(0, at));
    if (!before) return before;
    auto selector = *before;
    if (at != std::string::npos) {
        auto const after = expand_dates(settings, std::string_view(settings.pattern).substr(at + 2));
        if (!after) return after;
        selector += std::to_string(number_in(old_selector, *before, *after) + 1) + *after;
    }
    if (auto good = check_selector(selector); !good) return std::unexpected(good.error());
    return selector;
}

bool is_from(std::string_view selector, std::string_view expanded) {
    if (!selector.starts_with(expanded)) return false;
    auto const rest = selector.substr(expanded.size());
    return rest.empty() || rest == "-ed25519" || (rest.size() == 1 && rest[0] >= 'b' && rest[0] <= 'z');
}

Result<Plan> make_plan(Inventory const& inventory, std::vector<Rotation> const& known,
                       PlanSettings const& settings) {
    Planner planner(inventory, known, settings);
    // RSA keys first: they get the plain name where a domain has both.
    auto keys = inventory.keys;
    std::ranges::stable_partition(keys,
                                  [](KeyInUse const& key) { return look_at(key).type == KeyType::rsa; });
    for (auto const& key : keys)
        if (auto done = planner.consider(key); !done) return std::unexpected(done.error());
    return planner.take();
}

} // namespace postern::milter_dkim::tools
