// Threads that pass blocks to one another.

#include "driver.h"

enum { MOST_THREADS = 8, GENERATIONS = 4, SLOTS = 1000 };

/* The blocks of a server thread, which its successor continues with. */
typedef struct clients_s {
    uint64_t state;
    char *slots[SLOTS];
    char pad[64];
} clients_t;

static clients_t clients[MOST_THREADS];

static void replace_a_block(clients_t *own) {
    uint64_t drawn = draw(&own->state);
    size_t slot = drawn % SLOTS, size = 16 + (drawn >> 20 & 511);
    free(own->slots[slot]);
    own->slots[slot] = malloc(size);
    own->slots[slot][0] = (char)size;
}

static void prepare_servers(void) {
    for (int i = 0; i < MOST_THREADS; i++) {
        clients[i].state = 0x2545F4914F6CDD1Dull + (uint64_t)i;
        for (int slot = 0; slot < SLOTS; slot++) {
            replace_a_block(&clients[i]);
        }
        if (i == MOST_THREADS / 2 - 1) {
            let_module_in();
        }
    }
}

typedef struct service_s {
    clients_t *clients;
    uint64_t operations;
} service_t;

static DWORD WINAPI serve(void *argument) {
    service_t *service = argument;
    for (uint64_t i = 0; i < service->operations; i++) {
        replace_a_block(service->clients);
    }
    return 0;
}

static HANDLE start(LPTHREAD_START_ROUTINE routine, void *argument) {
    HANDLE thread = CreateThread(NULL, 0, routine, argument, 0, NULL);
    CHECK(thread, "a thread cannot be started: system error %lu", GetLastError());
    return thread;
}

static void wait_for_all(HANDLE *threads, int count) {
    WaitForMultipleObjects((DWORD)count, threads, TRUE, INFINITE);
    for (int i = 0; i < count; i++) {
        CloseHandle(threads[i]);
    }
}

/* Threads replace random blocks of 16 to 527 bytes in a thousand slots each and end. The next
 * generation of threads takes over the slots of others, and frees what these have allocated. */
static uint64_t run_servers(uint64_t operations, int count) {
    for (int generation = 0; generation < GENERATIONS; generation++) {
        service_t services[MOST_THREADS];
        HANDLE threads[MOST_THREADS];
        for (int i = 0; i < count; i++) {
            services[i].clients = &clients[(i + generation) % count];
            services[i].operations = operations / (uint64_t)(GENERATIONS * count);
            threads[i] = start(serve, &services[i]);
        }
        wait_for_all(threads, count);
    }
    uint64_t sum = 0;
    for (int i = 0; i < count; i++) {
        sum = sum * 31 + clients[i].state + (uint64_t)clients[i].slots[0][0];
    }
    return sum;
}

static uint64_t run_servers_1(uint64_t operations) { return run_servers(operations, 1); }
static uint64_t run_servers_2(uint64_t operations) { return run_servers(operations, 2); }
static uint64_t run_servers_4(uint64_t operations) { return run_servers(operations, 4); }
static uint64_t run_servers_8(uint64_t operations) { return run_servers(operations, 8); }

enum { RING = 4096 };
static char *volatile ring[RING];
static uint64_t to_be_made, consumed_sum;

static DWORD WINAPI produce(void *unused) {
    (void)unused;
    uint64_t drawn = 88172645463325252ull;
    for (uint64_t i = 0; i < to_be_made; i++) {
        size_t size = 16 + (draw(&drawn) & 511);
        char *block = malloc(size);
        block[0] = (char)size;
        while (ring[i % RING]) {
            SwitchToThread();
        }
        __atomic_store_n(&ring[i % RING], block, __ATOMIC_RELEASE);
    }
    return 0;
}

static DWORD WINAPI consume(void *unused) {
    (void)unused;
    for (uint64_t i = 0; i < to_be_made; i++) {
        char *block;
        while (!(block = __atomic_load_n(&ring[i % RING], __ATOMIC_ACQUIRE))) {
            SwitchToThread();
        }
        consumed_sum += (uint64_t)block[0];
        free(block);
        __atomic_store_n(&ring[i % RING], NULL, __ATOMIC_RELEASE);
    }
    return 0;
}

/* One thread allocates, another frees, with at most 4,096 blocks in between. */
static uint64_t run_pipeline(uint64_t operations) {
    to_be_made = operations;
    HANDLE threads[2] = {start(produce, NULL), start(consume, NULL)};
    wait_for_all(threads, 2);
    return consumed_sum;
}

enum { STRESS_THREADS = 4, KEPT = 200, TRANSFERS = 256 };
static uint64_t *volatile transfers[TRANSFERS];

/* Every block holds its size, which the thread that frees it adds to its sum. */
static uint64_t *make_block(uint64_t drawn) {
    size_t size = 8 + (drawn & 127) * 8;
    if ((drawn >> 8 & 255) == 0) {
        size *= 64;
    }
    uint64_t *block = malloc(size);
    block[size / 8 - 1] = 0;
    block[0] = size;
    return block;
}

static uint64_t end_block(uint64_t *block) {
    uint64_t size = block ? block[0] : 0;
    free(block);
    return size;
}

typedef struct stressed_s {
    uint64_t state, operations, sum;
} stressed_t;

static DWORD WINAPI stress(void *argument) {
    stressed_t *own = argument;
    uint64_t *kept[KEPT] = {NULL};
    for (uint64_t i = 0; i < own->operations; i++) {
        uint64_t drawn = draw(&own->state);
        size_t slot = (drawn >> 32) % KEPT;
        own->sum += end_block(kept[slot]);
        kept[slot] = make_block(drawn);
        if ((drawn >> 56 & 3) == 0) {
            kept[slot] = __atomic_exchange_n(&transfers[(drawn >> 40) % TRANSFERS], kept[slot],
                                             __ATOMIC_ACQ_REL);
        }
    }
    for (int i = 0; i < KEPT; i++) {
        own->sum += end_block(kept[i]);
    }
    return 0;
}

/* Four threads fill slots with blocks of 8 bytes to 64 KiB, exchange every fourth block with the
 * other threads, and end. */
static uint64_t run_stress(uint64_t operations) {
    stressed_t threads[STRESS_THREADS];
    HANDLE handles[STRESS_THREADS];
    for (int i = 0; i < STRESS_THREADS; i++) {
        threads[i] =
            (stressed_t){0x9E3779B97F4A7C15ull + (uint64_t)i, operations / STRESS_THREADS, 0};
        handles[i] = start(stress, &threads[i]);
    }
    wait_for_all(handles, STRESS_THREADS);
    uint64_t sum = 0;
    for (int i = 0; i < STRESS_THREADS; i++) {
        sum += threads[i].sum;
    }
    for (int i = 0; i < TRANSFERS; i++) {
        sum += end_block(transfers[i]);
        transfers[i] = NULL;
    }
    return sum;
}

WORKLOADS({"servers-1", prepare_servers, run_servers_1},
          {"servers-2", prepare_servers, run_servers_2},
          {"servers-4", prepare_servers, run_servers_4},
          {"servers-8", prepare_servers, run_servers_8}, {"pipeline", NULL, run_pipeline},
          {"stress", NULL, run_stress})
