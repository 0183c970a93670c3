// "name = value" files in the state directory.
#include "milter-dkim/tools/rotate/state.h"

#include "common/base/text.h"
#include "common/config/assignments.h"
#include "milter-dkim/tools/key_record.h"
#include "milter-dkim/tools/replace_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <optional>

namespace postern::milter_dkim::tools {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view suffix = ".rotation";
constexpr std::array all_steps{RotationStep::planned, RotationStep::key_made, RotationStep::published,
                               RotationStep::switched, RotationStep::reloaded};

std::optional<RotationStep> step_of(std::string_view name) {
    for (auto const step : all_steps)
        if (to_string(step) == name) return step;
    return std::nullopt;
}

// False: the value is none for this name.
bool set_value(Rotation& rotation, std::string_view name, std::string const& value) {
    auto const type = parse_key_type(value);
    if (name == "step") {
        auto const step = step_of(value);
        rotation.step = step.value_or(RotationStep::planned);
        return step.has_value();
    }
    if (name == "domains") {
        for (auto const domain : split_words(value)) rotation.domains.emplace_back(domain);
        return std::ranges::all_of(rotation.domains,
                                   [](auto const& each) { return bool(check_domain(each)); });
    }
    if (name == "old_selector") return rotation.old_selector = value, bool(check_selector(value));
    if (name == "new_selector") return rotation.new_selector = value, bool(check_selector(value));
    if (name == "old_type") return rotation.old_type = type.value_or(KeyType::rsa), bool(type);
    if (name == "new_type") return rotation.new_type = type.value_or(KeyType::rsa), bool(type);
    if (name == "old_key_file") return rotation.old_key_file = value, true;
    if (name == "new_key_file") return rotation.new_key_file = value, value.starts_with('/');
    if (name == "record") return rotation.record = value, true;
    auto const number = parse_number<std::int64_t>(value);
    if (name == "bits" && number && *number >= smallest_rsa_bits && *number <= largest_rsa_bits)
        return rotation.bits = static_cast<int>(*number), true;
    if (name == "retire_at" && number) return rotation.retire_at = *number, true;
    return false;
}

bool is_complete(Rotation const& rotation) {
    return !rotation.domains.empty() && !rotation.old_selector.empty() && !rotation.new_selector.empty() &&
           !rotation.new_key_file.empty() &&
           (rotation.step == RotationStep::planned || !rotation.record.empty());
}

} // namespace

std::string_view to_string(RotationStep step) {
    switch (step) {
    case RotationStep::planned: return "planned";
    case RotationStep::key_made: return "key_made";
    case RotationStep::published: return "published";
    case RotationStep::switched: return "switched";
    case RotationStep::reloaded: return "reloaded";
    }
    return "planned";
}

std::string Rotation::record_name(std::string_view domain) const {
    return fmt::format("{}._domainkey.{}", new_selector, domain);
}

std::string Rotation::old_record_name(std::string_view domain) const {
    return fmt::format("{}._domainkey.{}", old_selector, domain);
}

std::string rotation_text(Rotation const& rotation) {
    auto text = fmt::format(
        "# A key rotation of milter-dkim-rotate. Without this file the old record stays for "
        "ever.\nstep = {}\ndomains = {}\nold_selector = {}\nnew_selector = {}\n"
        "old_type = {}\nnew_type = {}\nbits = {}\nnew_key_file = {}\n",
        to_string(rotation.step), join(rotation.domains, " "), rotation.old_selector, rotation.new_selector,
        to_string(rotation.old_type), to_string(rotation.new_type), rotation.bits, rotation.new_key_file);
    if (!rotation.old_key_file.empty()) text += fmt::format("old_key_file = {}\n", rotation.old_key_file);
    if (!rotation.record.empty()) text += fmt::format("record = {}\n", rotation.record);
    if (rotation.retire_at != 0) text += fmt::format("retire_at = {}\n", rotation.retire_at);
    return text;
}

Result<Rotation> parse_rotation(std::string_view text, std::string const& file) {
    auto const read = config::parse_assignments(text, file, config::AssignmentStyle{});
    if (!read.problems.empty()) return permanent(read.problems[0].to_string());
    Rotation rotation;
    for (auto const& each : read.assignments)
        if (!set_value(rotation, each.name, each.value))
            return permanent(
                fmt::format("{}: {} is not understood", each.place.to_string(), printable(each.name)));
    if (!is_complete(rotation)) return permanent(file + " is not a whole rotation");
    return rotation;
}

Result<RotationStore> RotationStore::open(std::string const& directory) {
    std::error_code error;
    if (fs::create_directories(directory, error)) fs::permissions(directory, fs::perms::owner_all, error);
    if (error) return permanent(fmt::format("{}: {}", directory, error.message()));
    net::Descriptor lock(::open((directory + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!lock) return system_error(directory + "/lock", errno, ErrorKind::permanent);
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
        return temporary(fmt::format("another milter-dkim-rotate is at work in {}", directory));
    return RotationStore(directory, std::move(lock));
}

// The old selector is what is unique: a domain has one rotation away from it.
std::string RotationStore::path_of(Rotation const& rotation) const {
    return fmt::format("{}/{}_{}{}", directory_, rotation.domains[0], rotation.old_selector, suffix);
}

Result<std::vector<Rotation>> RotationStore::load() const {
    std::vector<std::string> paths;
    std::error_code error;
    for (auto const& entry : fs::directory_iterator(directory_, error))
        if (entry.path().string().ends_with(suffix)) paths.push_back(entry.path().string());
    if (error && error != std::errc::no_such_file_or_directory)
        return permanent(fmt::format("{}: {}", directory_, error.message()));
    std::ranges::sort(paths);
    std::vector<Rotation> rotations;
    for (auto const& path : paths) {
        auto const text = config::read_file(path);
        if (!text) return std::unexpected(text.error());
        auto rotation = parse_rotation(*text, path);
        if (!rotation) return std::unexpected(rotation.error());
        rotations.push_back(std::move(*rotation));
    }
    return rotations;
}

Result<> RotationStore::save(Rotation const& rotation) const {
    return replace_file(path_of(rotation), rotation_text(rotation));
}

Result<> RotationStore::remove(Rotation const& rotation) const {
    auto const path = path_of(rotation);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return system_error("remove " + path, errno);
    return {};
}

} // namespace postern::milter_dkim::tools
