// Data sets that policy scripts open for themselves.
#pragma once

#include "milter-dkim/tables/data_set.h"

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace postern::milter_dkim {

// Lists and files are read anew at each opening. A database is opened once and serves all messages, so that
// its connections are kept; so many different ones may be named, which bounds connections and metrics where a
// script makes a DSN from a stranger's text. Thread-safe.
class ScriptSets {
  public:
    static constexpr std::size_t max_databases = 20;

    explicit ScriptSets(DataSetOpener opener) : opener_(std::move(opener)) {}
    Result<std::shared_ptr<DataSet const>> open(std::string_view value) const;

  private:
    Result<std::shared_ptr<DataSet const>> open_new(std::string_view value) const;

    DataSetOpener opener_;
    mutable std::mutex mutex_; // guards databases_
    mutable std::map<std::string, std::shared_ptr<DataSet const>, std::less<>> databases_; // by DSN
};

} // namespace postern::milter_dkim
