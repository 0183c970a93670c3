// The Engine on libspf2, which sees nothing that a stranger wrote.
//
// It gets text made here: canonical ip4 and ip6 terms, "all", and for every term that asks the DNS an
// "exists:" of a marker name, whose A lookup comes back to our matcher. No macro, no exp=, no redirect, no
// include, no record of the DNS and no name that anybody chose ever reaches it (CVE-2023-42118 and the rest).
#include "common/spf/engine.h"

#include "common/base/text.h"

extern "C" {
#include <netinet/in.h>
#include <sys/types.h>
#include <time.h>

#include <arpa/nameser.h>
#include <netdb.h>
#define HAVE_NS_TYPE
#include <spf2/spf.h>
#include <spf2/spf_dns_rr.h>
}

#include <fmt/format.h>

#include <cstdlib>
#include <exception>
#include <string>
#include <utility>
#include <vector>

namespace postern::spf {

namespace {

// Compiled mechanisms beyond 511 octets are dropped without an error, "-all" included: a record is walked in
// pieces that stay well below.
constexpr std::size_t piece_limit = 400;
constexpr std::size_t compiled_exists = 40; // headers and a marker of at most 24 octets
constexpr std::size_t compiled_ip4 = 8;
constexpr std::size_t compiled_ip6 = 20;
// libspf2 counts DNS mechanisms by itself; ours is the count that matters (the whole check, not one record).
constexpr int uncounted = 1'000'000;

template <auto release>
struct Release {
    template <class T>
    void operator()(T* handle) const {
        release(handle);
    }
};
using Server = std::unique_ptr<SPF_server_t, Release<SPF_server_free>>;
using Request = std::unique_ptr<SPF_request_t, Release<SPF_request_free>>;
using Response = std::unique_ptr<SPF_response_t, Release<SPF_response_free>>;
using Compiled = std::unique_ptr<SPF_record_t, Release<SPF_record_free>>;
using Reply = std::unique_ptr<SPF_dns_rr_t, Release<SPF_dns_rr_free>>;

struct Piece {
    std::string record = "v=spf1";
    std::size_t compiled = 0;

    void add(Qualifier qualifier, std::string_view mechanism, std::size_t size) {
        record += fmt::format(" {}{}", qualifier_sign(qualifier), mechanism);
        compiled += size;
    }
};

// A prefix of 0 is a syntax error to libspf2: the network is given as its two halves.
void add_network(Piece& piece, Term const& term) {
    bool const v4 = term.mechanism == Mechanism::ip4;
    auto const prefix = v4 ? term.prefix4 : term.prefix6;
    auto const size = v4 ? compiled_ip4 : compiled_ip6;
    auto const* const name = v4 ? "ip4" : "ip6";
    if (prefix != 0) {
        auto const network = term.network->network(prefix).to_string();
        piece.add(term.qualifier, fmt::format("{}:{}/{}", name, network, prefix), size);
        return;
    }
    for (auto const* half : {v4 ? "0.0.0.0" : "::", v4 ? "128.0.0.0" : "8000::"})
        piece.add(term.qualifier, fmt::format("{}:{}/1", name, half), size);
}

std::vector<Piece> pieces_of(std::span<Term const> terms) {
    std::vector<Piece> pieces(1);
    for (std::size_t i = 0; i < terms.size(); ++i) {
        if (pieces.back().compiled + compiled_exists > piece_limit) pieces.emplace_back();
        auto const& term = terms[i];
        switch (term.mechanism) {
        case Mechanism::all: pieces.back().add(term.qualifier, "all", 4); return pieces; // RFC 7208 5.1
        case Mechanism::ip4:
        case Mechanism::ip6: add_network(pieces.back(), term); break;
        case Mechanism::include:
        case Mechanism::a:
        case Mechanism::mx:
        case Mechanism::ptr:
        case Mechanism::exists:
            pieces.back().add(term.qualifier, fmt::format("exists:t{}.postern", i), compiled_exists);
            break;
        }
    }
    return pieces;
}

// Made here and not by SPF_server_new_dns(), which aborts the process on a host name of 64 octets. What the
// walk reads of it is the layer, the limits, and the two texts for an explanation that nobody looks at.
Server make_server(SPF_dns_server_t& layer) {
    Server server(static_cast<SPF_server_t*>(std::calloc(1, sizeof(SPF_server_t))));
    if (!server) return server;
    server->resolver = &layer;
    server->max_dns_mech = uncounted;
    server->max_dns_ptr = uncounted;
    server->max_dns_mx = uncounted;
    SPF_response_t* raw = nullptr;
    bool const good = SPF_server_set_rec_dom(server.get(), "receiver.postern") == SPF_E_SUCCESS &&
                      SPF_server_set_explanation(server.get(), "none", &raw) == SPF_E_SUCCESS;
    Response const response(raw);
    return good ? std::move(server) : Server();
}

// What the lookup callback needs; libspf2 carries the pointer in the DNS layer's hook.
struct Walk {
    std::span<Term const> terms;
    TermMatcher const& matches;
    std::optional<Error> error;
    std::exception_ptr thrown;
    Reply spare; // libspf2 aborts the process on a null reply: this one is there when memory is not

    Result<bool> match(std::string_view marker);
};

Result<bool> Walk::match(std::string_view marker) {
    auto const number = halve(marker, '.').before;
    auto const index = parse_number<std::size_t>(number.starts_with('t') ? number.substr(1) : number);
    if (!index || *index >= terms.size()) return temporary("libspf2 asks for " + printable(marker));
    return matches(terms[*index]);
}

SPF_dns_rr_t* lookup(SPF_dns_server_t* layer, char const* domain, ns_type type, int) {
    auto& walk = *static_cast<Walk*>(layer->hook);
    SPF_dns_stat_t status = TRY_AGAIN; // ends the walk
    try {
        if (!walk.error && !walk.thrown) {
            auto matched = walk.match(domain);
            if (matched)
                status = *matched ? NETDB_SUCCESS : HOST_NOT_FOUND;
            else
                walk.error = std::move(matched.error());
        }
    } catch (...) {
        walk.thrown = std::current_exception();
    }
    Reply reply(SPF_dns_rr_new_init(layer, domain, type, 0, status));
    bool const one = status == NETDB_SUCCESS;
    if (reply && one && SPF_dns_rr_buf_realloc(reply.get(), 0, sizeof(SPF_dns_rr_data_t)) != SPF_E_SUCCESS)
        reply.reset();
    if (!reply) {
        if (!walk.error) walk.error = Error{ErrorKind::temporary, "no memory"};
        return walk.spare.release();
    }
    if (one) reply->num_rr = 1; // that there is an address says yes
    return reply.release();
}

Request make_request(SPF_server_t* server, IpAddress const& client) {
    Request request(SPF_request_new(server));
    if (!request) return request;
    if (client.is_v4()) {
        in_addr address{};
        client.octets().copy(reinterpret_cast<char*>(&address), sizeof address);
        SPF_request_set_ipv4(request.get(), address);
    } else {
        in6_addr address{};
        client.octets().copy(reinterpret_cast<char*>(&address), sizeof address);
        SPF_request_set_ipv6(request.get(), address);
    }
    SPF_request_set_helo_dom(request.get(), "helo.postern");
    SPF_request_set_env_from(request.get(), "sender@from.postern");
    request->cur_dom = "from.postern";
    return request;
}

Result<Qualifier> qualifier_of(SPF_result_t result) {
    switch (result) {
    case SPF_RESULT_PASS: return Qualifier::pass;
    case SPF_RESULT_FAIL: return Qualifier::fail;
    case SPF_RESULT_SOFTFAIL: return Qualifier::softfail;
    case SPF_RESULT_NEUTRAL: return Qualifier::neutral;
    case SPF_RESULT_INVALID:
    case SPF_RESULT_NONE:
    case SPF_RESULT_TEMPERROR:
    case SPF_RESULT_PERMERROR: break;
    }
    return temporary(fmt::format("libspf2: {}", SPF_strresult(result)));
}

class Libspf2Engine final : public Engine {
  public:
    Result<std::optional<Qualifier>> walk(std::span<Term const> terms, IpAddress const& client,
                                          TermMatcher const& matches) const override;

  private:
    static Result<std::optional<Qualifier>> walk_piece(Piece const& piece, SPF_server_t* server,
                                                       SPF_request_t* request);
};

Result<std::optional<Qualifier>> Libspf2Engine::walk(std::span<Term const> terms, IpAddress const& client,
                                                     TermMatcher const& matches) const {
    Walk walk{terms, matches, {}, {}, Reply(SPF_dns_rr_new_init(nullptr, "", ns_t_a, 0, TRY_AGAIN))};
    SPF_dns_server_t layer{};
    layer.lookup = &lookup;
    layer.name = "postern";
    layer.hook = &walk;
    auto const server = make_server(layer); // it does not own a layer without destroy
    if (!server || !walk.spare) return temporary("no memory");
    auto const request = make_request(server.get(), client);
    if (!request) return temporary("no memory");
    for (auto const& piece : pieces_of(terms)) {
        auto decided = walk_piece(piece, server.get(), request.get());
        if (walk.thrown) std::rethrow_exception(walk.thrown);
        if (walk.error) return std::unexpected(std::move(*walk.error));
        if (!decided || *decided) return decided;
    }
    return std::nullopt;
}

Result<std::optional<Qualifier>> Libspf2Engine::walk_piece(Piece const& piece, SPF_server_t* server,
                                                           SPF_request_t* request) {
    Response const response(SPF_response_new(request));
    if (!response) return temporary("no memory");
    SPF_record_t* raw = nullptr;
    auto const error = SPF_record_compile(server, response.get(), &raw, piece.record.c_str());
    Compiled const compiled(raw);
    if (error != SPF_E_SUCCESS || !compiled)
        return temporary(
            fmt::format("libspf2 does not compile \"{}\": {}", piece.record, SPF_strerror(error)));
    response->spf_record_exp = compiled.get();
    SPF_record_interpret(compiled.get(), request, response.get(), 0);
    if (SPF_response_reason(response.get()) == SPF_REASON_DEFAULT) return std::nullopt;
    auto const qualifier = qualifier_of(SPF_response_result(response.get()));
    if (!qualifier) return std::unexpected(qualifier.error());
    return *qualifier;
}

} // namespace

std::unique_ptr<Engine> make_libspf2_engine() { return std::make_unique<Libspf2Engine>(); }

} // namespace postern::spf
