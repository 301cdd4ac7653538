// build: args -fno-builtin
/* Threads allocate, resize, free and hand blocks over at full speed, each verifying the pattern of
 * every block that it touches, while the harness loads the module. Arguments: threads, operations
 * of each, seed. */

#define SLOTS 200
#include "traffic.h"

enum { MOST_THREADS = 32 };

static struct traffic traffics[MOST_THREADS];
static long operations;

static DWORD WINAPI work(void *parameter) {
    for (long i = 0; i < operations && failures < 10; i++) {
        operate(parameter);
    }
    finish(parameter);
    return 0;
}

int main(int count, char **arguments) {
    int threads = count > 1 ? atoi(arguments[1]) : 4;
    operations = count > 2 ? atol(arguments[2]) : 200000;
    uint64_t seed = count > 3 ? strtoull(arguments[3], NULL, 10) : 1;
    HANDLE handles[MOST_THREADS];
    threads = threads < 1 ? 1 : threads > MOST_THREADS ? MOST_THREADS : threads;
    say("seed %llu", (unsigned long long)seed);
    for (int i = 0; i < threads; i++) {
        traffics[i].random = seed_of(seed, (uint64_t)i);
        handles[i] = start_thread(work, &traffics[i]);
    }
    meet_harness();
    stop_and_check(handles, (size_t)threads);
    return verdict();
}
