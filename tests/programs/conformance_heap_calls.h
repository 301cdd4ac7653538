/* The functions of the heap API by each way to call them, and what a call changes beside its
 * result. Part of conformance_heap.c. */

typedef void *(WINAPI *alloc_fn)(HANDLE, DWORD, SIZE_T);
typedef void *(WINAPI *realloc_fn)(HANDLE, DWORD, void *, SIZE_T);
typedef ULONG(WINAPI *free_fn)(HANDLE, DWORD, void *);
typedef SIZE_T(WINAPI *size_fn)(HANDLE, DWORD, const void *);
typedef ULONG(WINAPI *validate_fn)(HANDLE, DWORD, const void *);

/* What ntdll exports and the headers lack. */
struct counted_string {
    USHORT length, maximum;
    void *buffer;
};
void *WINAPI RtlAllocateHeap(HANDLE, ULONG, SIZE_T);
void *WINAPI RtlReAllocateHeap(HANDLE, ULONG, void *, SIZE_T);
ULONG WINAPI RtlFreeHeap(HANDLE, ULONG, void *);
SIZE_T WINAPI RtlSizeHeap(HANDLE, ULONG, const void *);
ULONG WINAPI RtlValidateHeap(HANDLE, ULONG, const void *);
BOOLEAN WINAPI RtlGetUserInfoHeap(HANDLE, ULONG, void *, void **, ULONG *);
void WINAPI RtlFreeUnicodeString(struct counted_string *);
void WINAPI RtlFreeAnsiString(struct counted_string *);
void WINAPI RtlFreeOemString(struct counted_string *);
NTSTATUS WINAPI RtlDestroyEnvironment(void *);

static HANDLE heaps[HANDLES];

/* The functions that have several routes come first among all. */
enum { ROUTED = VALIDATE + 1 };
static void *functions[ROUTED][ROUTES];

/* Calls by the import table, which is read anew each time. */
#define IMPORTED(prefix, alloc, realloc, free, size, validate)                                     \
    static void *WINAPI prefix##alloc(HANDLE heap, DWORD flags, SIZE_T bytes) {                    \
        return alloc(heap, flags, bytes);                                                          \
    }                                                                                              \
    static void *WINAPI prefix##realloc(HANDLE heap, DWORD flags, void *block, SIZE_T bytes) {     \
        return realloc(heap, flags, block, bytes);                                                 \
    }                                                                                              \
    static ULONG WINAPI prefix##free(HANDLE heap, DWORD flags, void *block) {                      \
        return (ULONG)free(heap, flags, block);                                                    \
    }                                                                                              \
    static SIZE_T WINAPI prefix##size(HANDLE heap, DWORD flags, const void *block) {               \
        return size(heap, flags, block);                                                           \
    }                                                                                              \
    static ULONG WINAPI prefix##validate(HANDLE heap, DWORD flags, const void *block) {            \
        return (ULONG)validate(heap, flags, block);                                                \
    }

IMPORTED(imported_, HeapAlloc, HeapReAlloc, HeapFree, HeapSize, HeapValidate)
IMPORTED(imported_, RtlAllocateHeap, RtlReAllocateHeap, RtlFreeHeap, RtlSizeHeap, RtlValidateHeap)

/* A pointer that was looked up before the module came leads past it. */
static void look_up_functions(void) {
    static const char *const names[ROUTED][2] = {[ALLOC] = {"HeapAlloc", "RtlAllocateHeap"},
                                                 [REALLOC] = {"HeapReAlloc", "RtlReAllocateHeap"},
                                                 [FREE] = {"HeapFree", "RtlFreeHeap"},
                                                 [BLOCK_SIZE] = {"HeapSize", "RtlSizeHeap"},
                                                 [VALIDATE] = {"HeapValidate", "RtlValidateHeap"}};
    HMODULE kernel32 = GetModuleHandleA("kernel32.dll"), base = GetModuleHandleA("kernelbase.dll"),
            ntdll = GetModuleHandleA("ntdll.dll");
    for (int i = 0; i < ROUTED; i++) {
        functions[i][LOOKED_UP] = exported(kernel32, names[i][0]);
        functions[i][BASE_LOOKED_UP] = exported(base, names[i][0]);
        functions[i][RTL_LOOKED_UP] = exported(ntdll, names[i][1]);
        if (!functions[i][BASE_LOOKED_UP]) {
            functions[i][BASE_LOOKED_UP] = functions[i][LOOKED_UP];
        }
    }
}

/* Where a trapped exception continues. */
static jmp_buf landing;
static volatile bool trap_is_armed;
static volatile DWORD exception;

static void land(void) { longjmp(landing, 1); }

/* Without a frame, `longjmp` does not unwind: there is nothing in between that would want it. */
#ifdef _WIN64
#define SET_LANDING() _setjmp(landing, NULL)
#else
#define SET_LANDING() setjmp(landing)
#endif

static LONG WINAPI trap(EXCEPTION_POINTERS *pointers) {
    if (!trap_is_armed) {
        return EXCEPTION_CONTINUE_SEARCH;
    }
    trap_is_armed = false;
    exception = pointers->ExceptionRecord->ExceptionCode;
    CONTEXT *context = pointers->ContextRecord;
    /* As if the instruction that raised it had called `land`. */
#ifdef _WIN64
    context->Rip = (DWORD64)land;
    context->Rsp = ((context->Rsp - 512) & ~(DWORD64)15) - 8;
#else
    context->Eip = (DWORD)land;
    context->Esp = ((context->Esp - 512) & ~(DWORD)15) - 4;
#endif
    return EXCEPTION_CONTINUE_EXECUTION;
}

enum { UNTOUCHED = 77 };

static char effects[80];

static void before_call(void) {
    exception = 0;
    SetLastError(UNTOUCHED);
    trap_is_armed = true;
}

/* Writes into `effects` what the call has changed. */
static void after_call(void) {
    DWORD error = GetLastError();
    trap_is_armed = false;
    char *end = effects;
    *end = 0;
    if (exception) {
        end += sprintf(end, " exception %lx", exception);
    }
    /* Whether an exception leaves an error code depends on who raised it. */
    if (error != UNTOUCHED && !exception) {
        sprintf(end, " error %lu", error);
    }
}

/* Performs `call`, which may raise an exception; what it assigns is volatile. */
#define TRAPPED(call)                                                                              \
    do {                                                                                           \
        before_call();                                                                             \
        if (!SET_LANDING()) {                                                                      \
            call;                                                                                  \
        }                                                                                          \
        after_call();                                                                              \
    } while (0)

#define ROUTE_OF(operation, function, type) ((type)functions[function][(operation)->route])

static void prepare(void) {
    static char zeroes[4096];
    heaps[PROCESS] = GetProcessHeap();
    heaps[PRIVATE] = HeapCreate(0, 0, 0);
    heaps[BOUNDED] = HeapCreate(0, 0x4000, 0x40000);
    heaps[EXECUTABLE] = HeapCreate(HEAP_CREATE_ENABLE_EXECUTE, 0, 0);
    heaps[NO_HEAP] = NULL;
    heaps[ZEROES] = zeroes;
    void *imports[ROUTED][2] = {
        [ALLOC] = {imported_HeapAlloc, imported_RtlAllocateHeap},
        [REALLOC] = {imported_HeapReAlloc, imported_RtlReAllocateHeap},
        [FREE] = {imported_HeapFree, imported_RtlFreeHeap},
        [BLOCK_SIZE] = {imported_HeapSize, imported_RtlSizeHeap},
        [VALIDATE] = {imported_HeapValidate, imported_RtlValidateHeap},
    };
    for (int i = 0; i < ROUTED; i++) {
        functions[i][IMPORT] = imports[i][0];
        functions[i][RTL_IMPORT] = imports[i][1];
    }
    look_up_functions();
    AddVectoredExceptionHandler(1, trap);
}
