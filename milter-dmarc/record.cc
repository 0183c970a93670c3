// The DMARC policy record as a value.
#include "milter-dmarc/record.h"

#include "common/base/text.h"

#include <algorithm>

namespace postern::milter_dmarc {

namespace {

// "v=DMARC1" with blanks around "=" and behind; nothing may stand before it. Gives the rest after its ";".
std::optional<std::string_view> behind_version(std::string_view txt) {
    auto const [tag, rest] = halve(txt, ';');
    auto const [name, value] = halve(tag, '=');
    bool const is_version = value && !name.empty() && lower(name.front()) == 'v' &&
                            std::ranges::all_of(name.substr(1), is_blank) && trim(*value) == "DMARC1";
    if (!is_version) return std::nullopt;
    return rest.value_or(std::string_view());
}

std::optional<Policy> parse_policy(std::string_view value) {
    if (equals_ignoring_case(value, "none")) return Policy::none;
    if (equals_ignoring_case(value, "quarantine")) return Policy::quarantine;
    if (equals_ignoring_case(value, "reject")) return Policy::reject;
    return std::nullopt;
}

// RFC 3986 without looking into the scheme's own rules; "," and "!" are percent-encoded in a DMARC URI.
bool is_uri(std::string_view text) {
    auto const [scheme, rest] = halve(text, ':');
    if (!rest || rest->empty() || scheme.empty() || !is_alpha(scheme.front())) return false;
    auto const is_scheme_char = [](char c) { return is_alnum(c) || c == '+' || c == '-' || c == '.'; };
    auto const is_uri_char = [](char c) {
        return is_alnum(c) || std::string_view("-._~:/?#[]@$&'()*+=%").contains(c);
    };
    return std::ranges::all_of(scheme, is_scheme_char) && std::ranges::all_of(*rest, is_uri_char);
}

// "!10m" behind a URI (RFC 7489); reporters of today do not apply it.
std::string_view without_size(std::string_view uri) {
    auto const [before, size] = halve_at_last(uri, '!');
    if (!size || size->empty()) return uri;
    auto digits = *size;
    if (std::string_view("kmgt").contains(lower(digits.back()))) digits.remove_suffix(1);
    return !digits.empty() && std::ranges::all_of(digits, is_digit) ? before : uri;
}

bool is_failure_options(std::string_view value) {
    for (auto const option : split(value, ':')) {
        auto const word = to_lower(trim(option));
        if (word != "0" && word != "1" && word != "d" && word != "s") return false;
    }
    return true;
}

class Reader {
  public:
    Record read(std::string_view tags) {
        std::size_t count = 0;
        for (auto const part : split(tags, ';')) {
            auto const [name, value] = halve(part, '=');
            if (!value) {
                if (!trim(part).empty()) note("part without \"=\"", part);
            } else if (++count > max_record_tags) {
                note("tags behind the limit ignored", {});
                break;
            } else {
                take(to_lower(trim(name)), trim(*value));
            }
        }
        if (bad_policy_ || !has_policy_) replace_policy();
        return std::move(record_);
    }

  private:
    void note(std::string_view what, std::string_view text) {
        if (record_.notes.size() < 10)
            record_.notes.push_back(std::string(what) +
                                    (text.empty() ? "" : ": " + printable(trim(text), 60)));
    }

    void take(std::string const& name, std::string_view value) {
        if (name == "p")
            take_policy(value);
        else if (name == "sp")
            take_subdomain_policy(record_.sp, value);
        else if (name == "np")
            take_subdomain_policy(record_.np, value);
        else if (name == "adkim")
            take_alignment(record_.adkim, value);
        else if (name == "aspf")
            take_alignment(record_.aspf, value);
        else if (name == "psd")
            take_psd(value);
        else if (name == "t")
            take_testing(value);
        else if (name == "pct")
            take_percentage(value);
        else if (name == "rua")
            take_uris(record_.rua, value);
        else if (name == "ruf")
            take_uris(record_.ruf, value);
        else if (name == "fo")
            take_failure_options(value);
        else if (name != "rf" && name != "ri")
            note("unknown tag ignored", name);
    }

    void take_policy(std::string_view value) {
        auto const policy = parse_policy(value);
        has_policy_ = true;
        if (policy)
            record_.p = *policy;
        else
            bad_policy("p", value);
    }

    void take_subdomain_policy(std::optional<Policy>& where, std::string_view value) {
        where = parse_policy(value);
        if (!where) bad_policy("sp or np", value);
    }

    void bad_policy(std::string_view tag, std::string_view value) {
        bad_policy_ = true;
        note("bad value of " + std::string(tag), value);
    }

    // RFC 9989 4.10.1: one bad policy tag spoils all three.
    void replace_policy() {
        if (!has_policy_) note("no p", {});
        record_.verdict = record_.rua.empty() ? Record::Verdict::unusable : Record::Verdict::monitoring;
        record_.p = Policy::none;
        record_.sp.reset();
        record_.np.reset();
    }

    void take_alignment(Alignment& where, std::string_view value) {
        where = equals_ignoring_case(value, "s") ? Alignment::strict : Alignment::relaxed;
        if (where == Alignment::relaxed && !equals_ignoring_case(value, "r")) note("bad alignment", value);
    }

    void take_psd(std::string_view value) {
        record_.psd = equals_ignoring_case(value, "y")   ? PublicSuffixFlag::yes
                      : equals_ignoring_case(value, "n") ? PublicSuffixFlag::no
                                                         : PublicSuffixFlag::unknown;
        if (record_.psd == PublicSuffixFlag::unknown && !equals_ignoring_case(value, "u"))
            note("bad value of psd", value);
    }

    void take_testing(std::string_view value) {
        record_.testing = equals_ignoring_case(value, "y");
        if (!record_.testing && !equals_ignoring_case(value, "n")) note("bad value of t", value);
    }

    void take_percentage(std::string_view value) {
        auto const number = parse_number<int>(value);
        record_.pct = number && *number >= 0 && *number <= 100 ? *number : 100;
    }

    void take_uris(std::vector<std::string>& where, std::string_view value) {
        where.clear();
        for (auto const each : split(value, ',')) {
            auto const uri = without_size(trim(each));
            if (is_uri(uri))
                where.emplace_back(uri);
            else
                note("malformed report address", each);
        }
    }

    void take_failure_options(std::string_view value) {
        bool const good = is_failure_options(value);
        record_.fo = good ? to_lower(value) : "0";
        if (!good) note("bad value of fo", value);
    }

    Record record_;
    bool has_policy_ = false;
    bool bad_policy_ = false;
};

} // namespace

std::string_view to_string(Policy policy) {
    switch (policy) {
    case Policy::none: return "none";
    case Policy::quarantine: return "quarantine";
    case Policy::reject: return "reject";
    }
    return {};
}

std::optional<Record> parse_record(std::string_view txt) {
    auto const tags = behind_version(txt.substr(0, max_record_octets));
    if (!tags) return std::nullopt;
    return Reader().read(*tags);
}

} // namespace postern::milter_dmarc
