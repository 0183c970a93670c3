// Runs a fuzz target without a fuzzer: every seed, every prefix of it, and a fixed series of small damages to
// it.
#include "tests/fuzz/fuzz.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

namespace {

constexpr std::size_t max_prefixes = 600; // per seed, so that a large seed does not take minutes
constexpr int damages = 400;              // per seed

void run(std::string const& input) {
    LLVMFuzzerTestOneInput(reinterpret_cast<std::uint8_t const*>(input.data()), input.size());
}

std::string read(std::filesystem::path const& path) {
    std::ostringstream out;
    out << std::ifstream(path, std::ios::binary).rdbuf();
    return out.str();
}

// The same damages in every run: the generator's seed is the input's length.
void run_damaged(std::string const& seed) {
    std::mt19937 random(static_cast<unsigned>(seed.size()));
    for (int i = 0; i < damages; ++i) {
        auto damaged = seed;
        for (unsigned edits = 1 + random() % 4; edits > 0; --edits) {
            auto const at = damaged.empty() ? 0 : random() % damaged.size();
            switch (random() % 4) {
            case 0:
                damaged.insert(damaged.begin() + static_cast<std::ptrdiff_t>(at),
                               static_cast<char>(random()));
                break;
            case 1:
                if (!damaged.empty()) damaged.erase(at, 1 + random() % 8);
                break;
            case 2:
                if (!damaged.empty()) damaged[at] = static_cast<char>(random());
                break;
            default: damaged.insert(at, damaged.substr(at, random() % 32)); break;
            }
        }
        run(damaged);
    }
}

} // namespace

int main(int argc, char** argv) {
    unsigned long seeds = 0;
    run("");
    for (int i = 1; i < argc; ++i) {
        std::vector<std::filesystem::path> files;
        if (std::filesystem::is_directory(argv[i]))
            for (auto const& entry : std::filesystem::directory_iterator(argv[i]))
                files.push_back(entry.path());
        std::ranges::sort(files);
        for (auto const& file : files) {
            auto const seed = read(file);
            run(seed);
            auto const step = std::max<std::size_t>(1, seed.size() / max_prefixes);
            for (std::size_t size = 0; size < seed.size(); size += step) run(seed.substr(0, size));
            run_damaged(seed);
            ++seeds;
        }
    }
    std::printf("cases: %lu passed, 0 failed\n", seeds);
    if (seeds == 0) std::fprintf(stderr, "no seeds in the given directories\n");
    return seeds == 0 ? 1 : 0;
}
