// A child of Dovecot's master process: its environment, its status pipe, its log, its end.
#include "auth-socket/dovecot_master.h"

#include "common/base/text.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include <arpa/inet.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace postern::auth_socket {

namespace {

// More listeners than any service auth has; the master numbers them from 0.
constexpr std::uint32_t max_sockets = 256;

InheritedSocket read_socket(std::string_view settings) {
    InheritedSocket socket;
    auto const words = split(settings, '\t');
    socket.name = words[0];
    for (auto const word : words)
        if (word.starts_with("type=")) socket.type = word.substr(5);
    return socket;
}

// Dovecot's order of levels, each one more in the octet: debug, info, warning, error, fatal.
char level_octet(LogLevel level) {
    switch (level) {
    case LogLevel::debug: return 1;
    case LogLevel::info:
    case LogLevel::notice: return 2;
    case LogLevel::warning: return 3;
    case LogLevel::error:
    case LogLevel::critical: return 4;
    }
    return 4;
}

// vsz_limit (256 MB where nothing is said) is made for Dovecot's auth, which has no threads: their stacks,
// and the address space that malloc(3) reserves for each of them, would exceed it.
void live_with_little_address_space() {
    rlimit const unlimited{RLIM_INFINITY, RLIM_INFINITY};
    if (::setrlimit(RLIMIT_AS, &unlimited) == 0 && ::setrlimit(RLIMIT_DATA, &unlimited) == 0) return;
    constexpr std::size_t stack_size = std::size_t{512} << 10;
    pthread_attr_t attributes;
    if (::pthread_attr_init(&attributes) != 0) return;
    ::pthread_attr_setstacksize(&attributes, stack_size);
    ::pthread_setattr_default_np(&attributes);
    ::pthread_attr_destroy(&attributes);
    ::mallopt(M_ARENA_MAX, 1);
}

} // namespace

std::string MasterEnvironment::dovecot_conf() const {
    auto const slash = config_file.rfind('/');
    if (slash == std::string::npos) return config_file;
    auto const beside = config_file.substr(0, slash) + "/dovecot.conf";
    auto const is_socket = config_file.substr(slash + 1) == "config";
    return is_socket ? beside : config_file;
}

Result<std::optional<MasterEnvironment>> read_master_environment(EnvironmentReader const& variable) {
    auto const text = [&](std::string const& name) -> std::string {
        auto const* value = variable(name.c_str());
        return value == nullptr ? "" : value;
    };
    if (text("DOVECOT_CHILD_PROCESS").empty() || text("GENERATION").empty())
        return std::optional<MasterEnvironment>();
    auto const generation = parse_number<std::uint32_t>(text("GENERATION"));
    auto const client_limit = parse_number<std::uint32_t>(text("CLIENT_LIMIT"));
    auto const count = parse_number<std::uint32_t>(text("SOCKET_COUNT"));
    if (!generation || !client_limit || !count || *count > max_sockets)
        return permanent("Dovecot's GENERATION, CLIENT_LIMIT and SOCKET_COUNT are not numbers");
    MasterEnvironment environment{*generation, *client_limit, text("CONFIG_FILE"), {}};
    for (std::uint32_t i = 0; i < *count; ++i)
        environment.sockets.push_back(read_socket(text(fmt::format("SOCKET{}_SETTINGS", i))));
    return std::optional(std::move(environment));
}

Result<net::Address> bound_address(int descriptor) {
    sockaddr_storage name{};
    socklen_t size = sizeof name;
    if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&name), &size) != 0)
        return system_error("getsockname", errno, ErrorKind::permanent);
    net::Address address;
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (name.ss_family == AF_UNIX) {
        auto const& path = reinterpret_cast<sockaddr_un const&>(name).sun_path;
        address.path.assign(path, ::strnlen(path, sizeof path));
    } else if (name.ss_family == AF_INET) {
        auto const& inet = reinterpret_cast<sockaddr_in const&>(name);
        address.kind = net::Address::Kind::inet;
        address.host = ::inet_ntop(AF_INET, &inet.sin_addr, text.data(), text.size());
        address.port = ntohs(inet.sin_port);
    } else if (name.ss_family == AF_INET6) {
        auto const& inet6 = reinterpret_cast<sockaddr_in6 const&>(name);
        address.kind = net::Address::Kind::inet6;
        address.host = ::inet_ntop(AF_INET6, &inet6.sin6_addr, text.data(), text.size());
        address.port = ntohs(inet6.sin6_port);
    } else {
        return permanent("neither a Unix nor an internet socket");
    }
    return address;
}

std::string status_report(std::uint32_t pid, std::uint32_t generation, std::uint32_t available) {
    std::array const numbers{pid, generation, available};
    return {reinterpret_cast<char const*>(numbers.data()), sizeof numbers};
}

std::string MasterLog::line(LogLevel level, std::uint32_t pid, std::string_view text) {
    constexpr std::size_t max_text = 2000;
    if (text.starts_with("auth: ")) text.remove_prefix(6);
    return fmt::format("\x01{}{} {}\n", level_octet(level), pid, text.substr(0, max_text));
}

void MasterLog::put(LogLevel level, std::string_view text) {
    auto const whole = line(level, static_cast<std::uint32_t>(getpid()), text);
    [[maybe_unused]] auto const written = ::write(STDERR_FILENO, whole.data(), whole.size());
}

void report_in_log(std::vector<config::Problem> const& problems, Log& log) {
    for (auto const& problem : problems)
        log.write(problem.severity == config::Problem::Severity::error ? LogLevel::error : LogLevel::warning,
                  problem.to_string());
}

void settle_as_child_of_master() {
    for (auto const* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"})
        ::unsetenv(name);
    ::signal(SIGQUIT, SIG_IGN);
    live_with_little_address_space();
    for (auto const descriptor : {master_status_descriptor, master_dead_descriptor})
        ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
}

MasterLink::~MasterLink() {
    stop_.wake();
    if (watcher_.joinable()) watcher_.join();
}

void MasterLink::start(Log& log) {
    auto const report = status_report(static_cast<std::uint32_t>(getpid()), environment_.generation,
                                      environment_.client_limit);
    if (::write(master_status_descriptor, report.data(), report.size()) < 0)
        log.error("auth: Dovecot's master cannot be told that auth-socket serves: {}",
                  system_error("status", errno).error().text);
    watcher_ = std::thread([this] { watch(); });
}

// The master holds the pipe's reading end: when that is closed, poll(2) reports an error on ours.
void MasterLink::watch() const {
    std::array<pollfd, 2> waiting{{{master_dead_descriptor, 0, 0}, {stop_.descriptor(), POLLIN, 0}}};
    while (::poll(waiting.data(), waiting.size(), -1) < 0 && errno == EINTR) {
    }
    if (waiting[1].revents == 0) ::kill(getpid(), SIGTERM);
}

} // namespace postern::auth_socket
