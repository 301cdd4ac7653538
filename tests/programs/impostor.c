// build: args -fno-builtin
/* Does what a text file of its own name beside it says, in place of a program of `allograft verify`
 * whose check must notice it. Lines: `print TEXT`, `meet` (the harness), `crash`, `hang`, `exit N`.
 */

#include "support.h"
#include <stdlib.h>

static void perform(char *line) {
    line[strcspn(line, "\r\n")] = 0;
    char *rest = strchr(line, ' ');
    rest = rest ? rest + 1 : line + strlen(line);
    if (strncmp(line, "print", 5) == 0) {
        say("%s", rest);
    } else if (strcmp(line, "meet") == 0) {
        meet_harness();
    } else if (strcmp(line, "crash") == 0) {
        TerminateProcess(GetCurrentProcess(), EXCEPTION_ACCESS_VIOLATION);
    } else if (strcmp(line, "hang") == 0) {
        Sleep(INFINITE);
    } else if (strncmp(line, "exit", 4) == 0) {
        TerminateProcess(GetCurrentProcess(), (UINT)strtoul(rest, NULL, 0));
    }
}

int main(void) {
    char path[MAX_PATH + 4], line[500];
    GetModuleFileNameA(NULL, path, MAX_PATH);
    strcpy(strrchr(path, '.'), ".txt");
    FILE *told = fopen(path, "r");
    while (told && fgets(line, sizeof line, told)) {
        perform(line);
    }
    return 0;
}
