// Addresses of header fields and of the SMTP envelope.
#include "common/mail/address.h"

#include "common/base/text.h"
#include "common/mail/scanner.h"

#include <algorithm>

namespace postern::mail {

namespace {

// One word of a phrase or of an address, and whether a blank or comment stands before it: "a @b" is no
// address.
struct Token {
    enum class Kind { atom, quoted, literal, special };
    Kind kind;
    std::string text;
    bool separated = false;

    bool is(char c) const { return kind == Kind::special && text.front() == c; }
    bool is_word() const { return kind == Kind::atom || kind == Kind::quoted; }
};
using Tokens = std::vector<Token>;

inline constexpr std::string_view specials = "<>,;:@";

// "[192.0.2.1]", and the "[List name]" that honest display names hold.
Result<std::string> take_bracketed(Scanner& scanner) {
    scanner.take('[');
    auto const inside = scanner.take_while([](char c) { return c != ']' && c != '[' && c != '\\'; });
    if (!scanner.take(']')) return malformed("unbalanced [");
    return "[" + std::string(inside) + "]";
}

// RFC 5321 4.1.3: an address, or a tag and an address.
bool is_domain_literal(std::string_view text) {
    auto const inside = text.substr(1, text.size() - 2);
    return std::ranges::all_of(inside,
                               [](char c) { return is_alnum(c) || c == '.' || c == ':' || c == '-'; });
}

Result<Token> take_token(Scanner& scanner) {
    char const c = scanner.peek();
    if (c == '"') {
        auto text = scanner.quoted_string();
        if (!text) return std::unexpected(std::move(text.error()));
        return Token{Token::Kind::quoted, std::move(*text)};
    }
    if (c == '[') {
        auto text = take_bracketed(scanner);
        if (!text) return std::unexpected(std::move(text.error()));
        return Token{Token::Kind::literal, std::move(*text)};
    }
    if (specials.contains(c) && scanner.take(c)) return Token{Token::Kind::special, std::string(1, c)};
    auto const atom = scanner.take_while([](char each) { return is_atext(each) || each == '.'; });
    if (atom.empty()) return malformed("character that no address may have");
    return Token{Token::Kind::atom, std::string(atom)};
}

Result<Tokens> tokenize(std::string_view value) {
    Tokens tokens;
    Scanner scanner(value);
    while (true) {
        auto const start = scanner.position();
        if (auto skipped = scanner.skip_cfws(); !skipped) return std::unexpected(std::move(skipped.error()));
        if (scanner.at_end()) return tokens;
        bool const separated = scanner.position() != start;
        auto token = take_token(scanner);
        if (!token) return std::unexpected(std::move(token.error()));
        token->separated = separated;
        tokens.push_back(std::move(*token));
    }
}

using Span = std::pair<Tokens::const_iterator, Tokens::const_iterator>;

std::string phrase(Span words) {
    std::string text;
    for (auto it = words.first; it != words.second; ++it) {
        if (it != words.first && it->separated) text += ' ';
        text += it->text;
    }
    return text;
}

bool is_dot_atom(std::string_view text) {
    return !text.empty() && text.front() != '.' && !text.contains("..");
}

// local "@" domain, nothing between. A final dot of the domain is let through: it names the same host.
Result<Mailbox> addr_spec(Span tokens) {
    auto const count = tokens.second - tokens.first;
    auto const* const local = &*tokens.first;
    if (count != 3 || !tokens.first[1].is('@')) return malformed("not an address");
    auto const& domain = tokens.first[2];
    if (tokens.first[1].separated || domain.separated) return malformed("blank or comment inside an address");
    bool const local_is_good =
        local->kind == Token::Kind::quoted ||
        (local->kind == Token::Kind::atom && is_dot_atom(local->text) && !local->text.ends_with('.'));
    bool const domain_is_good = (domain.kind == Token::Kind::literal && is_domain_literal(domain.text)) ||
                                (domain.kind == Token::Kind::atom && is_dot_atom(domain.text));
    if (!local_is_good || !domain_is_good) return malformed("bad local part or domain");
    return Mailbox{{}, local->text, domain.text};
}

// phrase "<" addr-spec ">": the phrase may hold words, dots and (honest mail does it) an unquoted "@".
Result<Mailbox> name_addr(Span tokens, Tokens::const_iterator angle) {
    if (tokens.second - angle < 2 || !std::prev(tokens.second)->is('>')) return malformed("unbalanced <");
    for (auto it = tokens.first; it != angle; ++it)
        if (it->kind == Token::Kind::special && !it->is('@')) return malformed("bad display name");
    auto mailbox = Result<Mailbox>(Mailbox{});
    Span const inner{angle + 1, std::prev(tokens.second)};
    if (inner.second - inner.first == 1 && inner.first->is_word())
        mailbox->local_part = inner.first->text; // <root>
    else if (inner.first != inner.second)
        mailbox = addr_spec(inner);
    else
        return malformed("empty <>");
    if (mailbox) mailbox->display_name = phrase({tokens.first, angle});
    return mailbox;
}

// One element of the list: between commas.
Result<Mailbox> mailbox(Span tokens) {
    auto const angle = std::find_if(tokens.first, tokens.second, [](auto const& t) { return t.is('<'); });
    if (angle != tokens.second) return name_addr(tokens, angle);
    if (std::all_of(tokens.first, tokens.second, [](auto const& t) { return t.is_word(); }))
        return Mailbox{{}, phrase(tokens), {}};
    return addr_spec(tokens);
}

// Splits at commas outside <>, and at the colon and semicolon of groups (RFC 6854 allows them in From).
class ListReader {
  public:
    explicit ListReader(Tokens const& tokens) : tokens_(tokens), start_(tokens.begin()) {}

    Result<std::vector<Mailbox>> read() {
        for (auto it = tokens_.begin(); it != tokens_.end(); ++it)
            if (auto taken = take(it); !taken) return std::unexpected(std::move(taken.error()));
        if (in_group_) return malformed("group without end");
        if (in_angle_) return malformed("unbalanced <");
        if (auto added = add_element(tokens_.end()); !added) return std::unexpected(std::move(added.error()));
        return std::move(mailboxes_);
    }

  private:
    Result<> take(Tokens::const_iterator it) {
        if (it->kind != Token::Kind::special) return {};
        if (it->is('<') && in_angle_) return malformed("unbalanced <");
        if (it->is('>') && !in_angle_) return malformed("unbalanced >");
        if (it->is('<') || it->is('>'))
            in_angle_ = it->is('<');
        else if (in_angle_ && !it->is('@'))
            return malformed("source route or list inside <>");
        else if (it->is(':'))
            return begin_group(it);
        else if (it->is(','))
            return end_element(it);
        else if (it->is(';'))
            return end_group(it);
        return {};
    }

    Result<> begin_group(Tokens::const_iterator colon) {
        bool const named =
            start_ != colon && std::all_of(start_, colon, [](auto const& t) { return t.is_word(); });
        if (in_group_ || !named) return malformed("bad group");
        in_group_ = true;
        start_ = colon + 1;
        return {};
    }

    Result<> end_group(Tokens::const_iterator semicolon) {
        if (!in_group_) return malformed("stray semicolon");
        in_group_ = false;
        if (auto const next = semicolon + 1; next != tokens_.end() && !next->is(','))
            return malformed("text behind a group");
        return end_element(semicolon);
    }

    Result<> end_element(Tokens::const_iterator end) {
        auto added = add_element(end);
        start_ = end + 1;
        return added;
    }

    Result<> add_element(Tokens::const_iterator end) {
        if (start_ == end) return {};
        if (mailboxes_.size() >= max_mailboxes) return malformed("too many mailboxes");
        auto read = mailbox({start_, end});
        if (!read) return std::unexpected(std::move(read.error()));
        mailboxes_.push_back(std::move(*read));
        return {};
    }

    Tokens const& tokens_;
    Tokens::const_iterator start_;
    bool in_group_ = false;
    bool in_angle_ = false;
    std::vector<Mailbox> mailboxes_;
};

} // namespace

std::string Mailbox::address() const { return domain.empty() ? local_part : local_part + "@" + domain; }

Result<std::vector<Mailbox>> parse_mailboxes(std::string_view value) {
    auto const tokens = tokenize(value);
    if (!tokens) return std::unexpected(tokens.error());
    return ListReader(*tokens).read();
}

Result<Mailbox> parse_path(std::string_view path) {
    path = trim(path);
    if (path.starts_with('<')) {
        if (!path.ends_with('>')) return malformed("unbalanced <");
        path = path.substr(1, path.size() - 2);
        if (path.starts_with('@')) {
            auto const colon = path.find(':');
            if (colon == std::string_view::npos) return malformed("source route without address");
            path.remove_prefix(colon + 1);
        }
    }
    if (path.empty()) return Mailbox{};
    auto const tokens = tokenize(path);
    if (!tokens) return std::unexpected(tokens.error());
    if (std::ranges::any_of(*tokens, [](auto const& t) { return t.separated; }))
        return malformed("blank or comment inside an address");
    if (tokens->size() == 1 && tokens->front().is_word()) return Mailbox{{}, tokens->front().text, {}};
    if (tokens->empty()) return malformed("not an address");
    return addr_spec({tokens->begin(), tokens->end()});
}

} // namespace postern::mail
