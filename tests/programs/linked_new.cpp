// build: args -lmimalloc
// Links with mimalloc.dll and takes mimalloc's operators new and delete, as mimalloc's own
// documentation tells it to.

#include <mimalloc-new-delete.h>

#include <string>
#include <vector>

extern "C" {
#include "support.h"
}

struct alignas(256) Aligned {
    char bytes[300];
};

int main() {
    CHECK(mi_is_redirected(), "the heap is not taken over");
    auto *number = new int(7);
    CHECK(mi_is_in_heap_region(number), "new int is not mimalloc's");
    delete number;
    auto *aligned = new Aligned[3];
    CHECK(mi_is_in_heap_region(aligned) && aligned_to(aligned, 256), "an aligned array lies at %p",
          (void *)aligned);
    delete[] aligned;
    std::vector<std::string> texts;
    for (int i = 0; i < 1000; i++) {
        texts.push_back(std::string(100, static_cast<char>('a' + i % 26)));
    }
    CHECK(mi_is_in_heap_region(texts.data()) && mi_is_in_heap_region(texts[999].data()),
          "a container is not mimalloc's");
    return verdict();
}
