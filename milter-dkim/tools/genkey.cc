// Options to files.
#include "milter-dkim/tools/genkey.h"

#include "common/base/text.h"
#include "milter-dkim/sign/keys.h"
#include "milter-dkim/tools/replace_file.h"

#include <fmt/format.h>

#include <algorithm>

namespace postern::milter_dkim::tools {

namespace {

using daemon::OptionSpec;

constexpr OptionSpec options[] = {
    {0, "help", "", "print this help and exit"},
    {'V', "version", "", "print the version and exit"},
    {'a', "append-domain", "", "write the domain behind the name in SELECTOR.txt"},
    {'b', "bits", "N", "bits of an RSA key [2048]"},
    {'d', "domain", "NAME", "the domain that will sign [localhost]"},
    {'D', "directory", "DIR", "where the files go [.]"},
    {'h', "hash-algorithms", "LIST", "hashes that may be used with the key, a:b [sha256]"},
    {'n', "note", "TEXT", "a note in the record (n=)"},
    {'r', "restrict", "", "the key is for mail only (s=email)"},
    {'s', "selector", "NAME", "the selector [default]"},
    {'S', "nosubdomains", "", "the key may not sign for subdomains (t=s)"},
    {0, "subdomains", "", "it may: the default"},
    {'t', "testmode", "", "tell verifiers that this is a test (t=y)"},
    {0, "type", "TYPE", "rsa or ed25519 [rsa]"},
    {0, "ed25519", "", "the same as --type ed25519"},
    {0, "hints", "", "print what to publish, SPF and DMARC too [on a terminal]"},
    {0, "nohints", "", "do not"},
    {'v', "verbose", "", "say what is done"},
    {0, "noappend-domain", "", "as without -a"},
    {0, "norestrict", "", "as without -r"},
    {0, "notestmode", "", "as without -t"},
};

bool is_on(daemon::CommandLine const& line, std::string_view name) {
    return line.has(name) && !line.has("no" + std::string(name));
}

// Guides write "-h rsa-sha256", the signature's algorithm, and then have the reader mend the record: a
// verifier finds no hash of that name (RFC 6376 3.6.1) and refuses the key.
std::string hash_names(std::string const& list, std::vector<std::string>& warnings) {
    std::vector<std::string> names;
    for (auto const name : split(list, ':')) {
        bool const is_signature = starts_with_ignoring_case(name, "rsa-");
        if (is_signature)
            warnings.push_back(fmt::format("h= lists hashes: \"{}\" is written as \"{}\"", printable(name),
                                           printable(name.substr(4))));
        names.emplace_back(is_signature ? name.substr(4) : name);
    }
    return join(names, ":");
}

Result<> check_hash_names(std::string_view list) {
    auto const fits = [](char c) { return is_alnum(c) || c == '-' || c == ':'; };
    if (std::ranges::all_of(list, fits)) return {};
    return permanent(fmt::format("\"{}\" is no list of hash algorithms", printable(list)));
}

Result<> read_record_options(daemon::CommandLine const& line, GenkeyOptions& options_read) {
    auto& record = options_read.record;
    if (auto const list = line.value("hash-algorithms"))
        record.hash_algorithms = hash_names(*list, options_read.warnings);
    if (auto good = check_hash_names(record.hash_algorithms); !good) return good;
    record.note = line.value("note");
    record.mail_only = is_on(line, "restrict");
    record.test_mode = is_on(line, "testmode");
    record.no_subdomains = line.has("nosubdomains");
    if (line.has("ed25519")) record.type = KeyType::ed25519;
    if (auto const name = line.value("type")) {
        auto const type = parse_key_type(*name);
        if (!type) return std::unexpected(type.error());
        record.type = *type;
    }
    return {};
}

} // namespace

std::span<OptionSpec const> genkey_options() { return options; }

std::vector<std::string> complete_long_names(std::span<char const* const> arguments,
                                             std::span<OptionSpec const> specs) {
    std::vector<std::string> completed(arguments.begin(), arguments.end());
    for (auto& argument : completed) {
        if (argument == "--") break;
        if (!argument.starts_with("--")) continue;
        auto const end = std::min(argument.find('='), argument.size());
        auto const name = argument.substr(2, end - 2);
        auto const begins = [&](OptionSpec const& spec) { return spec.long_name.starts_with(name); };
        if (std::ranges::find(specs, name, &OptionSpec::long_name) != specs.end()) continue;
        if (std::ranges::count_if(specs, begins) != 1) continue;
        argument.replace(2, name.size(), std::ranges::find_if(specs, begins)->long_name);
    }
    return completed;
}

Result<GenkeyOptions> read_genkey_options(daemon::CommandLine const& line) {
    GenkeyOptions read;
    if (auto const text = line.value("bits")) {
        auto const bits = parse_number<int>(*text);
        if (!bits) return permanent(fmt::format("\"{}\" is no number of bits", printable(*text)));
        read.bits = *bits;
    }
    read.append_domain = is_on(line, "append-domain");
    read.domain = line.value("domain").value_or(read.domain);
    if (read.domain.ends_with('.')) read.domain.pop_back();
    read.directory = line.value("directory").value_or(read.directory);
    read.selector = line.value("selector").value_or(read.selector);
    read.verbosity = static_cast<int>(line.values("verbose").size());
    if (line.has("hints")) read.hints = true;
    if (line.has("nohints")) read.hints = false;
    if (auto good = check_selector(read.selector); !good) return std::unexpected(good.error());
    if (!read.domain.empty())
        if (auto good = check_domain(read.domain); !good) return std::unexpected(good.error());
    if (auto good = read_record_options(line, read); !good) return std::unexpected(good.error());
    if (read.record.type == KeyType::rsa && read.bits < 1024)
        read.warnings.emplace_back("RFC 6376 wants at least 1024 bits; verifiers refuse smaller keys");
    for (auto const& extra : line.operands())
        read.warnings.push_back(fmt::format("\"{}\" is not used", printable(extra)));
    return read;
}

Result<GeneratedKey> generate_key_files(GenkeyOptions const& options) {
    auto const stem = options.directory + "/" + options.selector;
    GeneratedKey made{stem + ".private", stem + ".txt", options.record};
    auto const pem = new_private_key(options.record.type, options.bits);
    if (!pem) return std::unexpected(pem.error());
    auto const key = SigningKey::parse(pem->reveal(), smallest_rsa_bits);
    if (!key) return std::unexpected(key.error());
    made.record.public_key = (*key)->public_base64();

    auto const entry = zone_entry(made.record, options.selector, options.domain, options.append_domain);
    if (auto done = replace_file(made.private_file, pem->reveal()); !done)
        return std::unexpected(done.error());
    if (auto done = replace_file(made.record_file, entry); !done) return std::unexpected(done.error());
    return made;
}

std::string publishing_hints(GenkeyOptions const& options, GeneratedKey const& key) {
    auto const& domain = options.domain;
    return fmt::format("Publish this TXT record; zone files take it from {3}, web forms in one piece:\n"
                       "  {0}._domainkey.{1}\n"
                       "  {4}\n"
                       "Then see that it is there and fits:\n"
                       "  milter-dkim-testkey -d {1} -s {0} -k {2} -vv\n"
                       "If {1} has no SPF record yet (one TXT record that begins with v=spf1, never two):\n"
                       "  {1}.  IN TXT \"v=spf1 mx -all\"\n"
                       "If it has no DMARC record yet: begin with p=none, read the reports, then go to\n"
                       "quarantine and reject:\n"
                       "  _dmarc.{1}.  IN TXT \"v=DMARC1; p=none; rua=mailto:postmaster@{1}\"\n",
                       options.selector, domain, key.private_file, key.record_file, key.record.text());
}

} // namespace postern::milter_dkim::tools
