// The stream of an LMTP connection, taken apart.
#include "lmtp-deliver/protocol.h"

#include "common/base/text.h"

#include <algorithm>
#include <utility>

namespace postern::lmtp_deliver {

namespace {

std::size_t sequence_length(unsigned char first) {
    if (first < 0x80) return 1;
    if (first >= 0xc2 && first <= 0xdf) return 2;
    if (first >= 0xe0 && first <= 0xef) return 3;
    if (first >= 0xf0 && first <= 0xf4) return 4;
    return 0;
}

// RFC 3629 4: the second octet rules out overlong forms, surrogates and what lies above U+10FFFF.
bool second_octet_fits(unsigned char first, unsigned char second) {
    switch (first) {
    case 0xe0: return second >= 0xa0;
    case 0xed: return second <= 0x9f;
    case 0xf0: return second >= 0x90;
    case 0xf4: return second <= 0x8f;
    default: return true;
    }
}

bool has_controls(std::string_view text) {
    return std::ranges::any_of(text,
                               [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

} // namespace

bool is_utf8(std::string_view text) {
    for (std::size_t i = 0; i < text.size();) {
        auto const first = static_cast<unsigned char>(text[i]);
        auto const length = sequence_length(first);
        if (length == 0 || text.size() - i < length) return false;
        for (std::size_t k = 1; k < length; ++k)
            if ((static_cast<unsigned char>(text[i + k]) & 0xc0) != 0x80) return false;
        if (length > 1 && !second_octet_fits(first, static_cast<unsigned char>(text[i + 1]))) return false;
        i += length;
    }
    return true;
}

Command parse_command(std::string_view line) {
    auto const [name, parameters] = halve(line, ' ');
    Command command;
    auto const rest = parameters.value_or("");
    if (!std::ranges::all_of(name, is_alpha) || rest.starts_with(' ') || has_controls(rest) ||
        !is_utf8(rest)) {
        command.form = Command::Form::garbage;
        return command;
    }
    command.name = to_upper(name);
    command.parameters = trim_right(rest);
    return command;
}

std::optional<Command> Decoder::next_command() {
    auto const rest = std::string_view(input_).substr(consumed_);
    auto const end = rest.find('\n');
    if (end == std::string_view::npos) {
        // One more for a CR that may belong to the line end.
        if (skipping_line_ || rest.size() > max_command_line + 1) {
            skipping_line_ = true;
            discard(rest.size());
        }
        return std::nullopt;
    }
    auto line = rest.substr(0, end);
    bool const bare_lf = !line.ends_with('\r');
    if (!bare_lf) line.remove_suffix(1);
    Command command;
    if (skipping_line_ || line.size() > max_command_line)
        command.form = Command::Form::too_long;
    else
        command = parse_command(line);
    command.bare_lf = bare_lf;
    skipping_line_ = false;
    discard(end + 1);
    return command;
}

void Decoder::discard(std::size_t count) {
    consumed_ += count;
    if (consumed_ == input_.size()) {
        input_.clear();
        consumed_ = 0;
    } else if (consumed_ > 65536) {
        input_.erase(0, consumed_);
        consumed_ = 0;
    }
}

void Decoder::begin_data(bool lf_peer) {
    state_ = State::line_start;
    after_crlf_ = true;
    lf_peer_ = lf_peer;
}

void Decoder::line_end(bool crlf, std::string& out) {
    out += '\n';
    state_ = State::line_start;
    after_crlf_ = crlf;
}

// True when the octet ends the data.
bool Decoder::data_step(char c, std::string& out) {
    switch (state_) {
    case State::dot:
        if (c == '\r') {
            state_ = State::dot_cr;
            return false;
        }
        if (c == '\n' && lf_peer_) return true;
        break;
    case State::dot_cr:
        if (c == '\n') {
            if (after_crlf_ || lf_peer_) return true;
            line_end(true, out);
            return false;
        }
        out += '\r';
        break;
    case State::cr:
        if (c == '\n') {
            line_end(true, out);
            return false;
        }
        out += '\r';
        break;
    case State::line_start:
        if (c == '.') {
            state_ = State::dot;
            return false;
        }
        break;
    case State::inside: break;
    }
    if (c == '\n') {
        line_end(false, out);
    } else if (c == '\r') {
        state_ = State::cr;
    } else {
        out += c;
        state_ = State::inside;
    }
    return false;
}

Decoder::Piece Decoder::next_data() {
    Piece piece;
    auto const rest = std::string_view(input_).substr(consumed_);
    piece.octets.reserve(rest.size());
    std::size_t i = 0;
    while (i < rest.size() && !piece.ended) {
        if (state_ == State::inside) {
            auto const stop = std::min(rest.find_first_of("\r\n", i), rest.size());
            piece.octets.append(rest.substr(i, stop - i));
            i = stop;
            if (i == rest.size()) break;
        }
        piece.ended = data_step(rest[i++], piece.octets);
    }
    discard(i);
    return piece;
}

Decoder::Piece Decoder::next_chunk() {
    Piece piece;
    auto const rest = std::string_view(input_).substr(consumed_);
    auto const count = static_cast<std::size_t>(std::min<std::uint64_t>(rest.size(), chunk_left_));
    piece.octets.reserve(count + 1);
    for (char const c : rest.substr(0, count)) {
        if (chunk_cr_ && c != '\n') piece.octets += '\r';
        chunk_cr_ = c == '\r';
        if (!chunk_cr_) piece.octets += c;
    }
    discard(count);
    chunk_left_ -= count;
    piece.ended = chunk_left_ == 0;
    return piece;
}

std::string Decoder::end_of_chunks() { return std::exchange(chunk_cr_, false) ? "\r" : ""; }

} // namespace postern::lmtp_deliver
