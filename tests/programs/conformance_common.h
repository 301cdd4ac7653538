/* What the differential tests share: drawing sizes, the transcript, and the ranges of operations
 * that are kept. Operation number i depends only on the seed and on i, and is possible in every
 * state. So any subset of a sequence is a sequence too, and a failing one is shortened by leaving
 * operations out. */

#include "support.h"
#include <stdlib.h>

#define MAX_REQUEST LARGEST_REQUEST

/* What a block that is aligned to 16 takes beside the program's bytes. */
#define OVERHEAD (sizeof(void *) + 15)

static size_t pick(uint64_t draw, const size_t *table, size_t count) { return table[draw % count]; }

#define PICK(draw, table) pick(draw, table, COUNT_OF(table))

static size_t draw_size(uint64_t *random) {
    static const size_t borders[] = {
        0,   1,   2,    7,    8,    9,    15,   16,   17,   24,   31,   32,   33,   48,
        63,  64,  65,   80,   100,  127,  128,  129,  255,  256,  257,  320,  511,  512,
        513, 640, 1000, 1023, 1024, 1025, 1280, 2047, 2048, 2049, 4095, 4096, 4097, 5000};
    static const size_t middle[] = {8191,   8192,   8193,   10000,   16000,  0x3fef,
                                    0x3ff0, 0x3fff, 0x4000, 0x4001,  0x5000, 0x7fff,
                                    0x8000, 0x8001, 0xffff, 0x10000, 0x10001};
    static const size_t large[] = {0x18000, 0x1ffff, 0x20000, 0x20001, 0x3f000,
                                   0x7f000, 0x7fff0, 0x80000, 0x80001, 0x100000};
    static const size_t beyond[] = {SIZE_MAX,
                                    SIZE_MAX - 1,
                                    SIZE_MAX - 7,
                                    SIZE_MAX - 15,
                                    SIZE_MAX - OVERHEAD + 1,
                                    SIZE_MAX - OVERHEAD,
                                    SIZE_MAX - OVERHEAD - 1,
                                    MAX_REQUEST + 1,
                                    MAX_REQUEST,
                                    MAX_REQUEST - 1,
                                    MAX_REQUEST - 15,
                                    MAX_REQUEST - OVERHEAD + 1,
                                    MAX_REQUEST - OVERHEAD,
                                    MAX_REQUEST - OVERHEAD - 1,
                                    SIZE_MAX / 2,
                                    SIZE_MAX / 2 + 1,
                                    SIZE_MAX - SIZE_MAX / 4,
                                    MORE_THAN_CAN_BE_HAD};
    uint64_t draw = next_random(random), value = next_random(random);
    if (draw % 64 < 3) {
        return PICK(value, beyond);
    } else if (draw % 64 < 5) {
        return PICK(value, middle);
    } else if (draw % 64 == 5 && value % 16 == 0) {
        /* Rare: Wine's heap asks the system for memory for each of these. */
        return PICK(value / 16, large);
    }
    return draw % 3 == 0   ? (size_t)(value % 2000)
           : draw % 3 == 1 ? (size_t)(value % 200)
                           : PICK(value, borders);
}

/* The random numbers of operation `number`. */
static uint64_t random_of(uint64_t seed, long number) {
    uint64_t random =
        (seed + 1) * 0x9E3779B97F4A7C15ull ^ ((uint64_t)number + 1) * 0xD1B54A32D192ED03ull;
    random = random ? random : 1;
    for (int i = 0; i < 4; i++) {
        next_random(&random);
    }
    return random;
}

/* The transcript, written in large pieces. */
static char transcript[1 << 16];
static size_t transcript_used;

static void flush_transcript(void) {
    DWORD written = 0;
    size_t begun = 0;
    while (begun < transcript_used && WriteFile(GetStdHandle(STD_OUTPUT_HANDLE), transcript + begun,
                                                (DWORD)(transcript_used - begun), &written, NULL)) {
        begun += written;
    }
    transcript_used = 0;
}

static void record(const char *format, ...) {
    if (transcript_used > sizeof transcript - 512) {
        flush_transcript();
    }
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(transcript + transcript_used, 500, format, arguments);
    va_end(arguments);
    transcript_used += length < 0 ? 0 : length > 499 ? 499 : (size_t)length;
    transcript[transcript_used++] = '\n';
}

/* Something that no CRT may do, whatever the other run does. */
#define BROKEN(...)                                                                                \
    do {                                                                                           \
        failures++;                                                                                \
        record("BROKEN: " __VA_ARGS__);                                                            \
    } while (0)

/* The ranges of operations that are kept; all if there are none. */
static struct range {
    long first, last;
} kept[100000];
static int kept_count;
static bool keep_all = true;

static bool read_kept(const char *path) {
    HANDLE file = CreateFileA(path, GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, 0, NULL);
    DWORD size = file == INVALID_HANDLE_VALUE ? 0 : GetFileSize(file, NULL), got = 0;
    char *text =
        size ? VirtualAlloc(NULL, (SIZE_T)size + 1, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE)
             : NULL;
    if (!text || !ReadFile(file, text, size, &got, NULL)) {
        return false;
    }
    char *rest = text;
    while (*rest && kept_count < (int)COUNT_OF(kept)) {
        kept[kept_count].first = strtol(rest, &rest, 10);
        kept[kept_count++].last = strtol(rest, &rest, 10);
        rest += strspn(rest, "\r\n");
    }
    keep_all = false;
    CloseHandle(file);
    return true;
}

static bool is_kept(long number) {
    static int current;
    while (!keep_all && current < kept_count && kept[current].last < number) {
        current++;
    }
    return keep_all || (current < kept_count && kept[current].first <= number);
}
