// libmilter's callbacks, and its start and end.
#include "common/milter/listening.h"
#include "common/milter/session.h"
#include "common/milter/signal_thread.h"

#include "common/base/text.h"

#include <arpa/inet.h>
#include <libmilter/mfapi.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <csignal>
#include <mutex>
#include <set>
#include <thread>

namespace postern::milter {

namespace {

using Clock = std::chrono::steady_clock;

// After the last callback came back libmilter still writes its answer; it has no hook for "written".
constexpr auto answer_time = std::chrono::milliseconds(60);
// How long libmilter may take to come back from smfi_main once it was woken.
constexpr auto end_time = std::chrono::milliseconds(300);
constexpr unsigned long every_action = 0x1ff;
// How long its signal thread may take to begin waiting; only a signal in the first moment depends on it.
constexpr auto signal_thread_time = std::chrono::milliseconds(500);
constexpr std::size_t max_reply_text = 900; // libmilter refuses above 980 with the codes

struct Connection {
    std::unique_ptr<Session> session;
    bool leading_space = false;
    bool skip_offered = false;
    bool header_answered = true;
    // For this message:
    bool body_skipped = false;             // where the MTA knows no skip
    std::optional<Verdict> header_verdict; // where the MTA waits for none
};

// What the callbacks need. libmilter gives callbacks no closure, so one pointer to it is static; it is never
// freed, since libmilter's threads outlive smfi_main.
struct State {
    State(Negotiation asked, Factory make, Log& to)
        : name(asked.name), factory(std::move(make)), log(to), negotiation(std::move(asked)) {}
    std::string name;
    Factory factory;
    Log& log; // not used once stopping

    std::mutex mutex; // guards what follows
    Negotiation negotiation;
    std::condition_variable changed;
    bool stopping = false;
    bool main_ended = false;
    unsigned running = 0;
    Clock::time_point last_left;
    std::set<Connection*> connections;
    std::set<Connection*> ended; // by stop(): without sessions, for the callbacks that still look at them
};
State* state = nullptr;

// Counts a callback while it runs; refused when the milter stops.
class Running {
  public:
    Running() {
        std::lock_guard const lock(state->mutex);
        admitted_ = !state->stopping;
        if (admitted_) ++state->running;
    }
    ~Running() {
        if (!admitted_) return;
        std::lock_guard const lock(state->mutex);
        --state->running;
        state->last_left = Clock::now();
        state->changed.notify_all();
    }
    Running(Running const&) = delete;
    Running& operator=(Running const&) = delete;
    bool admitted() const { return admitted_; }

  private:
    bool admitted_ = false;
};

class ContextMacros final : public Macros {
  public:
    explicit ContextMacros(SMFICTX* context) : context_(context) {}
    std::optional<std::string> get(std::string_view name) const override {
        char const* value = smfi_getsymval(context_, std::string(name).data());
        if (value == nullptr) return std::nullopt;
        return std::string(value);
    }

  private:
    SMFICTX* context_;
};

class ContextEditor final : public Editor {
  public:
    ContextEditor(SMFICTX* context, bool leading_space) : context_(context), leading_space_(leading_space) {}

    Result<> insert_header(int index, std::string_view name, std::string_view value) override {
        return told(smfi_insheader(context_, index, std::string(name).data(), spaced(value).data()),
                    "insert header", name);
    }
    Result<> add_header(std::string_view name, std::string_view value) override {
        return told(smfi_addheader(context_, std::string(name).data(), spaced(value).data()), "add header",
                    name);
    }
    Result<> change_header(std::string_view name, int index, std::string_view value) override {
        return told(smfi_chgheader(context_, std::string(name).data(), index,
                                   value.empty() ? nullptr : spaced(value).data()),
                    "change header", name);
    }
    Result<> quarantine(std::string_view reason) override {
        return told(smfi_quarantine(context_, std::string(reason).data()), "quarantine", {});
    }
    Result<> add_recipient(std::string_view recipient) override {
        return told(smfi_addrcpt(context_, std::string(recipient).data()), "add recipient", recipient);
    }
    Result<> delete_recipient(std::string_view recipient) override {
        return told(smfi_delrcpt(context_, std::string(recipient).data()), "delete recipient", recipient);
    }
    void progress() override { smfi_progress(context_); }

  private:
    std::string spaced(std::string_view value) const {
        return (leading_space_ ? " " : "") + std::string(value);
    }
    static Result<> told(int answer, std::string_view what, std::string_view name) {
        if (answer == MI_SUCCESS) return {};
        return temporary(fmt::format("the MTA did not take: {} {}", what, printable(name)));
    }

    SMFICTX* context_;
    bool leading_space_;
};

// The MTA formats the text with printf's rules, and it is one line.
std::string reply_text(std::string_view text) {
    std::string out;
    for (char const c : text.substr(0, max_reply_text)) {
        if (c == '%') out += '%';
        out += is_printable(c) ? c : ' ';
    }
    return out;
}

void set_reply(SMFICTX* context, Verdict const& verdict) {
    if (verdict.code.empty()) return;
    auto text = reply_text(verdict.text);
    std::string code = verdict.code;
    std::string enhanced = verdict.enhanced;
    if (smfi_setreply(context, code.data(), enhanced.empty() ? nullptr : enhanced.data(),
                      text.empty() ? nullptr : text.data()) != MI_SUCCESS)
        state->log.warning("reply refused by libmilter: {} {} {}", code, enhanced, text);
}

sfsistat status_of(SMFICTX* context, Connection& connection, Verdict const& verdict) {
    switch (verdict.action) {
    case Verdict::Action::next: return SMFIS_CONTINUE;
    case Verdict::Action::accept: return SMFIS_ACCEPT;
    case Verdict::Action::discard: return SMFIS_DISCARD;
    case Verdict::Action::reject: set_reply(context, verdict); return SMFIS_REJECT;
    case Verdict::Action::tempfail: set_reply(context, verdict); return SMFIS_TEMPFAIL;
    case Verdict::Action::skip:
        if (connection.skip_offered) return SMFIS_SKIP;
        connection.body_skipped = true;
        return SMFIS_CONTINUE;
    }
    return SMFIS_TEMPFAIL;
}

Connection& connection_of(SMFICTX* context) { return *static_cast<Connection*>(smfi_getpriv(context)); }

// Runs one callback of the session; whatever is thrown becomes a temporary failure.
template <class Call>
sfsistat run(SMFICTX* context, std::string_view stage, Call const& call) {
    Running const running;
    if (!running.admitted() || smfi_getpriv(context) == nullptr) return SMFIS_TEMPFAIL;
    auto& connection = connection_of(context);
    try {
        return status_of(context, connection, call(*connection.session));
    } catch (std::exception const& failure) {
        state->log.error("{}: internal error, the message is refused for now: {}", stage, failure.what());
        return SMFIS_TEMPFAIL;
    }
}

bool open_connection(SMFICTX* context, unsigned long steps) {
    auto connection = std::make_unique<Connection>();
    connection->leading_space = (steps & bits::leading_space) != 0;
    connection->skip_offered = (steps & bits::skip) != 0;
    connection->header_answered = (steps & bits::no_header_reply) == 0;
    connection->session = state->factory({connection->leading_space});
    if (smfi_setpriv(context, connection.get()) != MI_SUCCESS) return false;
    std::lock_guard const lock(state->mutex);
    state->connections.insert(connection.release());
    return true;
}

Negotiation negotiation_now() {
    std::lock_guard const lock(state->mutex);
    return state->negotiation;
}

sfsistat on_negotiate(SMFICTX* context, unsigned long actions, unsigned long steps, unsigned long,
                      unsigned long, unsigned long* wanted_actions, unsigned long* wanted_steps,
                      unsigned long* reserved2, unsigned long* reserved3) {
    *reserved2 = *reserved3 = 0;
    auto const asked = negotiation_now();
    *wanted_actions = asked.actions & actions;
    *wanted_steps = asked.wanted_steps & steps;
    Running const running;
    if (!running.admitted()) return SMFIS_CONTINUE; // connect() gives the temporary failure
    // A list of macros is a wish; the other actions are needed.
    if (auto const missing = asked.actions & ~actions & ~bits::set_macro_list; missing != 0) {
        state->log.error("the MTA does not allow the milter actions {:#x}; connection refused", missing);
        return SMFIS_REJECT;
    }
    if ((*wanted_actions & bits::set_macro_list) != 0)
        for (auto const& [stage, names] : asked.macros)
            smfi_setsymlist(context, stage, std::string(names).data());
    try {
        if (open_connection(context, *wanted_steps)) return SMFIS_CONTINUE;
    } catch (std::exception const& failure) {
        state->log.error("negotiation: internal error: {}", failure.what());
    }
    return SMFIS_CONTINUE; // without a session every stage is a temporary failure
}

Client client_of(char const* host, sockaddr const* address) {
    Client client{host == nullptr ? "" : host, {}};
    char text[INET6_ADDRSTRLEN] = "";
    if (address != nullptr && address->sa_family == AF_INET)
        inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in const*>(address)->sin_addr, text, sizeof text);
    if (address != nullptr && address->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &reinterpret_cast<sockaddr_in6 const*>(address)->sin6_addr, text, sizeof text);
    client.address = text;
    return client;
}

sfsistat on_connect(SMFICTX* context, char* host, _SOCK_ADDR* address) {
    return run(context, "connect", [&](Session& session) {
        return session.connect(client_of(host, address), ContextMacros(context));
    });
}

sfsistat on_helo(SMFICTX* context, char* name) {
    return run(context, "helo", [&](Session& session) {
        return session.helo(name == nullptr ? "" : name, ContextMacros(context));
    });
}

sfsistat on_mail(SMFICTX* context, char** arguments) {
    return run(context, "mail", [&](Session& session) {
        connection_of(context).body_skipped = false;
        connection_of(context).header_verdict.reset();
        std::vector<std::string> parameters;
        for (char** each = arguments + 1; arguments[0] != nullptr && *each != nullptr; ++each)
            parameters.emplace_back(*each);
        return session.mail_from(arguments[0] == nullptr ? "" : arguments[0], parameters,
                                 ContextMacros(context));
    });
}

sfsistat on_recipient(SMFICTX* context, char** arguments) {
    return run(context, "rcpt", [&](Session& session) {
        return session.recipient(arguments[0] == nullptr ? "" : arguments[0], ContextMacros(context));
    });
}

sfsistat on_header(SMFICTX* context, char* name, char* value) {
    auto* connection = static_cast<Connection*>(smfi_getpriv(context));
    bool const answered = connection == nullptr || connection->header_answered;
    if (!answered && connection->header_verdict) return SMFIS_NOREPLY;
    auto const status = run(context, "header", [&](Session& session) {
        auto verdict = session.header(name, value, ContextMacros(context));
        if (answered || verdict.action == Verdict::Action::next) return verdict;
        connection->header_verdict = std::move(verdict);
        return Verdict::next();
    });
    if (answered) return status;
    // An exception, or the end of the milter, which keeps away from sessions.
    if (status != SMFIS_CONTINUE && !connection->header_verdict)
        connection->header_verdict = Verdict::tempfail();
    return SMFIS_NOREPLY;
}

sfsistat on_end_of_headers(SMFICTX* context) {
    return run(context, "eoh", [&](Session& session) {
        if (auto const& verdict = connection_of(context).header_verdict) return *verdict;
        return session.end_of_headers(ContextMacros(context));
    });
}

sfsistat on_body(SMFICTX* context, unsigned char* chunk, size_t size) {
    return run(context, "body", [&](Session& session) {
        if (connection_of(context).body_skipped) return Verdict::next();
        return session.body({reinterpret_cast<char const*>(chunk), size});
    });
}

sfsistat on_end_of_message(SMFICTX* context) {
    return run(context, "eom", [&](Session& session) {
        ContextEditor editor(context, connection_of(context).leading_space);
        return session.end_of_message(editor, ContextMacros(context));
    });
}

sfsistat on_abort(SMFICTX* context) {
    run(context, "abort", [&](Session& session) {
        session.abort();
        return Verdict::next();
    });
    return SMFIS_CONTINUE;
}

sfsistat on_close(SMFICTX* context) {
    auto* connection = static_cast<Connection*>(smfi_getpriv(context));
    if (connection == nullptr) return SMFIS_CONTINUE;
    smfi_setpriv(context, nullptr);
    Running const running;
    {
        std::lock_guard const lock(state->mutex);
        // Once it stops, the sessions belong to stop().
        if (!running.admitted() || state->connections.erase(connection) == 0) return SMFIS_CONTINUE;
    }
    delete connection;
    return SMFIS_CONTINUE;
}

smfiDesc description() {
    smfiDesc out{};
    out.xxfi_name = state->name.data(); // libmilter keeps the pointer
    out.xxfi_version = SMFI_VERSION;
    out.xxfi_flags = every_action; // which of them a connection gets is negotiated
    out.xxfi_connect = on_connect;
    out.xxfi_helo = on_helo;
    out.xxfi_envfrom = on_mail;
    out.xxfi_envrcpt = on_recipient;
    out.xxfi_header = on_header;
    out.xxfi_eoh = on_end_of_headers;
    out.xxfi_body = on_body;
    out.xxfi_eom = on_end_of_message;
    out.xxfi_abort = on_abort;
    out.xxfi_close = on_close;
    out.xxfi_negotiate = on_negotiate;
    return out;
}

} // namespace

class Milter::Impl {
  public:
    Impl(int descriptor, int timeout) : descriptor_(descriptor), timeout_(timeout) {}

    Result<> start(HandOver way) {
        if (smfi_register(description()) != MI_SUCCESS)
            return permanent("libmilter refused the registration");
        smfi_settimeout(timeout_);
        smfi_setdbg(negotiation_now().debug_level);
        if (auto handed = hand_over_listener(descriptor_, way); !handed) return handed;
        // libmilter's threads inherit the mask; signals stay with main.
        sigset_t all;
        sigset_t before;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, &before);
        thread_ = std::thread([] {
            auto const answer = smfi_main();
            std::lock_guard const lock(state->mutex);
            state->main_ended = true;
            state->changed.notify_all();
            // Ended without our stop() and without a failure: its signal thread took what was meant for main.
            if (answer == MI_SUCCESS && !state->stopping) ::kill(::getpid(), SIGTERM);
        });
        wait_for_signal_thread(signal_thread_time);
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        return {};
    }

    bool stop(std::chrono::milliseconds grace) {
        if (!thread_.joinable()) return drained_;
        drained_ = drain(grace);
        // smfi_stop() sets its flag, then waits for a mutex that the listener holds while it polls.
        std::thread(smfi_stop).detach();
        // Its threads touch nothing but the State, which stays.
        woken_until_ended() ? thread_.join() : thread_.detach();
        return drained_;
    }

  private:
    // Waits until no callback runs and their answers are written; then the sessions go.
    static bool drain(std::chrono::milliseconds grace) {
        {
            std::unique_lock lock(state->mutex);
            state->stopping = true;
            if (!state->changed.wait_for(lock, grace, [] { return state->running == 0; })) return false;
            state->ended.swap(state->connections);
        }
        std::this_thread::sleep_until(state->last_left + answer_time);
        for (auto* connection : state->ended) connection->session.reset();
        return true;
    }

    bool woken_until_ended() const {
        auto const limit = Clock::now() + end_time;
        std::unique_lock lock(state->mutex);
        while (!state->main_ended && Clock::now() < limit) {
            wake_listener(descriptor_);
            state->changed.wait_for(lock, std::chrono::milliseconds(10));
        }
        return state->main_ended;
    }

    int descriptor_;
    int timeout_;
    std::thread thread_;
    bool drained_ = true;
};

Milter::Milter(int listening_descriptor, Negotiation negotiation, Factory factory, Log& log,
               int timeout_seconds)
    : impl_(std::make_unique<Impl>(listening_descriptor, timeout_seconds)) {
    state = new State(std::move(negotiation), std::move(factory), log);
}

Milter::~Milter() { stop(std::chrono::seconds(1)); }

Result<> Milter::start(HandOver way) { return impl_->start(way); }

void Milter::renegotiate(Negotiation negotiation) {
    std::lock_guard const lock(state->mutex);
    state->negotiation = std::move(negotiation);
}

bool Milter::stop(std::chrono::milliseconds grace) { return impl_->stop(grace); }

bool Milter::ended() const {
    std::lock_guard const lock(state->mutex);
    return state->main_ended;
}

} // namespace postern::milter
