// build: args -fno-builtin
/* A thousand blocks of every kind are allocated, the harness loads the module, and then each block
 * is read back, sized, and reallocated or freed. Afterwards the old heap is still sound. */

#include "support.h"
#include <malloc.h>
#include <stdlib.h>
#include <wchar.h>

enum kind { PLAIN, ZEROED, RESIZED, ALIGNED, OFFSET_ALIGNED, TEXT, WIDE_TEXT, LARGE, KINDS };

enum { BLOCKS_PER_KIND = 1000 };

struct block {
    void *address;
    size_t size; /* what was asked for */
    size_t alignment; /* of the aligned kinds */
    size_t offset; /* of the offset-aligned kind */
};

static struct block blocks[KINDS][BLOCKS_PER_KIND];

static bool is_aligned_kind(int kind) { return kind == ALIGNED || kind == OFFSET_ALIGNED; }

static uint64_t tag_of(int kind, int index) { return (uint64_t)kind * 100000 + (uint64_t)index; }

static size_t size_of(int kind, int index) {
    static const size_t small[] = {1, 7, 16, 24, 100, 255, 1024, 4000};
    /* Around the largest block of the low-fragmentation heap; few of them, for Wine's heap is slow
     * with these. */
    static const size_t border[] = {0x3fff, 0x4000, 0x4001, 20000};
    if (kind == LARGE) {
        return 0x10000 + (size_t)index * 31;
    }
    return index % 25 == 0 ? border[index / 25 % 4] : small[index % 8] + (size_t)index % 5;
}

static char *text_of(int kind, int index, char buffer[200]) {
    int length = 1 + index % 150;
    for (int i = 0; i < length; i++) {
        buffer[i] = (char)('a' + (pattern(tag_of(kind, index), (size_t)i) % 26));
    }
    buffer[length] = 0;
    return buffer;
}

static void allocate(int kind, int index) {
    struct block *block = &blocks[kind][index];
    char text[200];
    wchar_t wide[200];
    block->size = size_of(kind, index);
    block->alignment = (size_t)1 << (index % 13);
    block->offset = (size_t)index % block->size;
    switch (kind) {
    case ZEROED:
        block->address = calloc(block->size, 1);
        break;
    case RESIZED:
        block->address = realloc(malloc(10), block->size);
        break;
    case ALIGNED:
        block->address = _aligned_malloc(block->size, block->alignment);
        break;
    case OFFSET_ALIGNED:
        block->address = _aligned_offset_malloc(block->size, block->alignment, block->offset);
        break;
    case TEXT:
        block->address = _strdup(text_of(kind, index, text));
        block->size = strlen(text) + 1;
        CHECK(strcmp(block->address, text) == 0, "text block %d differs from its text", index);
        break;
    case WIDE_TEXT:
        block->size = 2 * (size_t)swprintf(wide, 200, L"%hs", text_of(kind, index, text)) + 2;
        block->address = _wcsdup(wide);
        CHECK(wcscmp(block->address, wide) == 0, "wide text block %d differs from its text", index);
        break;
    default:
        block->address = malloc(block->size);
    }
    fill(block->address, block->size, tag_of(kind, index));
}

static void check_contents(int kind, int index, size_t size) {
    size_t good = intact(blocks[kind][index].address, size, tag_of(kind, index));
    CHECK(good == size, "block %d of kind %d changed at byte %zu of %zu", index, kind, good, size);
}

static void check_size(int kind, int index) {
    struct block *block = &blocks[kind][index];
    if (is_aligned_kind(kind) && on_wine_crt()) {
        return; /* Wine's own CRT leaves other rests behind these blocks, and answers with other
                   numbers. */
    }
    if (kind == RESIZED && on_wine_crt() && sizeof(void *) == 4) {
        return; /* The 32-bit heap of Wine 10 answers 17 for some blocks that grew to 9 bytes, in
                   the untouched program too. */
    }
    size_t size = kind == ALIGNED ? _aligned_msize(block->address, block->alignment, 0)
                  : kind == OFFSET_ALIGNED
                      ? _aligned_msize(block->address, block->alignment, block->offset)
                      : _msize(block->address);
    /* A block that mimalloc did not make has the exact size that the old heap knows. */
    CHECK(size == block->size, "block %d of kind %d has size %zu instead of %zu", index, kind, size,
          block->size);
}

static void *resize(const struct block *block, int kind, size_t size) {
    if (kind == ALIGNED) {
        return _aligned_realloc(block->address, size, block->alignment);
    }
    if (kind == OFFSET_ALIGNED) {
        return _aligned_offset_realloc(block->address, size, block->alignment, block->offset);
    }
    return realloc(block->address, size);
}

static void reallocate(int kind, int index) {
    struct block *block = &blocks[kind][index];
    size_t old = block->size;
    size_t size = index % 3 == 0 ? old + 1 : index % 3 == 1 ? old * 2 + 50 : old / 2 + 1;
    if (kind == OFFSET_ALIGNED && block->offset >= size) {
        size = block->offset + 1;
    }
    void *moved = resize(block, kind, size);
    CHECK(moved != NULL, "block %d of kind %d could not be reallocated", index, kind);
    if (!moved) {
        return;
    }
    block->address = moved;
    CHECK(in_current_heap(moved), "reallocated block %d of kind %d is not mimalloc's", index, kind);
    check_contents(kind, index, old < size ? old : size);
    if (is_aligned_kind(kind)) {
        size_t shift = kind == OFFSET_ALIGNED ? block->offset : 0;
        CHECK(aligned_to((char *)moved + shift, block->alignment),
              "reallocated block %d is badly aligned", index);
    }
}

static void release(int kind, int index) {
    if (is_aligned_kind(kind)) {
        _aligned_free(blocks[kind][index].address);
    } else {
        free(blocks[kind][index].address);
    }
}

int main(void) {
    for (int index = 0; index < BLOCKS_PER_KIND; index++) {
        for (int kind = 0; kind < KINDS; kind++) {
            allocate(kind, index);
        }
    }
    HANDLE old_heap = (HANDLE)_get_heap_handle();
    bool before = taken_over();
    meet_harness();
    for (int kind = 0; kind < KINDS; kind++) {
        for (int index = 0; index < BLOCKS_PER_KIND; index++) {
            if (!before) {
                CHECK(!owned(blocks[kind][index].address),
                      "old block %d of kind %d is said to be mimalloc's", index, kind);
                check_size(kind, index);
            }
            check_contents(kind, index, blocks[kind][index].size);
            if (index % 2) {
                reallocate(kind, index);
            }
            release(kind, index);
        }
    }
    CHECK(HeapValidate(old_heap, 0, NULL), "the old heap is damaged");
    CHECK(HeapValidate(GetProcessHeap(), 0, NULL), "the process heap is damaged");
    return verdict();
}
