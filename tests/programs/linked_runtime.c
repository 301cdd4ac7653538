// build: args -nostdlib -lkernel32 -Wl,--entry=start -fno-builtin -fno-stack-protector
/* A program with its C runtime linked in, which imports kernel32 alone: every heap function of the
 * runtime, with blocks from before and after the module came, on several threads. */

#include "no_crt.h"
#include "linked_runtime.h"
#include "module_name.h"

enum { BLOCKS = 500, SMALLEST = 1, THREADS = 4, OPERATIONS = 20000, SLOTS = 128, UNTOUCHED = 77 };

__declspec(dllimport) HANDLE __stdcall CreateThread(void *, size_t,
                                                    unsigned long(__stdcall *)(void *), void *,
                                                    unsigned long, unsigned long *);
__declspec(dllimport) unsigned long __stdcall WaitForSingleObject(HANDLE, unsigned long);
__declspec(dllimport) int __stdcall CloseHandle(HANDLE);

static int (*active)(void);
static int (*owns)(const void *);

static const char *line_number(int line) {
    static char digits[12];
    char *at = digits + sizeof digits - 1;
    for (*at = 0; line; line /= 10) {
        *--at = (char)('0' + line % 10);
    }
    return at;
}

static void check_failed(int line, const char *condition) {
    write_text("FAILED line ");
    write_text(line_number(line));
    write_text(": ");
    write_text(condition);
    fail("\n");
}

/* The first failure ends the program. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            check_failed(__LINE__, #condition);                                                    \
        }                                                                                          \
    } while (0)

static unsigned char pattern(size_t tag, size_t index) {
    return (unsigned char)((tag + 1) * 167 + index * 59 + index / 256);
}

static void fill(unsigned char *block, size_t size, size_t tag) {
    for (size_t i = 0; i < size; i++) {
        block[i] = pattern(tag, i);
    }
}

static int is_intact(const unsigned char *block, size_t size, size_t tag) {
    size_t i = 0;
    while (i < size && block[i] == pattern(tag, i)) {
        i++;
    }
    return i == size;
}

static int is_zero(const unsigned char *bytes, size_t from, size_t to) {
    while (from < to && !bytes[from]) {
        from++;
    }
    return from >= to;
}

/* Whether `block` is in the heap that serves now: mimalloc's after the takeover. */
static int in_current_heap(const void *block) { return !active || !active() || owns(block); }

static void look_for_module(void) {
    HANDLE module = GetModuleHandleA(MODULE_NAME);
    active = module ? GetProcAddress(module, "allograft_active") : NULL;
    owns = module ? GetProcAddress(module, "allograft_owns") : NULL;
}

static size_t size_of(size_t number) { return SMALLEST + number * 7; }

static void use_up_old_blocks(unsigned char **blocks) {
    for (size_t i = 0; i < BLOCKS; i++) {
        size_t size = size_of(i);
        CHECK(linked_msize(blocks[i]) == size);
        CHECK(is_intact(blocks[i], size, i));
        if (i % 3 == 1) {
            blocks[i] = linked_realloc(blocks[i], size * 2);
            CHECK(in_current_heap(blocks[i]));
            CHECK(linked_msize(blocks[i]) == size * 2);
        } else if (i % 3 == 2) {
            blocks[i] = linked_recalloc(blocks[i], size + 300, 1);
            CHECK(in_current_heap(blocks[i]));
            CHECK(is_zero(blocks[i], size, size + 300));
        }
        CHECK(is_intact(blocks[i], size, i));
        linked_free(blocks[i]);
    }
}

static void use_every_function(void) {
    for (size_t size = 0; size < 3000; size += 13) {
        unsigned char *block = linked_malloc(size);
        size_t exact = size ? size : 1;
        CHECK(in_current_heap(block));
        CHECK(((uintptr_t)block & (2 * sizeof(void *) - 1)) == 0);
        CHECK(linked_msize(block) == exact);
        fill(block, size, size);
        /* Dirt behind a shrunk block, which the zeroing reallocation must clear. */
        block = linked_realloc(block, exact + 100);
        fill(block, exact + 100, size);
        block = linked_realloc(block, exact);
        CHECK(linked_msize(block) == exact);
        block = linked_recalloc(block, exact + 200, 1);
        CHECK(is_intact(block, exact, size));
        CHECK(is_zero(block, exact, exact + 200));
        CHECK(linked_expand(block, exact + 200) == block);
        CHECK(linked_realloc(block, 0) == NULL);
        block = linked_calloc(3, size);
        CHECK(in_current_heap(block));
        CHECK(linked_msize(block) == (size ? 3 * size : 1));
        CHECK(is_zero(block, 0, 3 * size));
        fill(block, 3 * size, size);
        linked_free(block);
        block = linked_aligned_malloc(size, 256);
        CHECK(((uintptr_t)block & 255) == 0);
        fill(block, size, size);
        linked_aligned_free(block);
    }
    char *text = linked_strdup("a text");
    CHECK(in_current_heap(text));
    CHECK(text[5] == 't' && text[6] == 0);
    linked_free(text);
    linked_free(NULL);
}

static int handled;
static size_t handled_size;

static int count_and_give_up(size_t size) {
    handled++;
    handled_size = size;
    return handled % 3 != 0;
}

static void run_out_of_memory(void) {
    size_t beyond = SIZE_MAX / 2 + 1;
    void *block = linked_malloc(100);
    SetLastError(UNTOUCHED);
    set_linked_errno(UNTOUCHED);
    linked_free(linked_malloc(10));
    CHECK(linked_errno() == UNTOUCHED);
    CHECK(GetLastError() == UNTOUCHED);
    CHECK(linked_malloc(beyond) == NULL);
    CHECK(linked_errno() == LINKED_ENOMEM);
    set_linked_errno(UNTOUCHED);
    CHECK(linked_calloc(beyond, 1) == NULL);
    CHECK(linked_errno() == LINKED_ENOMEM);
    linked_new_handler = count_and_give_up;
    linked_new_mode = 1;
    CHECK(linked_malloc(beyond) == NULL);
    CHECK(handled == 3);
    CHECK(handled_size == beyond);
    CHECK(linked_realloc(block, beyond + 5) == NULL);
    CHECK(handled == 6);
    CHECK(handled_size == beyond + 5);
    CHECK(linked_msize(block) == 100);
    linked_new_handler = NULL;
    linked_free(block);
}

/* Where threads leave blocks for one another; a block begins with its size. */
static size_t *volatile shared_slots[SLOTS];
static volatile int stop;

static unsigned long __stdcall work(void *parameter) {
    uint64_t random = (uintptr_t)parameter * 0x9E3779B97F4A7C15ull + 1;
    for (int i = 0; !stop || i < OPERATIONS; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        size_t size = sizeof(size_t) + random % 1000, slot = random / 1024 % SLOTS;
        size_t *block = linked_malloc(size);
        CHECK(block != NULL);
        block[0] = size;
        fill((unsigned char *)(block + 1), size - sizeof(size_t), size);
        block = __atomic_exchange_n(&shared_slots[slot], block, __ATOMIC_ACQ_REL);
        if (block) {
            size = block[0];
            CHECK(linked_msize(block) == size);
            CHECK(is_intact((unsigned char *)(block + 1), size - sizeof(size_t), size));
            if (random >> 60 == 0) {
                block = linked_realloc(block, size + 500);
                CHECK(block &&
                      is_intact((unsigned char *)(block + 1), size - sizeof(size_t), size));
            }
            linked_free(block);
        }
    }
    return 0;
}

void start(void) {
    static unsigned char *before[BLOCKS];
    HANDLE threads[THREADS];
    start_linked_runtime();
    for (size_t i = 0; i < BLOCKS; i++) {
        before[i] = linked_malloc(size_of(i));
        fill(before[i], size_of(i), i);
    }
    for (uintptr_t i = 0; i < THREADS; i++) {
        threads[i] = CreateThread(NULL, 0, work, (void *)i, 0, NULL);
        CHECK(threads[i] != NULL);
    }
    meet_harness();
    look_for_module();
    use_up_old_blocks(before);
    use_every_function();
    run_out_of_memory();
    stop = 1;
    for (int i = 0; i < THREADS; i++) {
        CHECK(WaitForSingleObject(threads[i], 60000) == 0);
        CloseHandle(threads[i]);
    }
    for (int i = 0; i < SLOTS; i++) {
        linked_free(shared_slots[i]);
    }
    CHECK(HeapValidate(linked_heap, 0, NULL));
    CHECK(end_linked_runtime());
    write_text("passed\n");
    ExitProcess(0);
}
