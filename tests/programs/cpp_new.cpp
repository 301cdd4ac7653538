// build: args -std=c++20 -fsized-deallocation -fno-builtin
// Every form of operator new and delete, std::bad_alloc on exhaustion, and exceptions thrown across
// frames with live blocks.

#include "support.h"
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct Small {
    unsigned char bytes[40];
};

struct alignas(256) Wide {
    unsigned char bytes[512];
};

volatile std::size_t too_much = MORE_THAN_CAN_BE_HAD;

template <typename T> void check(T *object, std::size_t size, const char *form) {
    CHECK(object != nullptr, "%s returned null", form);
    CHECK(in_current_heap(object), "%s returned a block that is not mimalloc's", form);
    CHECK(aligned_to(object, alignof(T)), "%s returned a badly aligned block", form);
    fill(object, size, 3);
}

void every_form() {
    auto *single = new Small;
    check(single, sizeof *single, "new");
    delete single;
    auto *several = new Small[10];
    check(several, 10 * sizeof *several, "new[]");
    delete[] several;
    auto *quiet = new (std::nothrow) Small;
    check(quiet, sizeof *quiet, "new(nothrow)");
    operator delete(quiet, std::nothrow);
    auto *quiet_several = new (std::nothrow) Small[10];
    check(quiet_several, 10 * sizeof *quiet_several, "new(nothrow)[]");
    delete[] quiet_several;
    auto *wide = new Wide;
    check(wide, sizeof *wide, "aligned new");
    delete wide;
    auto *wide_several = new Wide[3];
    check(wide_several, 3 * sizeof *wide_several, "aligned new[]");
    delete[] wide_several;
    auto *wide_quiet = new (std::nothrow) Wide;
    check(wide_quiet, sizeof *wide_quiet, "aligned new(nothrow)");
    delete wide_quiet;
    void *sized = operator new(100);
    check(static_cast<char *>(sized), 100, "operator new");
    operator delete(sized, std::size_t{100});
    void *sized_wide = operator new(100, std::align_val_t{128});
    CHECK(aligned_to(sized_wide, 128), "operator new(align_val_t) returned a badly aligned block");
    operator delete(sized_wide, std::size_t{100}, std::align_val_t{128});
    void *empty = operator new(0);
    CHECK(empty != nullptr, "operator new(0) returned null");
    operator delete(empty);
    operator delete(nullptr);
}

void throws_bad_alloc(const char *form, void (*allocate)()) {
    bool thrown = false;
    try {
        allocate();
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    CHECK(thrown, "%s did not throw bad_alloc", form);
}

void exhaustion() {
    throws_bad_alloc("operator new", [] { operator delete(operator new(too_much)); });
    throws_bad_alloc("aligned operator new", [] {
        constexpr std::align_val_t alignment{64};
        operator delete(operator new(too_much, alignment), alignment);
    });
    CHECK(operator new(too_much, std::nothrow) == nullptr,
          "operator new(nothrow) returned a block");
}

int new_handler_calls;

void new_handler() {
    if (++new_handler_calls == 3) {
        std::set_new_handler(nullptr);
    }
}

void handler_of_the_language() {
    std::set_new_handler(new_handler);
    CHECK(operator new(too_much, std::nothrow) == nullptr,
          "operator new(nothrow) returned a block");
    CHECK(new_handler_calls == 3, "the new handler was called %d times", new_handler_calls);
}

// Each frame owns blocks that unwinding must free.
void descend(int depth) {
    std::vector<std::string> lines;
    auto block = std::make_unique<Wide>();
    for (int i = 0; i < 10; i++) {
        lines.push_back(std::string(50 + static_cast<std::size_t>(depth), 'x'));
    }
    if (depth == 0) {
        throw std::runtime_error(
            "a message that is long enough to need a block of its own on the heap");
    }
    descend(depth - 1);
}

void exceptions() {
    for (int round = 0; round < 50; round++) {
        bool caught = false;
        try {
            descend(20);
        } catch (const std::runtime_error &error) {
            caught = std::string(error.what()).find("long enough") != std::string::npos;
        }
        CHECK(caught, "the exception of round %d did not arrive", round);
    }
}

} // namespace

int main() {
    auto *old_single = new Small[5];
    auto *old_wide = new Wide[5];
    std::exception_ptr old_exception;
    try {
        throw std::runtime_error("thrown before the meeting and rethrown after it");
    } catch (...) {
        old_exception = std::current_exception();
    }
    meet_harness();
    delete[] old_single;
    delete[] old_wide;
    try {
        std::rethrow_exception(old_exception);
    } catch (const std::runtime_error &error) {
        CHECK(std::string(error.what()).find("rethrown") != std::string::npos,
              "the exception's message was lost");
    }
    old_exception = nullptr;
    every_form();
    exhaustion();
    handler_of_the_language();
    exceptions();
    return verdict();
}
