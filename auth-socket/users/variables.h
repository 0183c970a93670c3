// Dovecot's % variables, as 2.3 (%u, %Lu, %1.2n, %{user}, %{if;...}) and 2.4 (%{user | lower}) write them.
#pragma once

#include "auth-socket/request.h"
#include "common/base/error.h"
#include "common/sql/template.h"

#include <string>
#include <string_view>

namespace postern::auth_socket {

// For sql::Template: how long the variable behind a '%' is. Permanent error: an unknown or unfinished one.
Result<sql::Template::Variable> scan_variable(std::string_view after_percent);
// Permanent error: a text with an unknown or unfinished variable in it, to be told when it is read.
Result<> check_template(std::string_view text);
// What scan_variable() named.
Result<std::string> variable_value(std::string_view variable, Request const& request);
// A whole text with its variables replaced; "%%" is one percent sign.
Result<std::string> expand(std::string_view text, Request const& request);

} // namespace postern::auth_socket
