// A C++ library that knows nothing of mimalloc: it counts words, and keeps them in containers of
// the standard library.

#include <map>
#include <string>

struct Words {
    std::map<std::string, int> counts;
};

extern "C" Words *words_new() { return new Words; }

extern "C" int words_add(Words *words, const char *text, size_t length) {
    return ++words->counts[std::string(text, length)];
}

extern "C" void words_free(Words *words) { delete words; }
