// Passwords and keys in memory: wiped when they go, compared in constant time, never printed.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace postern {

class Secret {
  public:
    Secret() = default;
    explicit Secret(std::string_view text) : text_(text) {}
    explicit Secret(std::string&& text); // wipes the source
    Secret(Secret&& other) noexcept;
    Secret& operator=(Secret&& other) noexcept;
    Secret(Secret const& other) = default;
    Secret& operator=(Secret const& other);
    ~Secret();

    std::string_view reveal() const { return text_; } // the view must not outlive the Secret
    char const* c_str() const { return text_.c_str(); }
    bool empty() const { return text_.empty(); }

  private:
    std::string text_;
};

// Overwrites the octets so that the compiler cannot leave it out.
void wipe(std::string& text);
void wipe(std::span<char> octets);
// What functions that were called before have left on the stack: pieces of a secret in digests' blocks, and
// in registers that were saved. Whether another call writes over them is the compiler's and chance's choice.
void wipe_stack_below();
// Takes the same time for equal lengths whatever the contents.
bool equal_in_constant_time(std::string_view a, std::string_view b);
// From the kernel's generator.
std::string random_octets(std::size_t count);

} // namespace postern
