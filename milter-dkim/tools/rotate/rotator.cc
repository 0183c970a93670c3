// The steps, each of which may be done again after a crash.
#include "milter-dkim/tools/rotate/rotator.h"

#include "common/base/text.h"
#include "milter-dkim/sign/keys.h"
#include "milter-dkim/tools/key_record.h"
#include "milter-dkim/tools/replace_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

namespace postern::milter_dkim::tools {

namespace {

std::string label(Rotation const& rotation) {
    return fmt::format("domain={} old={} new={}", join(rotation.domains, ","), rotation.old_selector,
                       rotation.new_selector);
}

Result<std::string> record_of(std::string const& key_file) {
    auto text = read_text(key_file);
    if (!text) return std::unexpected(text.error());
    auto const key = SigningKey::parse(*text, smallest_rsa_bits);
    wipe(*text);
    if (!key) return std::unexpected(Error(key.error()).within(key_file));
    KeyRecord record;
    record.type = (*key)->algorithm() == Algorithm::ed25519_sha256 ? KeyType::ed25519 : KeyType::rsa;
    record.public_key = (*key)->public_base64();
    return record.text();
}

// As the old key's file, and nothing for others whatever that had.
FileAccess access_for(Rotation const& rotation) {
    auto access = access_of(rotation.old_key_file).value_or(FileAccess());
    access.mode &= 0660U;
    return access;
}

} // namespace

KeyInUse const* find_key(Inventory const& inventory, Rotation const& rotation, std::string_view selector) {
    auto const found = std::ranges::find_if(inventory.keys, [&](KeyInUse const& key) {
        return key.domains == rotation.domains && key.selector == selector;
    });
    return found == inventory.keys.end() ? nullptr : &*found;
}

Result<> Rotator::note(Rotation& rotation, RotationStep step) {
    boundary(fmt::format("before noting {}", to_string(step)));
    auto noted = rotation;
    noted.step = step;
    if (auto done = around_.store.save(noted); !done) return done;
    rotation = std::move(noted);
    boundary(fmt::format("after noting {}", to_string(step)));
    return {};
}

Rotator::Outcome Rotator::waiting(Work& work, std::string const& why) {
    if (work.last_wait != why) around_.log.info("{} waiting: {}", label(work.rotation), why);
    work.last_wait = why;
    return Outcome::waiting;
}

// A key that is there was made by a run that ended before it could say so: the plan took a name that was
// free.
Result<> Rotator::make_key(Rotation& rotation) {
    std::error_code none;
    if (!std::filesystem::exists(rotation.new_key_file, none)) {
        auto const pem = new_private_key(rotation.new_type, rotation.bits);
        if (!pem) return std::unexpected(pem.error());
        if (auto done = replace_file(rotation.new_key_file, pem->reveal(), access_for(rotation)); !done)
            return done;
    }
    auto record = record_of(rotation.new_key_file);
    if (!record) return std::unexpected(record.error());
    rotation.record = std::move(*record);
    around_.log.info("{} key written to {}", label(rotation), rotation.new_key_file);
    return note(rotation, RotationStep::key_made);
}

// Another host may sign for the same domain and name its selectors the same way.
Result<> Rotator::check_names_are_free(Rotation const& rotation) const {
    for (auto const& domain : rotation.domains) {
        auto const name = rotation.record_name(domain);
        auto const deadline = step_deadline();
        auto const authority = around_.authorities.find(name, deadline);
        if (!authority) return std::unexpected(authority.error());
        auto const sight = around_.authorities.look(*authority, name, rotation.record, deadline);
        if (!sight.conflicts.empty())
            return permanent(
                fmt::format("{} is another key's: {}; choose another --pattern", name, sight.conflicts[0]));
    }
    return {};
}

Result<> Rotator::publish(Rotation const& rotation) {
    for (auto const& domain : rotation.domains) {
        auto const name = rotation.record_name(domain);
        auto const deadline = step_deadline();
        auto const authority = around_.authorities.find(name, deadline);
        if (!authority) return std::unexpected(authority.error());
        RecordChange const change{RecordChange::Reason::publish, domain, name, rotation.record,
                                  settings_.ttl};
        if (auto done = around_.publisher.publish(change, *authority, deadline); !done) return done;
        around_.log.info("{} record {} published {}", label(rotation), name,
                         around_.publisher.describe(*authority));
        boundary("after publishing for " + domain);
    }
    return {};
}

// Nothing of a rotation whose name is somebody else's has been shown to anybody: it is taken back whole.
Result<> Rotator::first_publish(Rotation const& rotation) {
    auto free = check_names_are_free(rotation);
    if (free) return publish(rotation);
    if (free.error().kind != ErrorKind::permanent) return free;
    std::error_code none;
    std::filesystem::remove(rotation.new_key_file, none);
    if (auto done = around_.store.remove(rotation); !done) return done;
    return free;
}

Result<Rotator::Outcome> Rotator::wait_for_record(Work& work) {
    auto const& rotation = work.rotation;
    std::vector<std::string> missing;
    for (auto const& domain : rotation.domains) {
        auto const name = rotation.record_name(domain);
        auto const authority = around_.authorities.find(name, step_deadline());
        if (!authority) return std::unexpected(authority.error());
        auto const sight = around_.authorities.look(*authority, name, rotation.record, step_deadline());
        missing.insert(missing.end(), sight.missing.begin(), sight.missing.end());
    }
    if (missing.empty()) return Outcome::done;
    // From an earlier run: it may have been lost with a zone that was written anew.
    if (!work.has_published) {
        work.has_published = true;
        auto done = check_names_are_free(rotation);
        if (done) done = publish(rotation);
        if (!done) return std::unexpected(done.error());
    }
    return waiting(work, join(missing, "; "));
}

Result<> Rotator::check_new_key(Rotation const& rotation) const {
    auto const record = record_of(rotation.new_key_file);
    if (!record) return std::unexpected(record.error());
    if (same_key(*record, rotation.record)) return {};
    return permanent(fmt::format("{} is not the key whose record was published", rotation.new_key_file));
}

Result<> Rotator::switch_over(Rotation const& rotation) {
    auto const inventory = take_inventory(settings_.configuration);
    for (auto const& problem : inventory.problems)
        if (problem.severity == config::Problem::Severity::error) return permanent(problem.to_string());
    if (find_key(inventory, rotation, rotation.new_selector) != nullptr) return {}; // by the run that crashed
    auto const* key = find_key(inventory, rotation, rotation.old_selector);
    if (key == nullptr)
        return permanent(fmt::format("{} does not sign with selector {} any more; nothing was switched",
                                     settings_.configuration, rotation.old_selector));
    if (auto good = check_new_key(rotation); !good) return good;
    auto const text = read_text(key->file);
    if (!text) return std::unexpected(text.error());
    auto const changed = with_new_key(*key, *text, rotation.new_selector, rotation.new_key_file);
    if (!changed) return std::unexpected(changed.error());
    if (auto done = replace_file(key->file, *changed); !done) return done;
    around_.log.info("{} switched in {}", label(rotation), key->place());
    return {};
}

Result<> Rotator::reload(Rotation& rotation) {
    auto const done = around_.reloader.reload(step_deadline());
    if (!done) return std::unexpected(Error(done.error()).within("reload"));
    rotation.retire_at = around_.now() + settings_.keep;
    around_.log.info("{} reload: {}; the old record is kept for {} days", label(rotation), *done,
                     settings_.keep / 86400);
    return note(rotation, RotationStep::reloaded);
}

Result<bool> Rotator::is_retired(Rotation const& rotation, std::string const& domain, bool publish_it,
                                 std::string& missing) {
    auto const name = rotation.old_record_name(domain);
    auto const text = revoked_record(rotation.old_type);
    auto const deadline = step_deadline();
    auto const authority = around_.authorities.find(name, deadline);
    if (!authority) return std::unexpected(authority.error());
    auto sight = around_.authorities.look(*authority, name, text, deadline);
    if (publish_it && !sight.everywhere() && !sight.nowhere) {
        RecordChange const change{RecordChange::Reason::revoke, domain, name, text, settings_.ttl};
        if (auto done = around_.publisher.publish(change, *authority, deadline); !done)
            return std::unexpected(done.error());
        boundary("after revoking for " + domain);
        sight = around_.authorities.look(*authority, name, text, deadline);
    }
    if (sight.everywhere() || sight.nowhere) return true;
    missing += (missing.empty() ? "" : "; ") + join(sight.missing, "; ");
    return false;
}

Result<Rotator::Outcome> Rotator::retire(Work& work) {
    auto const& rotation = work.rotation;
    if (around_.now() < rotation.retire_at) return Outcome::kept;
    auto const inventory = take_inventory(settings_.configuration);
    for (auto const& problem : inventory.problems) // what cannot be read might still use it
        if (problem.severity == config::Problem::Severity::error) return permanent(problem.to_string());
    for (auto const& key : inventory.keys)
        if (key.selector == rotation.old_selector && std::ranges::any_of(key.domains, [&](auto const& each) {
                return std::ranges::count(rotation.domains, each) > 0;
            }))
            return permanent(
                fmt::format("selector {} is in use again, {}: its record stays", key.selector, key.place()));
    bool const publish_it = !work.has_published;
    work.has_published = true;
    std::string missing;
    for (auto const& domain : rotation.domains)
        if (auto const retired = is_retired(rotation, domain, publish_it, missing); !retired)
            return std::unexpected(retired.error());
    if (!missing.empty()) return waiting(work, "revoking " + rotation.old_selector + ": " + missing);
    boundary("before forgetting");
    if (auto done = around_.store.remove(rotation); !done) return std::unexpected(done.error());
    around_.log.info("{} the old record is revoked: its p= is empty; {}", label(rotation),
                     rotation.old_key_file.empty() ? "the key was in its row"
                                                   : rotation.old_key_file + " can be removed");
    return Outcome::done;
}

Result<Rotator::Outcome> Rotator::advance(Work& work) {
    auto& rotation = work.rotation;
    for (;;) {
        Result<> done;
        switch (rotation.step) {
        case RotationStep::planned: done = make_key(rotation); break;
        case RotationStep::key_made:
            done = first_publish(rotation);
            work.has_published = true;
            if (done) done = note(rotation, RotationStep::published);
            break;
        case RotationStep::published: {
            auto const seen = wait_for_record(work);
            if (!seen || *seen == Outcome::waiting) return seen;
            done = switch_over(rotation);
            if (done) done = note(rotation, RotationStep::switched);
            break;
        }
        case RotationStep::switched:
            done = reload(rotation);
            work.has_published = false;
            break;
        case RotationStep::reloaded: return retire(work);
        }
        if (!done) return std::unexpected(done.error());
    }
}

Rotator::Summary Rotator::run(std::vector<Rotation> rotations) {
    Summary summary;
    std::vector<Work> works;
    for (auto& rotation : rotations) {
        if (rotation.step == RotationStep::planned)
            if (auto done = note(rotation, RotationStep::planned); !done) {
                around_.log.error("{} {}", label(rotation), done.error().text);
                ++summary.failed;
                continue;
            }
        works.push_back({std::move(rotation), false, {}});
    }
    auto const deadline = Deadline::after(settings_.wait);
    for (;;) {
        std::erase_if(works, [&](Work& work) {
            auto const outcome = advance(work);
            if (outcome) return *outcome != Outcome::waiting;
            if (outcome.error().kind != ErrorKind::permanent && !deadline.expired())
                return waiting(work, outcome.error().text), false;
            around_.log.error("{} step={} {}", label(work.rotation), to_string(work.rotation.step),
                              outcome.error().text);
            if (outcome.error().kind == ErrorKind::permanent) ++summary.failed;
            return outcome.error().kind == ErrorKind::permanent;
        });
        if (works.empty() || deadline.expired()) break;
        around_.pause();
    }
    summary.waiting = works.size();
    return summary;
}

} // namespace postern::milter_dkim::tools
