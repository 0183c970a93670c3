// Reads the threads' signal masks: sigwait(3) takes the awaited signals out of its thread's mask.
#include "common/milter/signal_thread.h"

#include "common/base/text.h"

#include <signal.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

namespace postern::milter {

namespace {

bool blocks_sigterm(std::filesystem::path const& task) {
    std::ifstream status(task / "status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("SigBlk:")) {
            auto const mask = parse_number<std::uint64_t>(trim(std::string_view(line).substr(7)), 16);
            return mask && (*mask & (std::uint64_t(1) << (SIGTERM - 1))) != 0;
        }
    return true; // gone meanwhile
}

bool is_waiting() {
    auto const main_thread = std::to_string(::getpid());
    std::error_code ignored;
    for (auto const& task : std::filesystem::directory_iterator("/proc/self/task", ignored))
        if (task.path().filename() != main_thread && !blocks_sigterm(task.path())) return true;
    return false;
}

} // namespace

bool wait_for_signal_thread(std::chrono::milliseconds patience) {
    auto const limit = std::chrono::steady_clock::now() + patience;
    while (std::chrono::steady_clock::now() < limit) {
        if (is_waiting()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
}

} // namespace postern::milter
