/* The live blocks, and what each kind of operation does with them and records. Part of
 * conformance.c. */

struct slot {
    void *address;
    size_t size; /* what was last asked for */
    size_t zero_from; /* from here on `_recalloc` must zero: beyond `size` where a block was shrunk
                         in place */
    size_t alignment; /* 0: a plain block */
    size_t offset;
    uint64_t tag;
    /* Resized with another alignment: where the CRT resized in place, its `_aligned_msize` is no
     * longer exact. */
    bool size_unclear;
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

static void hold(struct slot *slot, void *address, size_t size, size_t alignment, size_t offset,
                 long number) {
    /* The CRT asks its heap for one byte where it is asked for none. */
    size_t zero_from = size || alignment ? size : 1;
    *slot = (struct slot){address, size, zero_from, alignment, offset, (uint64_t)number, false};
    fill(address, size, slot->tag);
}

static void drop(struct slot *slot) { *slot = (struct slot){0}; }

static void release(struct slot *slot) {
    verify(slot, slot->address, slot->size, "before it is freed");
    if (slot->alignment) {
        ((block_fn)addresses[ALIGNED_FREE][PUBLIC_NAME])(slot->address);
    } else {
        ((block_fn)addresses[FREE][PUBLIC_NAME])(slot->address);
    }
    drop(slot);
}

static void empty(struct slot *slot) {
    if (slot->address) {
        release(slot);
        before_call();
    }
}

/* Before a call that resizes the block in the slot if it is `given`, and else makes one. */
static void prepare_resize(struct slot *slot, bool given) {
    if (given) {
        verify(slot, slot->address, slot->size, "before a reallocation");
    } else {
        empty(slot);
    }
}

/* Whether the slot holds a block that the functions of plain blocks (or of aligned ones) may be
 * given; frees the other kind. */
static bool usable(struct slot *slot, bool aligned) {
    if ((slot->alignment != 0) != aligned) {
        empty(slot);
    }
    return slot->address != NULL;
}

static const char *alignment_of(const void *address, size_t alignment) {
    return aligned_to(address, alignment) ? "aligned" : "MISALIGNED";
}

/* Everything up to the arrow of a line, but the arguments. */
#define CALL "%ld %s%s%s"
#define CALL_OF(operation)                                                                         \
    (operation)->number, (operation)->name >= O_NAME ? "_o_" : "",                                 \
        function_names[(operation)->function], (operation)->name % 2 ? "_base" : ""

static void *duplicate(const struct operation *operation, size_t *size) {
    static char text[2048];
    static wchar_t wide[2048];
    size_t length = operation->extra % 2000;
    for (size_t i = 0; i < length; i++) {
        text[i] = (char)('a' + pattern(operation->extra, i) % 26);
        wide[i] = (wchar_t)text[i];
    }
    text[length] = 0;
    wide[length] = 0;
    bool is_wide = operation->function == WCSDUP;
    const void *source = operation->null ? NULL : is_wide ? (void *)wide : (void *)text;
    void *copy = ((copy_fn)function_of(operation))(source);
    *size = (length + 1) * (is_wide ? sizeof(wchar_t) : 1);
    if (copy && memcmp(copy, source, *size) != 0) {
        BROKEN("the copy of a string differs from it");
    }
    return copy;
}

static void perform_new_plain(const struct operation *operation, struct slot *slot) {
    size_t size = operation->size, count = 1;
    void *block;
    empty(slot);
    if (operation->function == MALLOC) {
        block = ((one_size_fn)function_of(operation))(size);
    } else if (operation->function == CALLOC) {
        count = operation->count;
        block = ((two_sizes_fn)function_of(operation))(count, size);
    } else {
        block = duplicate(operation, &size);
    }
    struct effects effects = after_call();
    record(CALL "(%zx, %zx) -> %s %s%s", CALL_OF(operation), count, size, block ? "block" : "NULL",
           alignment_of(block, BLOCK_ALIGNMENT), effects.text);
    if (!block) {
        return;
    }
    if (operation->function == CALLOC) {
        expect_zero(block, 0, count * size);
    }
    hold(slot, block, count * size, 0, 0, operation->number);
}

/* Records a resize and takes over its result: a moved block, a freed one, or the old one where it
 * failed. */
static void settle(const struct operation *operation, struct slot *slot, bool given, void *result,
                   size_t size, bool zeroes, struct effects effects) {
    bool freed = given && !result && effects.error == UNTOUCHED;
    size_t kept = given ? (slot->size < size ? slot->size : size) : 0;
    record(CALL "(%s, %zx * %zx, %zx, %zx) -> %s%s", CALL_OF(operation), given ? "block" : "NULL",
           operation->count, operation->size, operation->alignment, operation->offset,
           result  ? "block"
           : freed ? "freed"
                   : "NULL",
           effects.text);
    if (result) {
        verify(slot, result, kept, "by a reallocation");
        if (zeroes && !(given && slot->size_unclear)) {
            expect_zero(result, given ? slot->zero_from : 0, size);
        }
    } else if (freed) {
        drop(slot);
    } else if (given) {
        verify(slot, slot->address, slot->size, "by a failed reallocation");
    }
}

static void perform_resize_plain(const struct operation *operation, struct slot *slot) {
    bool given = usable(slot, false) && !operation->null;
    bool array = operation->function == RECALLOC;
    void *address = given ? slot->address : NULL;
    size_t size = operation->size * (array ? operation->count : 1);
    prepare_resize(slot, given);
    void *function = function_of(operation);
    void *result = array
                       ? ((block_two_sizes_fn)function)(address, operation->count, operation->size)
                       : ((block_size_fn)function)(address, size);
    settle(operation, slot, given, result, size, array, after_call());
    if (result) {
        if (!aligned_to(result, BLOCK_ALIGNMENT)) {
            record("MISALIGNED");
        }
        hold(slot, result, size, 0, 0, operation->number);
    }
}

/* A heap may refuse to resize in place or not; either answer is fine, and afterwards the block has
 * the same size in either run. */
static void perform_expand(const struct operation *operation, struct slot *slot) {
    bool given = usable(slot, false) && !operation->null;
    void *address = given ? slot->address : NULL;
    void *result = ((block_size_fn)function_of(operation))(address, operation->size);
    struct effects effects = after_call();
    bool decided = !given || operation->size > MAX_REQUEST;
    record(CALL "(%s, %zx)%s%s", CALL_OF(operation), given ? "block" : "NULL", operation->size,
           !decided ? ""
           : result ? " -> block"
                    : " -> NULL",
           decided ? effects.text : "");
    if (!given || decided) {
        return;
    }
    if (result ? result != address || effects.error != UNTOUCHED : effects.error != ENOMEM) {
        BROKEN("_expand moved the block, or set errno %d with the result %s", effects.error,
               result ? "block" : "NULL");
    }
    bool shrinks = operation->size < slot->size;
    size_t size = shrinks ? operation->size : slot->size;
    verify(slot, address, size, "by _expand");
    void *settled = address;
    if ((result != NULL) != shrinks) {
        settled = realloc(address, size ? size : 1);
    }
    if (!settled) {
        BROKEN("a block could not be reallocated to %zu bytes", size);
        return;
    }
    size_t zero_from =
        slot->zero_from > operation->size || !result ? slot->zero_from : operation->size;
    slot->address = settled;
    slot->size = size;
    slot->zero_from = zero_from > size ? zero_from : size ? size : 1;
}

static void perform_size(const struct operation *operation, struct slot *slot) {
    bool aligned = operation->function == ALIGNED_MSIZE;
    bool given = usable(slot, aligned) && !operation->null;
    void *address = given ? slot->address : NULL;
    size_t alignment = given ? slot->alignment : operation->alignment;
    size_t offset = given ? slot->offset : operation->offset;
    void *function = function_of(operation);
    size_t size = aligned ? ((aligned_size_fn)function)(address, alignment, offset)
                          : ((size_fn)function)(address);
    struct effects effects = after_call();
    if (given) {
        bool enough = size >= slot->size || slot->size_unclear;
        if (sizes_are_exact && !slot->size_unclear) {
            record(CALL "(block of %zx) -> %zx%s", CALL_OF(operation), slot->size, size,
                   effects.text);
        } else {
            record(CALL "(block of %zx) -> %s%s", CALL_OF(operation), slot->size,
                   enough ? "enough" : "TOO SMALL", effects.text);
        }
    } else {
        record(CALL "(NULL) -> %zx%s", CALL_OF(operation), size, effects.text);
    }
}

static void perform_free(const struct operation *operation, struct slot *slot) {
    bool given = usable(slot, operation->function == ALIGNED_FREE) && !operation->null;
    if (given) {
        verify(slot, slot->address, slot->size, "before it is freed");
    }
    ((block_fn)function_of(operation))(given ? slot->address : NULL);
    struct effects effects = after_call();
    record(CALL "(%s)%s", CALL_OF(operation), given ? "block" : "NULL", effects.text);
    if (given) {
        drop(slot);
    }
}

static void *call_aligned(const struct operation *operation, void *address) {
    void *function = function_of(operation);
    size_t size = operation->size, count = operation->count, alignment = operation->alignment,
           offset = operation->offset;
    switch (operation->function) {
    case ALIGNED_MALLOC:
        return ((two_sizes_fn)function)(size, alignment);
    case OFFSET_MALLOC:
        return ((three_sizes_fn)function)(size, alignment, offset);
    case ALIGNED_REALLOC:
        return ((block_two_sizes_fn)function)(address, size, alignment);
    case OFFSET_REALLOC:
        return ((block_three_sizes_fn)function)(address, size, alignment, offset);
    case ALIGNED_RECALLOC:
        return ((block_three_sizes_fn)function)(address, count, size, alignment);
    default:
        return ((block_four_sizes_fn)function)(address, count, size, alignment, offset);
    }
}

static bool power_of_two(size_t number) { return number && !(number & (number - 1)); }

/* The operation with the alignment and offset that may be given for the block in the slot. */
static struct operation fitted(const struct operation *operation, const struct slot *slot,
                               bool given) {
    struct operation fitted = *operation;
    bool array = operation->function == ALIGNED_RECALLOC || operation->function == OFFSET_RECALLOC;
    /* An array may be resized only with the alignment and the offset that it was made with; a bad
     * alignment stays bad. */
    bool must_fit = operation->tame || (array && power_of_two(operation->alignment));
    if (given && (must_fit || (!array && operation->own_alignment))) {
        fitted.alignment = slot->alignment;
        fitted.offset = slot->offset;
    }
    if (given && array && must_fit && slot->offset) {
        fitted.function = OFFSET_RECALLOC;
    }
    bool shifted = fitted.function == OFFSET_MALLOC || fitted.function == OFFSET_REALLOC ||
                   fitted.function == OFFSET_RECALLOC;
    fitted.offset = shifted ? fitted.offset : 0;
    return fitted;
}

static void perform_aligned(const struct operation *operation, struct slot *slot) {
    bool makes = operation->function == ALIGNED_MALLOC || operation->function == OFFSET_MALLOC;
    bool array = operation->function == ALIGNED_RECALLOC || operation->function == OFFSET_RECALLOC;
    bool given = usable(slot, true) && !operation->null && !makes;
    size_t size = operation->size * (array ? operation->count : 1);
    struct operation call = fitted(operation, slot, given);
    prepare_resize(slot, given);
    bool unclear = given && (slot->size_unclear || call.alignment != slot->alignment ||
                             call.offset != slot->offset);
    void *result = call_aligned(&call, given ? slot->address : NULL);
    settle(&call, slot, given, result, size, array, after_call());
    if (result) {
        if (!aligned_to((char *)result + call.offset, call.alignment)) {
            record("MISALIGNED");
        }
        hold(slot, result, size, call.alignment, call.offset, operation->number);
        /* A CRT that needs taming has a layout of its own for aligned blocks, with another rest
         * behind them. */
        slot->size_unclear = unclear || operation->tame;
    }
}

static void perform_environment(const struct operation *operation, struct slot *slot) {
    char name[32], value[64];
    wchar_t wide_name[32];
    unsigned variable = (unsigned)(operation->extra >> 8) % VARIABLES;
    snprintf(name, sizeof name, "ALLOGRAFT_V%u", variable);
    swprintf(wide_name, 32, L"ALLOGRAFT_V%u", variable);
    if (operation->function == PUTENV) {
        size_t length = (operation->extra >> 16) % 50;
        snprintf(value, sizeof value, "%.*s", (int)length,
                 "a value that is cut at another place each time it is set");
        int result = ((put_environment_fn)function_of(operation))(name, value);
        record(CALL "(%u, %zu) -> %d", CALL_OF(operation), variable, length, result);
        return;
    }
    size_t size = 99;
    void *copy = (void *)1;
    int result = operation->function == DUPENV
                     ? ((narrow_environment_fn)function_of(operation))(
                           operation->null ? NULL : (char **)&copy, &size, name)
                     : ((wide_environment_fn)function_of(operation))(
                           operation->null ? NULL : (wchar_t **)&copy, &size, wide_name);
    struct effects effects = after_call();
    bool block = copy != NULL && copy != (void *)1;
    if (operation->function == DUPENV) {
        record(CALL "(%u) -> %d %s %zu%s", CALL_OF(operation), variable, result,
               block ? (char *)copy : "none", size, effects.text);
    } else {
        record(CALL "(%u) -> %d %ls %zu%s", CALL_OF(operation), variable, result,
               block ? (wchar_t *)copy : L"none", size, effects.text);
    }
    if (block) {
        ((block_fn)addresses[FREE][PUBLIC_NAME])(copy);
    }
}

static void perform_new_mode(const struct operation *operation, struct slot *slot) {
    int mode = (int)(operation->extra >> 20 & 1);
    current_retries = operation->retries;
    int old = ((int (*)(int))function_of(operation))(mode);
    record(CALL "(%d) -> %d", CALL_OF(operation), mode, old);
}
