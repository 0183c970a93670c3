// One key, or every row of a KeyTable.
#include "milter-dkim/tools/testkey.h"

#include "common/base/text.h"
#include "milter-dkim/sign/keys.h"
#include "milter-dkim/tables/data_set.h"
#include "milter-dkim/tables/tables.h"
#include "milter-dkim/tools/published_key.h"
#include "milter-dkim/tools/replace_file.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <optional>
#include <system_error>

namespace postern::milter_dkim::tools {

namespace {

using daemon::OptionSpec;

constexpr OptionSpec options[] = {
    {'d', "", "DOMAIN", "the signing domain"},
    {'k', "", "FILE", "the private key"},
    {'s', "", "NAME", "the selector"},
    {'v', "", "", "say more; -vvv says which keys are good"},
    {'x', "", "FILE", "the opendkim.conf"},
    {0, "help", "", "print this help and exit"},
    {0, "version", "", "print the version and exit"},
};

// What came of one key.
struct Verdict {
    enum class Kind { good, mismatch, failed } kind = Kind::good;
    std::string text;           // why not
    std::optional<bool> secure; // DNSSEC; absent: no record was read
};

Verdict failed(std::string text, std::optional<bool> secure = {}) {
    return {Verdict::Kind::failed, std::move(text), secure};
}

class KeyTester {
  public:
    KeyTester(TestkeyOptions const& choice, Settings const& settings, dns::Resolver& resolver)
        : choice_(choice), settings_(settings), resolver_(resolver) {}

    Outcome one();
    Outcome table();

  private:
    std::optional<std::string> read_key(std::string const& path);
    Verdict test(std::string const& domain, std::string const& selector,
                 std::optional<std::string> const& private_key);
    Verdict compare(std::string_view record, bool secure, std::optional<std::string> const& private_key);
    void table_row(std::size_t number, Row const& row);
    void tell_security(Verdict const& verdict, std::string const& which);
    void say(int verbosity, std::string const& text) {
        if (choice_.verbosity >= verbosity) outcome_.err += fmt::format("{}: {}\n", choice_.program, text);
    }
    void print(int verbosity, std::string const& text) {
        if (choice_.verbosity >= verbosity) outcome_.out += fmt::format("{}: {}\n", choice_.program, text);
    }

    TestkeyOptions const& choice_;
    Settings const& settings_;
    dns::Resolver& resolver_;
    Outcome outcome_;
    int passed_ = 0;
};

// Absent: it has been said why.
std::optional<std::string> KeyTester::read_key(std::string const& path) {
    struct stat found{};
    if (::stat(path.c_str(), &found) != 0) {
        say(0, fmt::format("{}: stat(): {}", path, std::generic_category().message(errno)));
        return std::nullopt;
    }
    if (!S_ISREG(found.st_mode)) {
        say(0, path + ": stat(): not a regular file");
        return std::nullopt;
    }
    if ((found.st_mode & (S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH)) != 0)
        say(0, path + ": WARNING: unsafe permissions");
    auto text = read_text(path);
    if (text) return std::move(*text);
    say(0, text.error().text);
    return std::nullopt;
}

Verdict KeyTester::compare(std::string_view record, bool secure,
                           std::optional<std::string> const& private_key) {
    auto const published = parse_published_key(record);
    if (!published) return failed(published.error().text);
    auto const bits = published_bits(*published);
    if (!private_key)
        return bits ? Verdict{Verdict::Kind::good, {}, secure} : failed(bits.error().text, secure);
    auto const key = SigningKey::parse(*private_key, smallest_rsa_bits);
    if (!key) return failed(key.error().text, secure);
    bool const is_rsa = (*key)->algorithm() == Algorithm::rsa_sha256;
    if (is_rsa != (published->type == KeyType::rsa) || (*key)->public_base64() != published->base64)
        return {Verdict::Kind::mismatch, "keys do not match", secure};
    return {Verdict::Kind::good, {}, secure};
}

Verdict KeyTester::test(std::string const& domain, std::string const& selector,
                        std::optional<std::string> const& private_key) {
    auto const name = fmt::format("{}._domainkey.{}", selector, domain);
    auto const deadline = Deadline::after(settings_.dns_timeout);
    auto const answer = resolver_.lookup(name, dns::RecordType::txt, deadline);
    if (!answer && deadline.expired()) return failed(fmt::format("'{}' query timed out", name));
    if (!answer && answer.error().kind == ErrorKind::malformed) return failed(answer.error().text);
    if (!answer) return failed(fmt::format("'{}' query failed: {}", name, answer.error().text));
    if (!answer->found()) return failed(fmt::format("'{}' record not found", name));
    if (answer->records.size() > 1) return failed(fmt::format("multiple DNS replies for '{}'", name));
    return compare(answer->records[0].data, answer->secure, private_key);
}

void KeyTester::tell_security(Verdict const& verdict, std::string const& which) {
    if (verdict.secure) say(1, fmt::format("key {}{}", which, *verdict.secure ? "secure" : "not secure"));
}

Outcome KeyTester::one() {
    if (choice_.domain.empty() || choice_.selector.empty())
        return {daemon::exit_configuration, {}, testkey_usage(choice_.program)};
    std::optional<std::string> key;
    if (!choice_.key_path.empty()) {
        key = read_key(choice_.key_path);
        if (!key) return {daemon::exit_os_error, {}, outcome_.err};
        say(2, "key loaded from " + choice_.key_path);
    }
    say(2, fmt::format("checking key '{}._domainkey.{}'", choice_.selector, choice_.domain));
    auto const verdict = test(choice_.domain, choice_.selector, key);
    tell_security(verdict, "");
    switch (verdict.kind) {
    case Verdict::Kind::good: print(3, "key OK"); break;
    case Verdict::Kind::mismatch:
        print(0, verdict.text);
        outcome_.code = 65; // EX_DATAERR
        break;
    case Verdict::Kind::failed:
        say(0, verdict.text);
        outcome_.code = daemon::exit_unavailable;
        break;
    }
    return std::move(outcome_);
}

void KeyTester::table_row(std::size_t number, Row const& row) {
    say(2, fmt::format("record {} for '{}' retrieved", number, row.key));
    auto const value = parse_key_row(row.value);
    if (!value) return say(0, fmt::format("key {}: {}", row.key, value.error().text));
    if (value->has_placeholder())
        return say(
            0, fmt::format("key {}: \"%\" stands for many domains: test them with -d, -s and -k", row.key));
    auto const key = value->is_path() ? read_key(value->source) : std::optional(value->source);
    if (!key) return;
    say(2, fmt::format("checking key '{}'", row.key));
    auto const verdict = test(value->domain, value->selector, key);
    if (verdict.kind == Verdict::Kind::good) {
        print(3, fmt::format("key {}: OK", row.key));
        ++passed_;
    } else {
        say(0, fmt::format("key {}: {}", row.key, verdict.text));
    }
    tell_security(verdict, row.key + " ");
}

Outcome KeyTester::table() {
    std::vector<config::Problem> problems;
    auto const table = DataSetOpener().open(choice_.key_table, settings_.place_of("KeyTable"), problems);
    for (auto const& problem : problems) say(0, problem.to_string());
    if (!table) {
        say(0, table.error().text);
        return {daemon::exit_failure, {}, outcome_.err};
    }
    auto const* rows = (*table)->rows();
    if (rows == nullptr || (*table)->has_patterns()) {
        say(0, "invalid data set type");
        return {daemon::exit_failure, {}, outcome_.err};
    }
    for (std::size_t i = 0; i < rows->size(); ++i) table_row(i, (*rows)[i]);
    auto const total = static_cast<int>(rows->size());
    print(1, fmt::format("{} key{} checked; {} pass, {} fail", total, total == 1 ? "" : "s", passed_,
                         total - passed_));
    return std::move(outcome_);
}

} // namespace

std::span<OptionSpec const> testkey_options() { return options; }

std::string testkey_usage(std::string const& program) {
    return fmt::format("{0}: usage: {0} [options]\n"
                       "\t-d domain  \tdomain name\n"
                       "\t-k keypath \tpath to private key\n"
                       "\t-s selector\tselector name\n"
                       "\t-v         \tincrease verbose output\n"
                       "\t-x conffile\tconfiguration file\n",
                       program);
}

TestkeyOptions read_testkey_options(std::string program, daemon::CommandLine const& line,
                                    Settings const& settings) {
    TestkeyOptions read{std::move(program),
                        line.value("d").value_or(settings.domain),
                        line.value("s").value_or(settings.selector),
                        line.value("k").value_or(settings.key_file),
                        settings.key_table,
                        static_cast<int>(line.values("v").size())};
    if (line.has("d") || line.has("s") || line.has("k")) read.key_table.clear();
    return read;
}

Outcome test_keys(TestkeyOptions const& choice, Settings const& settings, dns::Resolver& resolver) {
    KeyTester tester(choice, settings, resolver);
    return choice.key_table.empty() ? tester.one() : tester.table();
}

} // namespace postern::milter_dkim::tools
