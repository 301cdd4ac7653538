/* Takes its time before any code of its own runs, as a program does whose DLLs are looked at by
 * security software, and prints a line then. */

#include "support.h"

static void NTAPI take_time(void *module, DWORD reason, void *reserved) {
    (void)module, (void)reserved;
    if (reason == DLL_PROCESS_ATTACH) {
        Sleep(2500);
    }
}

__attribute__((section(".CRT$XLC"), used)) static PIMAGE_TLS_CALLBACK callback = take_time;

int main(void) {
    say("begun");
    return 0;
}
