// build: args -fno-builtin
/* Threads allocate, resize, free and hand blocks over at full speed, each verifying the pattern of
 * every block that it touches, while the harness loads the module. Arguments: threads, operations
 * of each, seed. */

#include "support.h"
#include <malloc.h>
#include <stdlib.h>

enum { MOST_THREADS = 32, SLOTS = 200, MAILBOXES = 64 };

struct block {
    size_t size;
    uint64_t tag;
    bool aligned;
};

struct worker {
    uint64_t random;
    long operations;
    struct block *slots[SLOTS];
};

static struct block *volatile mailboxes[MAILBOXES];
static volatile LONG64 next_tag;
static struct worker workers[MOST_THREADS];

/* The description of a block lies at its start; the pattern fills the rest. */
static void write_block(struct block *block, size_t size, bool aligned) {
    block->size = size;
    block->tag = (uint64_t)InterlockedIncrement64(&next_tag);
    block->aligned = aligned;
    fill(block + 1, size - sizeof *block, block->tag);
}

static bool verify(const struct block *block, size_t bytes) {
    size_t length = bytes - sizeof *block;
    size_t good = intact(block + 1, length, block->tag);
    CHECK(good == length, "block %llu of %zu bytes changed at byte %zu",
          (unsigned long long)block->tag, bytes, good);
    return good == length;
}

static size_t random_size(uint64_t *random) {
    uint64_t draw = next_random(random);
    size_t most = draw % 100 < 90 ? 1000 : draw % 100 < 99 ? 20000 : 200000;
    return sizeof(struct block) + (size_t)(next_random(random) % most);
}

static struct block *allocate(uint64_t *random) {
    size_t size = random_size(random);
    bool aligned = next_random(random) % 8 == 0;
    struct block *block = aligned ? _aligned_malloc(size, 64) : malloc(size);
    CHECK(block != NULL, "no memory for %zu bytes", size);
    if (block) {
        write_block(block, size, aligned);
    }
    return block;
}

static void release(struct block *block) {
    verify(block, block->size);
    if (block->aligned) {
        _aligned_free(block);
    } else {
        free(block);
    }
}

static struct block *resize(struct block *block, uint64_t *random) {
    size_t size = random_size(random);
    size_t kept = size < block->size ? size : block->size;
    verify(block, block->size);
    bool aligned = block->aligned;
    struct block *moved = aligned ? _aligned_realloc(block, size, 64) : realloc(block, size);
    CHECK(moved != NULL, "no memory for %zu bytes", size);
    if (!moved) {
        return block;
    }
    verify(moved, kept);
    write_block(moved, size, aligned);
    return moved;
}

static void operate(struct worker *worker) {
    uint64_t draw = next_random(&worker->random);
    struct block **slot = &worker->slots[draw / 16 % SLOTS];
    if (!*slot) {
        *slot = allocate(&worker->random);
    } else if (draw % 16 < 4) {
        *slot = resize(*slot, &worker->random);
    } else if (draw % 16 < 7) {
        *slot = InterlockedExchangePointer((void *volatile *)&mailboxes[draw / 4096 % MAILBOXES],
                                           *slot);
    } else {
        release(*slot);
        *slot = NULL;
    }
}

static DWORD WINAPI work(void *parameter) {
    struct worker *worker = parameter;
    for (long i = 0; i < worker->operations && failures < 10; i++) {
        operate(worker);
    }
    for (int i = 0; i < SLOTS; i++) {
        if (worker->slots[i]) {
            release(worker->slots[i]);
        }
    }
    return 0;
}

int main(int count, char **arguments) {
    int threads = count > 1 ? atoi(arguments[1]) : 4;
    long operations = count > 2 ? atol(arguments[2]) : 200000;
    uint64_t seed = count > 3 ? strtoull(arguments[3], NULL, 10) : 1;
    HANDLE handles[MOST_THREADS];
    threads = threads < 1 ? 1 : threads > MOST_THREADS ? MOST_THREADS : threads;
    say("seed %llu", (unsigned long long)seed);
    for (int i = 0; i < threads; i++) {
        workers[i].random =
            (seed + 1) * 0x9E3779B97F4A7C15ull + (uint64_t)i * 0xD1B54A32D192ED03ull;
        workers[i].operations = operations;
        handles[i] = CreateThread(NULL, 0, work, &workers[i], 0, NULL);
    }
    meet_harness();
    DWORD ended = WaitForMultipleObjects((DWORD)threads, handles, TRUE, 240000);
    CHECK(ended == WAIT_OBJECT_0, "the threads did not end");
    for (int i = 0; i < MAILBOXES && ended == WAIT_OBJECT_0; i++) {
        if (mailboxes[i]) {
            release(mailboxes[i]);
        }
    }
    CHECK(HeapValidate((HANDLE)_get_heap_handle(), 0, NULL), "the old heap is damaged");
    CHECK(in_current_heap(malloc(64)), "blocks do not come from mimalloc");
    return verdict();
}
