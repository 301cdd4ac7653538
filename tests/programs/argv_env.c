// build: args -municode
/* Prints what it was started with: arguments, working directory, two variables, its standard input;
 * writes one line to standard error; ends with the exit code in the variable ALLOGRAFT_TEST_EXIT.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <windows.h>

static void print(const char *label, const wchar_t *text) {
    char utf8[4096];
    WideCharToMultiByte(CP_UTF8, 0, text, -1, utf8, sizeof utf8, NULL, NULL);
    printf("%s[%s]\n", label, utf8);
}

int wmain(int count, wchar_t **arguments) {
    wchar_t value[1024] = L"";
    for (int i = 1; i < count; i++) {
        print("argument ", arguments[i]);
    }
    GetCurrentDirectoryW(1024, value);
    print("directory ", value);
    if (GetEnvironmentVariableW(L"ALLOGRAFT_TEST_VALUE", value, 1024)) {
        print("variable ", value);
    }
    char input[256];
    size_t length = fread(input, 1, sizeof input, stdin);
    printf("input [%.*s]\n", (int)length, input);
    fflush(stdout);
    fprintf(stderr, "a line on standard error\n");
    return GetEnvironmentVariableW(L"ALLOGRAFT_TEST_EXIT", value, 1024)
               ? (int)wcstoul(value, NULL, 0)
               : 0;
}
