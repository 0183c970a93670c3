// The % language of pgsql_table(5), mysql_table(5) and sqlite_table(5): keys, queries and result formats.
#pragma once

#include "common/base/error.h"
#include "common/sql/template.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::sql_maps {

// What the query and the result format of one map need between them. A key or a value that lacks it is
// skipped: the database is not asked, or the value is left out.
struct Needs {
    bool key_user = false;     // a key "@domain" is skipped
    bool key_domain = false;   // a key without domain is skipped
    int key_labels = 0;        // a key whose domain has fewer labels is skipped
    bool value_user = false;   // of the result format's %u
    bool value_domain = false; // of the result format's %d

    void of_query(std::string const& letter);
    void of_result_format(char letter);
};

// One letter of "sSuUdD1-9" behind a '%'; anything else is refused, as Postfix refuses the table.
Result<sql::Template::Variable> scan_variable(std::string_view after_percent);

// A lookup key and its parts: user and domain divide at the last '@', labels count from the right.
class Key {
  public:
    // Absent when the key is empty or lacks what is needed.
    static std::optional<Key> make(std::string_view text, Needs const& needs);

    std::string const& text() const { return text_; }
    std::string variable(char letter) const; // of "sSuUdD1-9"

  private:
    std::string text_;
    std::string user_; // the whole key when it has no '@'
    std::string domain_;
    std::vector<std::string> labels_; // from the right
};

class ResultFormat {
  public:
    // Adds to needs what the format uses.
    static Result<ResultFormat> parse(std::string_view text, Needs& needs);

    // %s %u %d are the value's, %S %U %D %1-9 the key's. Absent: the value lacks what the format needs.
    std::optional<std::string> apply(std::string_view value, Key const& key, Needs const& needs) const;

  private:
    struct Piece {
        std::string text;
        char variable = 0; // comes behind text; 0: none
    };
    std::vector<Piece> pieces_;
};

} // namespace postern::sql_maps
