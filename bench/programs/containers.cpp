// The containers of the C++ library.
// build: args -std=c++17

#include <map>
#include <string>
#include <vector>

#include "driver.h"

static uint64_t state = 0x2545F4914F6CDD1Dull;
static std::map<std::string, std::vector<std::string>> directory;
static std::vector<std::vector<uint64_t>> tables;

enum { NAMES = 2000, TABLES = 200 };

static std::string name_of(uint64_t number) {
    // Too long for the small-string optimisation.
    return "a name that is long enough, number " + std::to_string(number);
}

/* Adds to the map and to a vector; sometimes empties one. */
static uint64_t containers_once() {
    uint64_t drawn = draw(&state);
    std::vector<std::string> &entries = directory[name_of(drawn % NAMES)];
    entries.push_back(name_of(drawn >> 40));
    if (entries.size() > 6) {
        directory.erase(name_of(drawn % NAMES));
    }
    std::vector<uint64_t> &table = tables[(drawn >> 20) % TABLES];
    table.push_back(drawn);
    uint64_t sum = table.size() + directory.size();
    if (table.size() > 300) {
        std::vector<uint64_t>().swap(table);
    }
    return sum;
}

REPEATED(containers, 5 * NAMES)

static void prepare() {
    tables.resize(TABLES);
    prepare_containers();
}

WORKLOADS({"containers", prepare, run_containers})
