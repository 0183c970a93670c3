// The daemon's own signer and verifier on a message from standard input.
#include "milter-dkim/tools/testmsg.h"

#include "common/base/log.h"
#include "common/base/text.h"
#include "milter-dkim/message/sender.h"
#include "milter-dkim/rehearse/rehearsal.h"
#include "milter-dkim/sign/keys.h"
#include "milter-dkim/sign/signer.h"
#include "milter-dkim/tools/new_key.h"
#include "milter-dkim/tools/replace_file.h"
#include "milter-dkim/verify/verifier.h"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

namespace postern::milter_dkim::tools {

namespace {

using daemon::OptionSpec;

constexpr OptionSpec options[] = {
    {'C', "", "", "end the lines of the signature with CRLF"},
    {'d', "", "DOMAIN", "the signing domain"},
    {'K', "", "", "accepted: there are no temporary files to keep"},
    {'k', "", "FILE", "the private key"},
    {'s', "", "NAME", "the selector"},
    {'t', "", "DIR", "accepted: there are no temporary files"},
    {'x', "", "FILE", "verify with this opendkim.conf"},
    {0, "help", "", "print this help and exit"},
    {0, "version", "", "print the version and exit"},
};

Outcome failure(TestmsgOptions const& choice, std::string_view step, std::string_view why) {
    return {daemon::exit_software, {}, fmt::format("{}: {}: {}\n", choice.program, step, why)};
}

// A message without From cannot be judged or signed (RFC 6376 5.4).
Result<RehearsedMessage> read_message(std::string_view text) {
    auto message = RehearsedMessage::parse(text);
    if (message && find_header(message->headers, "From") == nullptr) return permanent("no From field");
    return message;
}

// The defaults of an empty opendkim.conf.
std::shared_ptr<Configuration const> default_configuration() {
    NullLog log;
    std::vector<config::Problem> problems;
    return Configuration::make(Settings(), DataSetOpener(), log, problems);
}

// In libopendkim's words.
std::string_view words_for(Verifier::Outcome outcome) {
    switch (outcome) {
    case Verifier::Outcome::good: return "Success";
    case Verifier::Outcome::no_signature: return "No signature";
    case Verifier::Outcome::bad_signature: return "Bad signature";
    case Verifier::Outcome::key_not_found: return "No key";
    case Verifier::Outcome::dns_error: return "Key retrieval failed";
    case Verifier::Outcome::tolerated: // not with these settings
    case Verifier::Outcome::internal_error: break;
    }
    return "Internal error";
}

} // namespace

std::span<OptionSpec const> testmsg_options() { return options; }

std::string testmsg_usage(std::string const& program) {
    return fmt::format("{0}: usage: {0} [options]\nValid options:\n"
                       "\t-C         \tpreserve CRLFs\n"
                       "\t-d domain  \tset signing domain\n"
                       "\t-K         \tkeep temporary files\n"
                       "\t-k keyfile \tprivate key file\n"
                       "\t-s selector\tset signing selector\n"
                       "\t-t path    \tdirectory for temporary files\n",
                       program);
}

Outcome sign_message(TestmsgOptions const& choice, std::string_view text) {
    auto const pem = read_text(choice.key_path);
    if (!pem) return {daemon::exit_os_error, {}, fmt::format("{}: {}\n", choice.program, pem.error().text)};
    auto const key = SigningKey::parse(*pem, smallest_rsa_bits);
    if (!key) return failure(choice, choice.key_path, key.error().text);
    auto const message = read_message(text);
    if (!message) return failure(choice, "Syntax error", message.error().text);
    SigningOptions how;
    how.canonicalization = {CanonicalForm::relaxed, CanonicalForm::simple};
    auto const configuration = default_configuration();
    Signer signer({{choice.domain, choice.selector, {}, *key}}, how, configuration->headers,
                  message->headers);
    signer.body(message->body);
    auto const signatures = signer.finish(choice.now);
    if (!signatures) return failure(choice, "signing", signatures.error().text);
    auto field = fmt::format("DKIM-Signature: {}\n", (*signatures)[0].value);
    if (choice.keeps_crlf) field = replace_all(field, "\n", "\r\n");
    return {daemon::exit_ok, field + std::string(text), {}};
}

Outcome verify_message(TestmsgOptions const& choice, std::string_view text, dns::Resolver& resolver) {
    auto const message = read_message(text);
    if (!message) return failure(choice, "Syntax error", message.error().text);
    auto const configuration = default_configuration();
    Verifier verifier(*configuration, resolver, message->headers, {});
    if (!verifier.has_signatures())
        return failure(choice, "verifying", words_for(Verifier::Outcome::no_signature));
    verifier.body(message->body);
    auto const results = verifier.finish();
    if (verifier.outcome() == Verifier::Outcome::good) return {};
    std::string why(words_for(verifier.outcome()));
    for (auto const& result : results)
        why += fmt::format("; s={} d={} {}{}", printable(result.selector), printable(result.domain),
                           to_string(result.kind), result.reason.empty() ? "" : ": " + result.reason);
    return failure(choice, "verifying", why);
}

} // namespace postern::milter_dkim::tools
