// build: shared
/* Takes its time to be loaded and unloaded, and with it the loader's lock. */

#include <windows.h>

BOOL WINAPI DllMain(HINSTANCE module, DWORD reason, void *reserved) {
    (void)module;
    if (reason == DLL_PROCESS_ATTACH || (reason == DLL_PROCESS_DETACH && !reserved)) {
        Sleep(40);
    }
    return TRUE;
}
