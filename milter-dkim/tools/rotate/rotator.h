// Takes rotations through their steps: key, record, wait, switch, reload, and in the end the old record's p=.
#pragma once

#include "common/base/log.h"
#include "milter-dkim/tools/rotate/authorities.h"
#include "milter-dkim/tools/rotate/key_in_use.h"
#include "milter-dkim/tools/rotate/publisher.h"
#include "milter-dkim/tools/rotate/reloader.h"
#include "milter-dkim/tools/rotate/state.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::milter_dkim::tools {

struct RotatorSettings {
    std::string configuration;               // the opendkim.conf
    std::uint32_t ttl = 3600;                // seconds, of the new record
    std::int64_t keep = 14 * 86400;          // seconds that the old record stays
    std::chrono::seconds step_time{120};     // for the network part of one step
    std::chrono::milliseconds wait{900'000}; // for the name servers, all rotations together
};

// What a rotation works with. All of it outlives the Rotator.
struct Surroundings {
    RotationStore const& store;
    Authorities const& authorities;
    Publisher& publisher;
    Reloader& reloader;
    Log& log;
    std::function<std::int64_t()> now; // Unix time
    std::function<void()> pause;       // between two looks at the name servers
    // Called at every place where a crash could fall between two steps; the tests stop there.
    std::function<void(std::string_view place)> boundary = {};
};

class Rotator {
  public:
    Rotator(RotatorSettings settings, Surroundings surroundings)
        : settings_(std::move(settings)), around_(std::move(surroundings)) {}

    struct Summary {
        std::size_t failed = 0;  // an error that will not go away by itself
        std::size_t waiting = 0; // not everywhere in time; the next run goes on
    };
    // New ones are written down first. Returns when there is nothing left to do now, or the time is over.
    Summary run(std::vector<Rotation> rotations);

  private:
    enum class Outcome { waiting, kept, done };
    struct Work {
        Rotation rotation;
        bool has_published = false; // in this run
        std::string last_wait;      // what was logged about it
    };

    Result<Outcome> advance(Work& work);
    Result<> make_key(Rotation& rotation);
    Result<> check_names_are_free(Rotation const& rotation) const;
    Result<> first_publish(Rotation const& rotation);
    Result<> publish(Rotation const& rotation);
    Result<Outcome> wait_for_record(Work& work);
    Result<> check_new_key(Rotation const& rotation) const;
    Result<> switch_over(Rotation const& rotation);
    Result<> reload(Rotation& rotation);
    Result<Outcome> retire(Work& work);
    Result<bool> is_retired(Rotation const& rotation, std::string const& domain, bool publish_it,
                            std::string& missing);

    Result<> note(Rotation& rotation, RotationStep step);
    Outcome waiting(Work& work, std::string const& why);
    void boundary(std::string_view place) const {
        if (around_.boundary) around_.boundary(place);
    }
    Deadline step_deadline() const { return Deadline::after(settings_.step_time); }

    RotatorSettings settings_;
    Surroundings around_;
};

// The key of the inventory that a rotation is about: still with the old selector, or already with the new
// one.
KeyInUse const* find_key(Inventory const& inventory, Rotation const& rotation, std::string_view selector);

} // namespace postern::milter_dkim::tools
