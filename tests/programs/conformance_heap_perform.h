/* The live blocks, and what each kind of operation does with them and records. Part of
 * conformance_heap.c. */

struct slot {
    void *address;
    size_t size;
    uint64_t tag;
    int heap;
    /* From LocalAlloc, GlobalAlloc or their kin: the system keeps the address as a handle. */
    bool has_handle;
    /* What the system keeps for the block's user is not compared: the block has a stale handle, as
     * it was resized, or was made or resized with flags of the user's own. */
    bool is_unclear;
};

static struct slot slots[SLOTS];

static void verify(const struct slot *slot, const void *address, size_t size, const char *when) {
    size_t good = intact(address, size, slot->tag);
    if (good != size) {
        BROKEN("the block of %zu bytes with tag %llu is changed at byte %zu %s", size,
               (unsigned long long)slot->tag, good, when);
    }
}

static void expect_zero(const unsigned char *bytes, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        if (bytes[i]) {
            BROKEN("byte %zu of %zu to %zu is not zero", i, from, to);
            return;
        }
    }
}

#define USER_FLAGS 0xF00

static void hold(struct slot *slot, void *address, size_t size, int heap,
                 const struct operation *operation) {
    bool is_unclear = slot->is_unclear || slot->has_handle || operation->flags & USER_FLAGS;
    *slot = (struct slot){address, size, (uint64_t)operation->number, heap, false, is_unclear};
    fill(address, size, slot->tag);
}

static void empty(struct slot *slot) {
    if (slot->address) {
        verify(slot, slot->address, slot->size, "before it is freed");
        if (!HeapFree(heaps[slot->heap], 0, slot->address)) {
            BROKEN("a block of %zu bytes cannot be freed", slot->size);
        }
        *slot = (struct slot){0};
    }
}

/* Whether the slot holds a block of the process's heap; a block of another one is freed. */
static bool holds_process_block(struct slot *slot) {
    if (slot->heap != PROCESS) {
        empty(slot);
    }
    return slot->address != NULL;
}

static const char *alignment_of(const void *address) {
    return aligned_to(address, BLOCK_ALIGNMENT) ? "aligned" : "MISALIGNED";
}

/* What `result` is to the caller who gave `block`. */
static const char *kind_of(const void *result, const void *block) {
    return !result ? "NULL" : result == block ? "same" : "block";
}

/* Everything up to the arguments. */
#define CALL "%ld %s%s(%s, %lx"
#define CALL_OF(operation, heap)                                                                   \
    (operation)->number, (operation)->function < ROUTED ? route_names[(operation)->route] : "",    \
        function_names[(operation)->function], heap_names[heap], (operation)->flags

static void perform_alloc(const struct operation *operation, struct slot *slot) {
    empty(slot);
    void *volatile block = NULL;
    alloc_fn alloc = ROUTE_OF(operation, ALLOC, alloc_fn);
    TRAPPED(block = alloc(heaps[operation->heap], operation->flags, operation->size));
    record(CALL ", %zx) -> %s %s%s", CALL_OF(operation, operation->heap), operation->size,
           kind_of(block, NULL), alignment_of(block), effects);
    if (block) {
        if (operation->flags & HEAP_ZERO_MEMORY) {
            expect_zero(block, 0, operation->size);
        }
        hold(slot, block, operation->size, operation->heap, operation);
    }
}

/* Takes over the result of a reallocation to `size`. */
static void settle(const struct operation *operation, struct slot *slot, void *result, size_t size,
                   bool zeroes) {
    size_t kept = slot->size < size ? slot->size : size;
    if (!result) {
        verify(slot, slot->address, slot->size, "by a failed reallocation");
        return;
    }
    verify(slot, result, kept, "by a reallocation");
    if (zeroes) {
        expect_zero(result, slot->size, size);
    }
    hold(slot, result, size, slot->heap, operation);
}

/* A heap may find room behind a block or not: either answer to a reallocation that must not move is
 * fine, and afterwards the block has the same size in either run. */
static void settle_in_place(const struct operation *operation, struct slot *slot, void *result) {
    bool told = operation->flags & HEAP_GENERATE_EXCEPTIONS
                    ? exception == (DWORD)STATUS_NO_MEMORY
                    : !exception && GetLastError() == ERROR_NOT_ENOUGH_MEMORY;
    bool zeroes = (operation->flags & HEAP_ZERO_MEMORY) != 0;
    if (result ? result != slot->address || effects[0] : !told) {
        BROKEN("in place: %s%s", kind_of(result, slot->address), effects);
    }
    if (!result) {
        verify(slot, slot->address, slot->size, "by a refused reallocation");
        result = HeapReAlloc(heaps[slot->heap], operation->flags & HEAP_ZERO_MEMORY, slot->address,
                             operation->size);
    }
    if (result) {
        settle(operation, slot, result, operation->size, zeroes);
    } else if (slot->heap != BOUNDED) {
        BROKEN("a block could not be reallocated to %zu bytes", operation->size);
    }
}

static void perform_realloc(const struct operation *operation, struct slot *slot) {
    bool given = slot->address && !operation->null;
    void *address = given ? slot->address : NULL;
    int heap = given ? slot->heap : operation->heap;
    size_t old = slot->size, size = operation->size;
    void *volatile result = NULL;
    if (given) {
        verify(slot, address, old, "before a reallocation");
    }
    realloc_fn call = ROUTE_OF(operation, REALLOC, realloc_fn);
    TRAPPED(result = call(heaps[heap], operation->flags, address, size));
    bool in_place = operation->flags & HEAP_REALLOC_IN_PLACE_ONLY;
    /* Wine's heap does not shrink a block that has pages of its own to one that has not. */
    bool may_fail = size > old || old >= SMALLEST_OF_PAGES;
    if (given && in_place && may_fail && size <= LARGEST_DRAWN) {
        record(CALL ", block of %zx, %zx)", CALL_OF(operation, heap), old, size);
        settle_in_place(operation, slot, result);
        return;
    }
    record(CALL ", %s of %zx, %zx) -> %s %s%s", CALL_OF(operation, heap), given ? "block" : "NULL",
           given ? old : 0, size, kind_of(result, in_place ? address : NULL), alignment_of(result),
           effects);
    if (given) {
        settle(operation, slot, result, size, (operation->flags & HEAP_ZERO_MEMORY) != 0);
    } else if (result) {
        hold(slot, result, size, heap, operation);
    }
}

static void perform_free(const struct operation *operation, struct slot *slot) {
    bool given = slot->address && !operation->null;
    int heap = given ? slot->heap : operation->heap;
    if (given) {
        verify(slot, slot->address, slot->size, "before it is freed");
    }
    volatile ULONG result = 0;
    free_fn call = ROUTE_OF(operation, FREE, free_fn);
    TRAPPED(result = call(heaps[heap], operation->flags, given ? slot->address : NULL));
    record(CALL ", %s) -> %lx%s", CALL_OF(operation, heap), given ? "block" : "NULL", result,
           effects);
    if (given) {
        *slot = (struct slot){0};
    }
}

static void perform_size(const struct operation *operation, struct slot *slot) {
    bool given = slot->address && !operation->null;
    int heap = given ? slot->heap : operation->heap;
    volatile SIZE_T size = 0;
    size_fn call = ROUTE_OF(operation, BLOCK_SIZE, size_fn);
    TRAPPED(size = call(heaps[heap], operation->flags, given ? slot->address : NULL));
    record(CALL ", %s) -> %zx%s", CALL_OF(operation, heap), given ? "block" : "NULL", size,
           effects);
}

/* Without a block the whole heap is validated. */
static void perform_validate(const struct operation *operation, struct slot *slot) {
    bool given = slot->address && !operation->null;
    int heap = given ? slot->heap : operation->heap % HEAPS;
    volatile ULONG result = 0;
    validate_fn call = ROUTE_OF(operation, VALIDATE, validate_fn);
    TRAPPED(result = call(heaps[heap], operation->flags, given ? slot->address : NULL));
    record(CALL ", %s) -> %lx%s", CALL_OF(operation, heap), given ? "block" : "all", result,
           effects);
}

/* Those who hand out blocks of the process's heap by functions of their own. */
static void perform_other_alloc(const struct operation *operation, struct slot *slot) {
    empty(slot);
    /* LocalAlloc and GlobalAlloc ask the heap for one byte where they are asked for none. */
    size_t size = 1 + operation->size % 5000;
    bool zeroes = operation->flags & HEAP_ZERO_MEMORY && operation->function != TASK_ALLOC;
    void *volatile block = NULL;
    switch (operation->function) {
    case LOCAL_ALLOC:
        TRAPPED(block = LocalAlloc(zeroes ? LPTR : LMEM_FIXED, size));
        break;
    case GLOBAL_ALLOC:
        TRAPPED(block = GlobalAlloc(zeroes ? GPTR : GMEM_FIXED, size));
        break;
    default:
        TRAPPED(block = CoTaskMemAlloc(size));
    }
    record(CALL ", %zx) -> %s %s%s", CALL_OF(operation, PROCESS), size, kind_of(block, NULL),
           alignment_of(block), effects);
    if (block) {
        if (zeroes) {
            expect_zero(block, 0, size);
        }
        hold(slot, block, size, PROCESS, operation);
        slot->has_handle = operation->function != TASK_ALLOC;
    }
}

/* By functions that resize any block of the process's heap. */
static void perform_other_realloc(const struct operation *operation, struct slot *slot) {
    if (!holds_process_block(slot)) {
        return;
    }
    size_t size = 1 + operation->size % 5000;
    bool zeroes = operation->flags & HEAP_ZERO_MEMORY && operation->function != TASK_REALLOC;
    UINT flags = LMEM_MOVEABLE | (zeroes ? LMEM_ZEROINIT : 0);
    void *address = slot->address;
    void *volatile result = NULL;
    verify(slot, address, slot->size, "before a reallocation");
    switch (operation->function) {
    case LOCAL_REALLOC:
        TRAPPED(result = LocalReAlloc(address, size, flags));
        break;
    case GLOBAL_REALLOC:
        TRAPPED(result = GlobalReAlloc(address, size, flags));
        break;
    default:
        TRAPPED(result = CoTaskMemRealloc(address, size));
    }
    record(CALL ", block of %zx, %zx) -> %s %s%s", CALL_OF(operation, PROCESS), slot->size, size,
           kind_of(result, NULL), alignment_of(result), effects);
    settle(operation, slot, result, size, zeroes);
    slot->has_handle |= operation->function != TASK_REALLOC;
}

/* By functions that free any block of the process's heap. */
static void perform_other_free(const struct operation *operation, struct slot *slot) {
    if (!holds_process_block(slot)) {
        return;
    }
    void *address = slot->address;
    volatile uintptr_t result = 0;
    verify(slot, address, slot->size, "before it is freed");
    switch (operation->function) {
    case LOCAL_FREE:
        TRAPPED(result = (uintptr_t)LocalFree(address));
        break;
    case GLOBAL_FREE:
        TRAPPED(result = (uintptr_t)GlobalFree(address));
        break;
    case TASK_FREE:
        TRAPPED(CoTaskMemFree(address));
        break;
    case FREE_ENVIRONMENT:
        TRAPPED(result = (uintptr_t)FreeEnvironmentStringsW(address));
        break;
    case FREE_SID:
        TRAPPED(result = (uintptr_t)FreeSid(address));
        break;
    default:
        TRAPPED(result = (uintptr_t)RtlDestroyEnvironment(address));
    }
    bool same = result == (uintptr_t)address;
    record(CALL ", block) -> %s%zx%s", CALL_OF(operation, PROCESS), same ? "same " : "",
           same ? 0 : result, effects);
    *slot = (struct slot){0};
}

/* By functions that free a string and forget it. */
static void perform_string_free(const struct operation *operation, struct slot *slot) {
    if (!holds_process_block(slot)) {
        return;
    }
    struct counted_string string = {2, 4, slot->address};
    verify(slot, slot->address, slot->size, "before it is freed");
    switch (operation->function) {
    case FREE_UNICODE:
        TRAPPED(RtlFreeUnicodeString(&string));
        break;
    case FREE_ANSI:
        TRAPPED(RtlFreeAnsiString(&string));
        break;
    default:
        TRAPPED(RtlFreeOemString(&string));
    }
    record(CALL ", block) -> %u %u %s%s", CALL_OF(operation, PROCESS), string.length,
           string.maximum, string.buffer ? "KEPT" : "NULL", effects);
    *slot = (struct slot){0};
}

/* By functions that answer something about any block of the process's heap. */
static void perform_question(const struct operation *operation, struct slot *slot) {
    if (!holds_process_block(slot) || slot->is_unclear) {
        return;
    }
    void *address = slot->address, *value = NULL;
    ULONG user_flags = 0;
    volatile uintptr_t result = 0;
    switch (operation->function) {
    case LOCAL_SIZE:
        TRAPPED(result = LocalSize(address));
        break;
    case GLOBAL_SIZE:
        TRAPPED(result = GlobalSize(address));
        break;
    case LOCAL_FLAGS:
        TRAPPED(result = LocalFlags(address));
        break;
    case GLOBAL_FLAGS:
        TRAPPED(result = GlobalFlags(address));
        break;
    case LOCAL_HANDLE:
        TRAPPED(result = (uintptr_t)LocalHandle(address) == (uintptr_t)address);
        break;
    case GLOBAL_HANDLE:
        TRAPPED(result = (uintptr_t)GlobalHandle(address) == (uintptr_t)address);
        break;
    default:
        /* A block from LocalAlloc has a value, which it loses when it moves to another heap. */
        TRAPPED(result = RtlGetUserInfoHeap(heaps[PROCESS], 0, address, &value, &user_flags));
    }
    record(CALL ", block) -> %zx%s", CALL_OF(operation, PROCESS), result, effects);
}

/* The handle of another heap, or of none: the heaps of the system cannot take it, the takeover
 * does. Whichever it is, the block is freed afterwards. */
static void perform_wrong_heap(const struct operation *operation, struct slot *slot) {
    int other = operation->heap == slot->heap ? PRIVATE : operation->heap;
    if (!slot->address || !owned(slot->address)) {
        empty(slot);
    } else {
        verify(slot, slot->address, slot->size, "before it is freed");
        size_t size = ROUTE_OF(operation, BLOCK_SIZE, size_fn)(heaps[other], 0, slot->address);
        ULONG freed = ROUTE_OF(operation, FREE, free_fn)(heaps[other], 0, slot->address);
        if (size != slot->size || !freed) {
            BROKEN("%s: size %zx instead of %zx, freed %lx", heap_names[other], size, slot->size,
                   freed);
        }
        *slot = (struct slot){0};
    }
    record("%ld %s", operation->number, function_names[WRONG_HEAP]);
}

/* A block of the old heap's, after it was freed. Wine's heap recognises it; Windows ends the
 * process if it is freed again. */
static void perform_twice(const struct operation *operation, struct slot *slot) {
    static int on_wine = -1;
    if (on_wine < 0) {
        on_wine = exported(GetModuleHandleA("ntdll.dll"), "wine_get_version") != NULL;
    }
    empty(slot);
    HANDLE heap = heaps[PROCESS];
    void *block = ((alloc_fn)functions[ALLOC][LOOKED_UP])(heap, 0, 1 + operation->size % 20000);
    volatile ULONG valid = 2, freed = 2;
    volatile SIZE_T size = 0;
    if (on_wine && block && ROUTE_OF(operation, FREE, free_fn)(heap, 0, block)) {
        TRAPPED(valid = ROUTE_OF(operation, VALIDATE, validate_fn)(heap, 0, block));
        record("%ld validate a freed block -> %lx%s", operation->number, valid, effects);
        TRAPPED(size = ROUTE_OF(operation, BLOCK_SIZE, size_fn)(heap, 0, block));
        record("%ld size of a freed block -> %zx%s", operation->number, size, effects);
        TRAPPED(freed = ROUTE_OF(operation, FREE, free_fn)(heap, 0, block));
        record("%ld free a freed block -> %lx%s", operation->number, freed, effects);
    }
}
