// Named values in order, as Dovecot's auth protocol and its databases exchange them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::auth_socket {

struct Field {
    std::string name;
    std::optional<std::string> value; // absent: a bare name, "nologin"

    bool operator==(Field const&) const = default;
};

// A name occurs once; setting it again changes the value where it stands.
class Fields {
  public:
    void set(std::string_view name, std::optional<std::string> value);
    // Only when the name is not there yet.
    void set_default(std::string_view name, std::optional<std::string> value);
    void remove(std::string_view name);
    void merge(Fields const& later);

    bool has(std::string_view name) const { return find(name) != nullptr; }
    Field const* find(std::string_view name) const;
    std::string value(std::string_view name) const; // empty when absent or bare
    bool empty() const { return fields_.empty(); }
    auto begin() const { return fields_.begin(); }
    auto end() const { return fields_.end(); }

    bool operator==(Fields const&) const = default;

  private:
    std::vector<Field> fields_;
};

} // namespace postern::auth_socket
