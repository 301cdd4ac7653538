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

static uint64_t once() {
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

static void prepare() {
    tables.resize(TABLES);
    for (int i = 0; i < 5 * NAMES; i++) {
        once();
    }
    let_module_in();
    for (int i = 0; i < 5 * NAMES; i++) {
        once();
    }
}

/* A map of names to lists of names, and a vector of vectors; an operation adds to both, and
 * sometimes empties one. */
static uint64_t run(uint64_t operations) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < operations; i++) {
        sum += once();
    }
    return sum;
}

WORKLOADS({"containers", prepare, run})
