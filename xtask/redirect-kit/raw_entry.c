// The entry point of a mimalloc.dll that is built with MI_WIN_INIT_USE_RAW_DLLMAIN: mimalloc begins
// before the DLL's own C runtime does, and ends after it. Microsoft's start-up code calls
// `_pRawDllMain` by itself; that of MinGW-w64 knows nothing of it.

#include <stdbool.h>
#include <windows.h>

typedef BOOL(WINAPI *entry_point)(HINSTANCE, DWORD, LPVOID);

BOOL WINAPI DllMainCRTStartup(HINSTANCE module, DWORD reason, LPVOID reserved);

// mimalloc's own entry point, which it declares as data.
extern PVOID _pRawDllMain;

BOOL WINAPI raw_entry(HINSTANCE module, DWORD reason, LPVOID reserved) {
    entry_point mimalloc = (entry_point)_pRawDllMain;
    bool begins = reason == DLL_PROCESS_ATTACH || reason == DLL_THREAD_ATTACH;
    if (begins) {
        return mimalloc(module, reason, reserved) && DllMainCRTStartup(module, reason, reserved);
    }
    BOOL has_ended = DllMainCRTStartup(module, reason, reserved);
    return mimalloc(module, reason, reserved) && has_ended;
}
