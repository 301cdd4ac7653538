// build: args -fno-builtin
/* Delay-loaded imports of the heap API, as a linker lays them out: some are resolved before the
 * module comes, which must find them in their table, and one is resolved afterwards by
 * GetProcAddress. */

#include "support.h"

enum { ALLOC, FREE, RESIZE, DELAYED };

struct named_import {
    WORD hint;
    char name[14];
};

static struct named_import names[DELAYED] = {{0, "HeapAlloc"}, {0, "HeapFree"}, {0, "HeapReAlloc"}};
static char library[] = "kernel32.dll";
static HMODULE handle;
static IMAGE_THUNK_DATA name_table[DELAYED + 1];
static void *volatile address_table[DELAYED + 1];
static IMAGE_DELAYLOAD_DESCRIPTOR descriptors[2];

static DWORD offset_of(const volatile void *place) {
    return (DWORD)((const volatile char *)place - (char *)GetModuleHandleA(NULL));
}

/* What stands in a slot that is not resolved: never called here. */
static void not_resolved(void) { CHECK(false, "a slot was called before it was resolved"); }

/* Makes the tables, and enters them in the image's header. */
static void lay_out(void) {
    for (int i = 0; i < DELAYED; i++) {
        name_table[i].u1.AddressOfData = offset_of(&names[i]);
        address_table[i] = (void *)not_resolved;
    }
    descriptors[0] = (IMAGE_DELAYLOAD_DESCRIPTOR){
        .Attributes.AllAttributes = 1,
        .DllNameRVA = offset_of(library),
        .ModuleHandleRVA = offset_of(&handle),
        .ImportAddressTableRVA = offset_of(address_table),
        .ImportNameTableRVA = offset_of(name_table),
    };
    char *image = (char *)GetModuleHandleA(NULL);
    IMAGE_NT_HEADERS *headers = (IMAGE_NT_HEADERS *)(image + ((IMAGE_DOS_HEADER *)image)->e_lfanew);
    IMAGE_DATA_DIRECTORY *directory =
        &headers->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_DELAY_IMPORT];
    DWORD former = 0;
    VirtualProtect(directory, sizeof *directory, PAGE_READWRITE, &former);
    *directory = (IMAGE_DATA_DIRECTORY){offset_of(descriptors), sizeof descriptors};
    VirtualProtect(directory, sizeof *directory, former, &former);
}

/* As the helper function of a linker does at the first call. */
static void resolve(int index) {
    handle = LoadLibraryA(library);
    address_table[index] = exported(handle, names[index].name);
}

int main(void) {
    HANDLE heap = GetProcessHeap();
    lay_out();
    resolve(ALLOC);
    resolve(FREE);
    meet_harness();
    void *(WINAPI * alloc)(HANDLE, DWORD, SIZE_T) = address_table[ALLOC];
    BOOL(WINAPI * free)(HANDLE, DWORD, void *) = address_table[FREE];
    char *block = alloc(heap, 0, 100);
    CHECK(in_current_heap(block), "a delay-loaded HeapAlloc is not served");
    fill(block, 100, 1);
    resolve(RESIZE);
    void *(WINAPI * resize)(HANDLE, DWORD, void *, SIZE_T) = address_table[RESIZE];
    block = resize(heap, 0, block, 5000);
    CHECK(block && intact(block, 100, 1) == 100, "HeapReAlloc, resolved later");
    CHECK(free(heap, 0, block), "a delay-loaded HeapFree does not free");
    CHECK(free(heap, 0, HeapAlloc(heap, 0, 100)), "nor a block of the imported HeapAlloc");
    return verdict();
}
