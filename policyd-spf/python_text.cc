// Python's way to write values.
#include "policyd-spf/python_text.h"

#include "common/base/text.h"

#include <fmt/format.h>

#include <iterator>

namespace postern::policyd_spf {

namespace {

char mark_for(std::string_view text) { return text.contains('\'') && !text.contains('"') ? '"' : '\''; }

} // namespace

std::string quoted(std::string_view text) {
    char const mark = mark_for(text);
    std::string out(1, mark);
    for (char const c : text) {
        if (c == '\\' || c == mark) out += '\\';
        out += c;
    }
    return out + mark;
}

std::string quoted_octets(std::string_view octets) {
    char const mark = mark_for(octets);
    std::string out{'b', mark};
    for (char const c : octets) {
        if (c == '\n')
            out += "\\n";
        else if (c == '\r')
            out += "\\r";
        else if (c == '\t')
            out += "\\t";
        else if (!is_printable(c))
            fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(c));
        else
            out += c == '\\' || c == mark ? std::string{'\\', c} : std::string(1, c);
    }
    return out + mark;
}

std::string python_list(std::vector<std::string> const& texts) {
    std::string out = "[";
    for (auto const& text : texts) out += (out.size() > 1 ? ", " : "") + quoted(text);
    return out + "]";
}

std::string_view python_flag(bool flag) { return flag ? "True" : "False"; }

} // namespace postern::policyd_spf
