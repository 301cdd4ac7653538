// build: args -luser32
/* Opens a program as Explorer does, with a console of its own, and uses its window by the keyboard.
 *
 * The first argument is a file with what to do, a step in each line; the others are the program and
 * its arguments. The steps:
 *
 *   choose TEXT   moves the focus with Tab to the control whose text begins so, and presses the
 * space bar wait TEXT     waits until a control's text contains this meet          lets the harness
 * look: says `ready`, and waits for its line close         presses Escape, and waits for the
 * program's end
 *
 * Texts are read from the controls themselves, as a screen reader reads them. */

#include "support.h"

enum { PATIENCE = 60000, PAUSE = 100, MOST_CONTROLS = 64 };

static DWORD program;
static HWND dialog;

static BOOL CALLBACK find_dialog(HWND window, LPARAM unused) {
    DWORD owner = 0;
    wchar_t class[32];
    GetWindowThreadProcessId(window, &owner);
    GetClassNameW(window, class, COUNT_OF(class));
    if (owner == program && IsWindowVisible(window) && wcscmp(class, L"#32770") == 0) {
        dialog = window;
        return FALSE;
    }
    return TRUE;
}

struct controls {
    int count;
    HWND windows[MOST_CONTROLS];
};

static BOOL CALLBACK add_control(HWND window, LPARAM list) {
    struct controls *controls = (struct controls *)list;
    if (controls->count < MOST_CONTROLS && IsWindowVisible(window)) {
        controls->windows[controls->count++] = window;
    }
    return TRUE;
}

/* The visible controls of the dialog; the dialog of a program that has just begun may not be there
 * yet. */
static struct controls controls(void) {
    struct controls found = {0};
    if (!IsWindow(dialog)) {
        EnumWindows(find_dialog, 0);
    }
    EnumChildWindows(dialog, add_control, (LPARAM)&found);
    return found;
}

/* The text of a control of another process, in UTF-8. */
static const char *text_of(HWND window) {
    static char text[8192];
    wchar_t units[4096] = L"";
    DWORD_PTR length = 0;
    SendMessageTimeoutW(window, WM_GETTEXT, COUNT_OF(units), (LPARAM)units, SMTO_ABORTIFHUNG, 1000,
                        &length);
    WideCharToMultiByte(CP_UTF8, 0, units, -1, text, sizeof text, NULL, NULL);
    return text;
}

static void print_texts(void) {
    struct controls now = controls();
    for (int i = 0; i < now.count; i++) {
        for (const char *line = text_of(now.windows[i]); *line;) {
            int length = (int)strcspn(line, "\r\n");
            say("%.*s", length < 500 ? length : 500, line);
            line += length;
            line += strspn(line, "\r\n");
        }
    }
}

static void press(WORD key) {
    INPUT inputs[2] = {{.type = INPUT_KEYBOARD}, {.type = INPUT_KEYBOARD}};
    inputs[0].ki.wVk = inputs[1].ki.wVk = key;
    inputs[1].ki.dwFlags = KEYEVENTF_KEYUP;
    if (GetForegroundWindow() != dialog) {
        SetForegroundWindow(dialog);
    }
    SendInput(2, inputs, sizeof *inputs);
    Sleep(PAUSE);
}

static HWND focused(void) {
    GUITHREADINFO info = {.cbSize = sizeof info};
    GetGUIThreadInfo(GetWindowThreadProcessId(dialog, NULL), &info);
    return info.hwndFocus;
}

static bool wait_for(const char *wanted) {
    for (DWORD waited = 0; waited < PATIENCE; waited += PAUSE) {
        struct controls now = controls();
        for (int i = 0; i < now.count; i++) {
            if (strstr(text_of(now.windows[i]), wanted)) {
                return true;
            }
        }
        Sleep(PAUSE);
    }
    return false;
}

static bool choose(const char *wanted) {
    for (int i = 0; i < MOST_CONTROLS; i++) {
        HWND control = focused();
        if (control && strncmp(text_of(control), wanted, strlen(wanted)) == 0) {
            press(VK_SPACE);
            return true;
        }
        press(VK_TAB);
    }
    return false;
}

static void perform(char *step, HANDLE process) {
    char *argument = strchr(step, ' ');
    argument = argument ? argument + 1 : step + strlen(step);
    bool done = true;
    if (strncmp(step, "choose ", 7) == 0) {
        done = choose(argument);
    } else if (strncmp(step, "wait ", 5) == 0) {
        done = wait_for(argument);
    } else if (strcmp(step, "meet") == 0) {
        print_texts();
        meet_harness();
    } else if (strcmp(step, "close") == 0) {
        /* Not Escape, for which Wine's dialogs need a button Cancel. */
        done = choose("&Close") && WaitForSingleObject(process, PATIENCE) == WAIT_OBJECT_0;
    } else {
        done = false;
    }
    CHECK(done, "this step was not possible: %s", step);
    if (!done) {
        print_texts();
    }
}

/* The program and its arguments, as they stand on this program's command line. */
static wchar_t *rest_of_command_line(int words) {
    wchar_t *line = GetCommandLineW();
    bool quoted = false;
    for (; *line && words > 0; line++) {
        quoted ^= *line == L'"';
        if (*line == L' ' && !quoted && line[1] != L' ') {
            words--;
        }
    }
    return line;
}

int main(int count, char **arguments) {
    FILE *steps = count > 2 ? fopen(arguments[1], "r") : NULL;
    CHECK(steps != NULL, "there are no steps");
    if (!steps) {
        return verdict();
    }
    STARTUPINFOW startup = {.cb = sizeof startup};
    PROCESS_INFORMATION started;
    wchar_t *line = rest_of_command_line(2);
    BOOL begun = CreateProcessW(NULL, line, NULL, NULL, FALSE, CREATE_NEW_CONSOLE, NULL, NULL,
                                &startup, &started);
    CHECK(begun, "the program cannot be started: error %lu", GetLastError());
    program = begun ? started.dwProcessId : 0;
    for (DWORD waited = 0; begun && !dialog && waited < PATIENCE; waited += PAUSE) {
        Sleep(PAUSE);
        EnumWindows(find_dialog, 0);
    }
    CHECK(dialog != NULL, "the program opens no window");
    char step[1024];
    while (dialog && failures == 0 && fgets(step, sizeof step, steps)) {
        step[strcspn(step, "\r\n")] = 0;
        perform(step, started.hProcess);
    }
    fclose(steps);
    if (begun && failures > 0) {
        TerminateProcess(started.hProcess, 1);
    }
    return verdict();
}
