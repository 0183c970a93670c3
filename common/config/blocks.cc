// Reads dovecot.conf and its conf.d.
#include "common/config/blocks.h"

#include "common/base/text.h"

#include <fmt/format.h>
#include <glob.h>

#include <map>

namespace postern::config {

namespace {

constexpr int max_include_depth = 10;
constexpr int max_files = 256;
constexpr std::size_t max_block_depth = 16;

std::string directory_of(std::string const& file) {
    auto const slash = file.rfind('/');
    return slash == std::string::npos ? "" : file.substr(0, slash + 1);
}

std::string relative_to(std::string const& file, std::string_view path) {
    return path.starts_with('/') ? std::string(path) : directory_of(file) + std::string(path);
}

std::vector<std::string> expand_glob(std::string const& pattern) {
    glob_t found{};
    std::vector<std::string> paths;
    if (::glob(pattern.c_str(), 0, nullptr, &found) == 0)
        for (std::size_t i = 0; i < found.gl_pathc; ++i) paths.emplace_back(found.gl_pathv[i]);
    ::globfree(&found);
    return paths;
}

bool in_quotes(std::string_view value) {
    return value.size() >= 2 && (value.front() == '"' || value.front() == '\'') &&
           value.back() == value.front();
}

std::string without_quotes(std::string_view value) {
    std::string out;
    value = value.substr(1, value.size() - 2);
    for (std::size_t i = 0; i < value.size(); ++i) {
        if (value[i] == '\\' && i + 1 < value.size()) ++i;
        out += value[i];
    }
    return out;
}

// Where a comment begins: '#' at the start of a word, outside quotes.
std::size_t comment_start(std::string_view line) {
    char quote = 0;
    for (std::size_t i = 0; i < line.size(); ++i) {
        char const c = line[i];
        if (quote != 0) {
            if (c == '\\')
                ++i;
            else if (c == quote)
                quote = 0;
        } else if ((c == '"' || c == '\'') && (i == 0 || is_blank(line[i - 1]) || line[i - 1] == '=')) {
            quote = c;
        } else if (c == '#' && (i == 0 || is_blank(line[i - 1]))) {
            return i;
        }
    }
    return line.size();
}

class Reader {
  public:
    BlocksResult take() && { return std::move(result_); }

    void read(std::string const& path, Place const& from, int depth, bool must_exist) {
        if (++files_ > max_files)
            return problem(from, fmt::format("more than {} files are included", max_files));
        auto const text = read_file(path);
        if (!text) {
            if (must_exist) problem(from, text.error().text);
            return;
        }
        parse(*text, path, depth);
    }

    void parse(std::string_view text, std::string const& file, int depth) {
        auto const open_before = open_.size();
        int number = 0;
        std::string pending;
        int pending_line = 0;
        for (auto line : split(text, '\n')) {
            ++number;
            line = trim(line);
            line = trim_right(line.substr(0, comment_start(line)));
            if (pending.empty()) pending_line = number;
            if (line.ends_with('\\')) {
                pending += fmt::format("{} ", trim_right(line.substr(0, line.size() - 1)));
                continue;
            }
            auto const whole = pending.empty() ? std::string(line) : pending + std::string(line);
            pending.clear();
            if (!whole.empty()) take_line(whole, Place{file, pending_line}, depth);
        }
        if (open_.size() > open_before) {
            problem(open_.back()->place, fmt::format("block \"{}\" is not closed", open_.back()->kind));
            while (open_.size() > open_before) open_.pop_back();
        }
    }

  private:
    Block& current() { return open_.empty() ? result_.root : *open_.back(); }

    void problem(Place const& place, std::string text) {
        result_.problems.push_back({Problem::Severity::error, place, std::move(text)});
    }

    void take_line(std::string_view line, Place const& place, int depth) {
        if (line.starts_with("!include")) return take_include(line, place, depth);
        if (line == "}") return close_block(place);
        if (line.ends_with('{')) return open_block(trim(line.substr(0, line.size() - 1)), place);
        // "plugin { name = value }" and "unix_listener x { mode = 0 }" on one line.
        auto const brace = line.find('{');
        auto const equals = line.find('=');
        if (brace != std::string_view::npos && line.ends_with('}') &&
            (equals == std::string_view::npos || brace < equals)) {
            open_block(trim(line.substr(0, brace)), place);
            auto const inside = trim(line.substr(brace + 1, line.size() - brace - 2));
            if (!inside.empty()) take_line(inside, place, depth);
            return close_block(place);
        }
        take_assignment(line, place);
    }

    void take_include(std::string_view line, Place const& place, int depth) {
        bool const optional = line.starts_with("!include_try");
        auto const pattern = trim(line.substr(optional ? 12 : 8));
        if (pattern.empty()) return problem(place, "!include without a file name");
        if (depth >= max_include_depth)
            return problem(place, fmt::format("!include is nested more than {} deep", max_include_depth));
        auto const path = relative_to(place.file, pattern);
        auto const paths = expand_glob(path);
        bool const is_pattern = path.find_first_of("*?[") != std::string::npos;
        if (paths.empty() && !optional && !is_pattern) problem(place, fmt::format("{}: no such file", path));
        for (auto const& each : paths) read(each, place, depth + 1, !optional);
    }

    void open_block(std::string_view head, Place const& place) {
        if (open_.size() >= max_block_depth) {
            problem(place, fmt::format("blocks are nested more than {} deep", max_block_depth));
            return;
        }
        auto const words = split_words(head);
        Block block;
        block.place = place;
        if (!words.empty()) block.kind = words[0];
        if (words.size() > 1) {
            auto const name = trim(head.substr(static_cast<std::size_t>(words[1].data() - head.data())));
            block.name = in_quotes(name) ? without_quotes(name) : std::string(name);
        }
        if (block.kind.empty()) problem(place, "a block without a name");
        open_.push_back(merged_or_new(std::move(block)));
    }

    // Dovecot joins blocks of one name ("service auth" twice) and every "plugin"; nameless ones (passdb) stay
    // apart.
    Block* merged_or_new(Block block) {
        auto& siblings = current().blocks;
        for (auto& sibling : siblings)
            if (sibling.kind == block.kind && sibling.name == block.name &&
                (!block.name.empty() || block.kind == "plugin"))
                return &sibling;
        siblings.push_back(std::move(block));
        return &siblings.back();
    }

    void close_block(Place const& place) {
        if (open_.empty()) return problem(place, "\"}\" closes nothing");
        open_.pop_back();
    }

    void take_assignment(std::string_view line, Place const& place) {
        auto const [before, after] = halve(line, '=');
        auto const name = trim(before);
        if (!after || name.empty())
            return problem(place,
                           fmt::format("\"{}\" is not of the form \"name = value\"", printable(line, 64)));
        auto value = trim(*after);
        std::string taken;
        if (value.starts_with('<')) {
            auto const path = relative_to(place.file, trim(value.substr(1)));
            auto const contents = read_file(path);
            // Certificates and keys of other services may be unreadable to us: theirs to complain about.
            taken = contents ? std::string(*contents) : std::string();
        } else {
            taken = in_quotes(value) ? without_quotes(value) : with_variables(value);
        }
        variables_[std::string(name)] = taken;
        current().settings.push_back({std::string(name), std::move(taken), place});
    }

    // "$mail_plugins quota": what the setting had so far, in the same or an outer block.
    std::string with_variables(std::string_view value) const {
        std::string out;
        for (std::size_t i = 0; i < value.size();) {
            std::size_t end = i + 1;
            while (value[i] == '$' && end < value.size() && (is_alnum(value[end]) || value[end] == '_'))
                ++end;
            auto const known = variables_.find(std::string(value.substr(i + 1, end - i - 1)));
            bool const whole_word = i == 0 || is_blank(value[i - 1]);
            if (value[i] == '$' && end > i + 1 && whole_word && known != variables_.end())
                out += known->second;
            else
                out += value.substr(i, end - i);
            i = end;
        }
        return out;
    }

    BlocksResult result_;
    std::vector<Block*> open_; // stable: only the innermost block's vector grows while it is open
    std::map<std::string, std::string> variables_;
    int files_ = 0;
};

} // namespace

std::optional<std::string> Block::value(std::string_view setting) const {
    auto const* found = assignment(setting);
    return found == nullptr ? std::nullopt : std::optional(found->value);
}

Assignment const* Block::assignment(std::string_view setting) const {
    for (auto it = settings.rbegin(); it != settings.rend(); ++it)
        if (it->name == setting) return &*it;
    return nullptr;
}

std::vector<Block const*> Block::all(std::string_view block_kind) const {
    std::vector<Block const*> found;
    for (auto const& block : blocks)
        if (block.kind == block_kind) found.push_back(&block);
    return found;
}

Block const* Block::find(std::string_view block_kind, std::string_view block_name) const {
    for (auto const& block : blocks)
        if (block.kind == block_kind && block.name == block_name) return &block;
    return nullptr;
}

BlocksResult read_blocks(std::string const& path) {
    Reader reader;
    reader.read(path, Place{}, 0, true);
    return std::move(reader).take();
}

BlocksResult parse_blocks(std::string_view text, std::string const& file) {
    Reader reader;
    reader.parse(text, file, 0);
    return std::move(reader).take();
}

} // namespace postern::config
