// A message as scripts see it, and what they want done with it. Lives as long as the message.
#pragma once

#include "common/base/log.h"
#include "common/dns/resolver.h"
#include "common/milter/session.h"
#include "milter-dkim/configuration.h"
#include "milter-dkim/lua/value.h"
#include "milter-dkim/message/message_facts.h"
#include "milter-dkim/message/signature_field.h"
#include "milter-dkim/results/results.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace postern::milter_dkim::lua {

inline constexpr std::size_t max_requests = 20;   // signatures that scripts ask for
inline constexpr std::size_t max_tags = 20;       // xtag()
inline constexpr std::size_t max_exported = 1000; // values
inline constexpr std::size_t max_exported_octets = std::size_t{1024} * 1024;
inline constexpr std::size_t max_replaced = std::size_t{1024} * 1024; // octets, of replace_header()
inline constexpr std::size_t max_opened = 20;                         // data sets
inline constexpr int max_questions = 50;                              // rbl_check()
inline constexpr int max_set_questions = 1000;                        // db_check() of databases
inline constexpr std::size_t max_tag_value = 1000;                    // octets

// One signature of the message.
struct ScriptSignature {
    SignatureField const* field = nullptr;
    SignatureResult const* result = nullptr; // null before the end of the message
};

struct ScriptMessage {
    // What it is.
    Configuration const* configuration = nullptr;
    dns::Resolver* resolver = nullptr;
    Log* log = nullptr;
    MessageFacts facts;
    HeaderList* headers = nullptr; // replace_header() changes it
    std::string envelope_from;     // without angle brackets
    std::string sender_domain;
    std::vector<ScriptSignature> signatures;
    milter::Editor* editor = nullptr; // at the end of the message

    // What is wanted.
    std::vector<SigningRequest> requests;
    bool verifies = false;
    bool tells_length = false;
    std::optional<std::uint64_t> body_limit;
    std::vector<std::pair<std::string, std::string>> tags;
    std::vector<bool> ignored; // of the signatures
    struct Reply {
        std::string code;
        std::string enhanced;
        std::string text;
    };
    std::optional<Reply> reply;
    std::optional<milter::Verdict::Action> result;

    // Between the scripts.
    std::vector<std::pair<std::string, Value>> exported;
    std::size_t exported_octets = 0;
    std::size_t replaced_octets = 0;
    std::vector<std::shared_ptr<DataSet const>> opened;
    std::vector<DataSet const*> silent; // databases that did not answer
    int questions = 0;
    int set_questions = 0;

    // result with the reply, where that fits it.
    milter::Verdict verdict() const;
};

} // namespace postern::milter_dkim::lua
