// Reads quota settings.
#include "lmtp-deliver/quota/rules.h"

#include "common/base/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace postern::lmtp_deliver {

namespace {

struct Amount {
    std::int64_t value = 0;
    bool percent = false;
};

std::int64_t unit_size(char unit) {
    switch (upper(unit)) {
    case 'B': return 1;
    case 'K': return 1LL << 10;
    case 'M': return 1LL << 20;
    case 'G': return 1LL << 30;
    case 'T': return 1LL << 40;
    default: return 0;
    }
}

// "+100M", "1G", "10%", "2000"; the sign is for rules of one mailbox.
Result<Amount> parse_amount(std::string_view text, std::int64_t default_unit) {
    auto const wrong = [&] { return permanent(fmt::format("\"{}\" is no amount", printable(text))); };
    auto digits = text;
    bool const negative = digits.starts_with('-');
    if (negative || digits.starts_with('+')) digits.remove_prefix(1);
    auto const number_end = std::min(digits.find_first_not_of("0123456789"), digits.size());
    auto const number = parse_number<std::int64_t>(digits.substr(0, number_end));
    auto const unit = digits.substr(number_end);
    if (!number) return wrong();
    if (unit == "%") return Amount{negative ? -*number : *number, true};
    auto const size = unit.empty() ? default_unit : unit_size(unit[0]);
    Amount out;
    // "1G", "1GB" and "1GiB" are the same.
    bool const known = unit.size() <= 1 || equals_ignoring_case(unit.substr(1), "B") ||
                       equals_ignoring_case(unit.substr(1), "iB");
    if (size == 0 || !known || __builtin_mul_overflow(*number, size, &out.value)) return wrong();
    if (negative) out.value = -out.value;
    return out;
}

Result<> apply_limit(QuotaRule& rule, std::string_view text) {
    if (text == "ignore") {
        rule.ignore = true;
        return {};
    }
    if (text == "backend") {
        rule.from_backend = true;
        return {};
    }
    auto const [name, value] = halve(text, '=');
    bool const storage = name == "storage" || name == "bytes";
    if (!storage && name != "messages") return permanent(fmt::format("\"{}\" is no limit", printable(name)));
    auto const amount = parse_amount(value.value_or(""), name == "storage" ? 1024 : 1);
    if (!amount) return std::unexpected(amount.error());
    if (amount->percent)
        (storage ? rule.bytes_percent : rule.count_percent) =
            static_cast<int>(std::clamp<std::int64_t>(amount->value, -100000, 100000));
    else
        (storage ? rule.bytes : rule.count) = amount->value;
    return {};
}

// quota_rule, quota_rule2 ... of root "quota"; quota2_rule, quota2_rule2 ... of "quota2".
Result<std::vector<QuotaRule>> rules_of(PluginSettings const& settings, std::string const& root) {
    std::vector<QuotaRule> rules;
    for (int i = 1;; ++i) {
        auto const name = i == 1 ? root + "_rule" : fmt::format("{}_rule{}", root, i);
        auto const found = settings.find(name);
        if (found == settings.end()) {
            // A user's database may set the second without the first.
            if (i == 1) continue;
            return rules;
        }
        auto rule = parse_quota_rule(found->second);
        if (!rule) return std::unexpected(std::move(rule.error()).within(name));
        rules.push_back(std::move(*rule));
    }
}

std::int64_t of_percent(std::int64_t limit, int percent) {
    return limit / 100 * percent + limit % 100 * percent / 100;
}

void apply_rules(QuotaPlan& plan, std::vector<QuotaRule> const& rules, std::string_view mailbox,
                 std::function<std::string(std::string_view)> const& on_disk) {
    for (auto const& rule : rules)
        if (rule.mask == "*") {
            plan.forced = !rule.from_backend;
            plan.root_bytes = rule.bytes;
            plan.root_count = rule.count;
        }
    bool matched = false;
    for (auto const& rule : rules) {
        if (rule.mask == "*") continue;
        if (rule.ignore) plan.ignored_folders.push_back(on_disk(rule.mask));
        if (matched || !matches_mask(rule.mask, mailbox)) continue;
        matched = true;
        plan.folder_ignored = rule.ignore;
        plan.folder_bytes = rule.bytes + of_percent(plan.root_bytes, rule.bytes_percent);
        plan.folder_count = rule.count + of_percent(plan.root_count, rule.count_percent);
    }
}

} // namespace

std::vector<QuotaRoot> quota_roots(PluginSettings const& settings) {
    std::vector<QuotaRoot> roots;
    for (int i = 1;; ++i) {
        QuotaRoot root;
        root.setting = i == 1 ? "quota" : fmt::format("quota{}", i);
        auto const found = settings.find(root.setting);
        if (found == settings.end() || found->second.empty()) return roots;
        auto const parts = split(found->second, ':');
        root.driver = parts[0];
        for (std::size_t k = 2; k < parts.size(); ++k) {
            if (parts[k] == "noenforcing") root.enforced = false;
            if (parts[k] == "ignoreunlimited") root.ignore_unlimited = true;
            if (parts[k].starts_with("ns=")) root.namespace_prefix = parts[k].substr(3);
        }
        roots.push_back(std::move(root));
    }
}

Result<QuotaRule> parse_quota_rule(std::string_view text) {
    auto const [mask, limits] = halve(text, ':');
    if (mask.empty() || !limits)
        return permanent(fmt::format("\"{}\" is no rule (MAILBOX:LIMIT)", printable(text)));
    QuotaRule rule;
    rule.mask = mask == "?" ? "*" : mask;
    for (auto const limit : split(*limits, ':'))
        if (auto done = apply_limit(rule, trim(limit)); !done) return std::unexpected(done.error());
    return rule;
}

Result<std::int64_t> parse_quota_grace(std::string_view text, std::int64_t limit) {
    auto const amount = parse_amount(text, 1024);
    if (!amount) return std::unexpected(amount.error());
    if (!amount->percent) return amount->value;
    return of_percent(limit, static_cast<int>(std::clamp<std::int64_t>(amount->value, 0, 100000)));
}

Result<QuotaPlan> quota_for(PluginSettings const& settings, std::string_view mailbox,
                            std::string_view inbox_prefix,
                            std::function<std::string(std::string_view)> const& on_disk) {
    QuotaPlan plan;
    auto const value = [&](std::string_view name) -> std::string_view {
        auto const found = settings.find(name);
        return found == settings.end() ? std::string_view() : std::string_view(found->second);
    };
    auto const roots = quota_roots(settings);
    auto const root = std::ranges::find_if(roots, [&](QuotaRoot const& each) {
        return each.driver == "maildir" && (!each.namespace_prefix || *each.namespace_prefix == inbox_prefix);
    });
    if (root == roots.end()) return plan;
    auto const rules = rules_of(settings, root->setting);
    if (!rules) return std::unexpected(rules.error());
    plan.active = true;
    plan.enforced = root->enforced;
    apply_rules(plan, *rules, mailbox, on_disk);
    if (root->ignore_unlimited && plan.root_bytes == 0 && plan.root_count == 0) plan.active = false;
    auto const grace_text = value("quota_grace");
    auto const grace = parse_quota_grace(grace_text.empty() ? "10%" : grace_text, plan.root_bytes);
    if (!grace) return std::unexpected(Error(grace.error()).within("quota_grace"));
    plan.grace = *grace;
    if (auto const text = value("quota_exceeded_message"); !text.empty()) plan.exceeded = text;
    return plan;
}

bool matches_mask(std::string_view mask, std::string_view text) {
    // The last '*' is tried again with one more character each time the rest does not fit.
    std::size_t m = 0;
    std::size_t t = 0;
    std::size_t star = std::string_view::npos;
    std::size_t from = 0;
    while (t < text.size()) {
        if (m < mask.size() && mask[m] == '*') {
            star = m++;
            from = t;
        } else if (m < mask.size() && (mask[m] == '?' || mask[m] == text[t])) {
            ++m;
            ++t;
        } else if (star != std::string_view::npos) {
            m = star + 1;
            t = ++from;
        } else {
            return false;
        }
    }
    return mask.find_first_not_of('*', m) == std::string_view::npos;
}

bool matches_any(std::vector<std::string> const& masks, std::string_view text) {
    return std::ranges::any_of(masks, [&](std::string const& mask) { return matches_mask(mask, text); });
}

} // namespace postern::lmtp_deliver
