// What is remembered of each rotation between two runs, one small file each, written before and after each
// step.
#pragma once

#include "common/base/error.h"
#include "common/net/descriptor.h"
#include "milter-dkim/tools/new_key.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace postern::milter_dkim::tools {

// How far a rotation has come. Each step can be done again, so a crash between a step and its note is
// harmless.
enum class RotationStep {
    planned,   // selector and path are chosen
    key_made,  // the private key is on disk
    published, // the record has been given to the DNS
    switched,  // the configuration names the new key
    reloaded,  // the daemon has been told; the old record is kept until retire_at
};
std::string_view to_string(RotationStep step);

struct Rotation {
    RotationStep step = RotationStep::planned;
    std::vector<std::string> domains;
    std::string old_selector;
    std::string new_selector;
    KeyType old_type = KeyType::rsa;
    KeyType new_type = KeyType::rsa;
    int bits = 2048;          // of a new RSA key
    std::string old_key_file; // empty: the key stood in its row
    std::string new_key_file;
    std::string record;         // what is published; known from key_made on
    std::int64_t retire_at = 0; // Unix time; known from reloaded on

    std::string record_name(std::string_view domain) const; // of the new key
    std::string old_record_name(std::string_view domain) const;
    bool is_unfinished() const { return step != RotationStep::reloaded; } // the old key may still sign
};

std::string rotation_text(Rotation const& rotation);
Result<Rotation> parse_rotation(std::string_view text, std::string const& file);

class RotationStore {
  public:
    // Makes the directory (0700) and locks it: two runs at once are an error, kind temporary.
    static Result<RotationStore> open(std::string const& directory);
    // Without a lock or a directory, to look at.
    static RotationStore for_reading(std::string const& directory) { return RotationStore(directory, {}); }

    Result<std::vector<Rotation>> load() const; // by name
    Result<> save(Rotation const& rotation) const;
    Result<> remove(Rotation const& rotation) const;

  private:
    RotationStore(std::string directory, net::Descriptor lock)
        : directory_(std::move(directory)), lock_(std::move(lock)) {}
    std::string path_of(Rotation const& rotation) const;

    std::string directory_;
    net::Descriptor lock_;
};

} // namespace postern::milter_dkim::tools
