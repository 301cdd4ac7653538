// Runs a program that does not belong to the bench and measures it from outside: an operation is
// one run of the command line in the variable BENCH_COMMAND; the checksum is that of its output.

#include "driver.h"

enum { SAMPLING_MILLISECONDS = 10 };

static uint64_t output_sum;

/* Reads the pipe until its last writer has ended. */
static DWORD WINAPI sum_up(void *pipe) {
    char bytes[4096];
    DWORD got = 0;
    output_sum = 0;
    while (ReadFile(pipe, bytes, sizeof bytes, &got, NULL) && got > 0) {
        for (DWORD i = 0; i < got; i++) {
            output_sum = output_sum * 31 + (unsigned char)bytes[i];
        }
    }
    return 0;
}

/* Samples the peak of memory until the process ends; Wine forgets it then. */
static void watch(HANDLE process) {
    do {
        PROCESS_MEMORY_COUNTERS counters = {};
        counters.cb = sizeof counters;
        if (K32GetProcessMemoryInfo(process, &counters, sizeof counters) &&
            counters.PeakWorkingSetSize > memory.peak) {
            memory.peak = counters.PeakWorkingSetSize;
        }
    } while (WaitForSingleObject(process, SAMPLING_MILLISECONDS) == WAIT_TIMEOUT);
}

static uint64_t run_once(char *command) {
    SECURITY_ATTRIBUTES inherited = {sizeof inherited, NULL, TRUE};
    HANDLE from = NULL, to = NULL;
    CHECK(CreatePipe(&from, &to, &inherited, 0), "there is no pipe: system error %lu",
          GetLastError());
    SetHandleInformation(from, HANDLE_FLAG_INHERIT, 0);
    STARTUPINFOA start = {};
    start.cb = sizeof start;
    start.dwFlags = STARTF_USESTDHANDLES;
    start.hStdOutput = start.hStdError = to;
    PROCESS_INFORMATION process = {};
    bool started = CreateProcessA(NULL, command, NULL, NULL, TRUE, 0, NULL, NULL, &start, &process);
    CHECK(started, "%s cannot be started: system error %lu", command, GetLastError());
    CloseHandle(to);
    HANDLE reader = CreateThread(NULL, 0, sum_up, from, 0, NULL);
    watch(process.hProcess);
    WaitForSingleObject(reader, INFINITE);
    DWORD code = 1;
    GetExitCodeProcess(process.hProcess, &code);
    CHECK(started && code == 0, "%s ended with the exit code %lu", command, code);
    CloseHandle(process.hProcess);
    CloseHandle(process.hThread);
    CloseHandle(reader);
    CloseHandle(from);
    return output_sum;
}

static uint64_t run(uint64_t operations) {
    static char command[4096];
    uint64_t sum = 0;
    for (uint64_t i = 0; i < operations; i++) {
        DWORD length = GetEnvironmentVariableA("BENCH_COMMAND", command, sizeof command);
        CHECK(length > 0 && length < sizeof command, "BENCH_COMMAND names no command");
        sum = sum * 31 + run_once(command);
    }
    return sum;
}

WORKLOADS({"real", NULL, run})
