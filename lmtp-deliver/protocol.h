// LMTP on the wire (RFC 2033, 5321, 3030): command lines, dot-stuffed data and chunks out of a stream of
// bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <optional>

namespace postern::lmtp_deliver {

// RFC 5321 4.5.3.1.4 says 512 and extensions lengthen it; Dovecot's parser takes 4096 octets.
inline constexpr std::size_t max_command_line = 4096; // without the line end

struct Command {
    enum class Form {
        verb,     // name and parameters are set
        garbage,  // not "NAME [parameters]" in UTF-8 without controls
        too_long, // passed max_command_line; it was skipped up to its line end
    };
    Form form = Form::verb;
    std::string name;       // upper case, may be empty
    std::string parameters; // without blanks at the end
    bool bare_lf = false;   // the line ended in LF alone

    bool operator==(Command const&) const = default;
};

// Splits the stream. Command lines may end in LF alone, as Dovecot takes them.
class Decoder {
  public:
    void feed(std::string_view bytes) { input_.append(bytes); }
    // The next whole command line; absent: more bytes are needed.
    std::optional<Command> next_command();

    // The bytes from here on are message data up to CRLF "." CRLF. Lines end in CRLF or LF and are handed out
    // with LF; a leading dot is removed from each. Data ends only between two CRLFs, so that a message cannot
    // smuggle commands past a relay that sees no end in LF "." LF; lf_peer, for a client that ends its
    // commands in LF alone, takes that too.
    void begin_data(bool lf_peer);
    // The next octets of an announced chunk (BDAT). CRLF becomes LF here as well, also across chunks.
    void begin_chunk(std::uint64_t size) { chunk_left_ = size; }
    // What the last chunk still holds back: a CR that no LF followed.
    std::string end_of_chunks();
    void forget_chunks() { chunk_cr_ = false; }

    struct Piece {
        std::string octets;
        bool ended = false;
    };
    // All that is there of the data or chunk. ended: the following bytes are commands again.
    Piece next_data();
    Piece next_chunk();

  private:
    enum class State { line_start, dot, dot_cr, inside, cr };
    bool data_step(char c, std::string& out);
    void line_end(bool crlf, std::string& out);
    void discard(std::size_t count);

    std::string input_;
    std::size_t consumed_ = 0; // of input_; cut off when it pays
    bool skipping_line_ = false;
    State state_ = State::line_start;
    bool after_crlf_ = true; // the line before this one ended in CRLF
    bool lf_peer_ = false;
    std::uint64_t chunk_left_ = 0;
    bool chunk_cr_ = false;
};

// One command line without its line end.
Command parse_command(std::string_view line);

// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text);

} // namespace postern::lmtp_deliver
