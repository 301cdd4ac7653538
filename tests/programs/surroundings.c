// build: args -fno-builtin -ladvapi32 -lole32
/* Starts itself in surroundings that the system restricts, and allocates there while the harness
 * loads the module: `surroundings NAME`, with a name of the table below. The program that is
 * started asks the system first whether it is restricted so: if not it ends with 2 and a line that
 * begins with `not tried`. `surroundings NAME PROGRAM …` starts another program there. */

#include "traffic.h"
#include <sddl.h>

enum { PASSED, FAILED, NOT_TRIED };
enum { WORKERS = 4, LOW = 0x1000, MEDIUM = 0x2000, HIGH = 0x3000, IS_APP_CONTAINER = 29 };

enum { MITIGATION_POLICY = 0x20007, SECURITY_CAPABILITIES_OF = 0x20009 };

/* What a process is given when it is created, and how the system confirms it: by flags of a
 * mitigation policy, by an integrity level, or as a process in an AppContainer. */
struct surroundings {
    const char *name;
    uint64_t policies[2];
    int policy;
    DWORD flags;
    DWORD integrity;
    bool container;
};

/* The values are those of winbase.h, the flags those of the structures that
 * GetProcessMitigationPolicy fills. */
static const struct surroundings table[] = {
    {.name = "none"},
    {.name = "cfg", .policies = {1ull << 40}, .policy = 7, .flags = 1},
    {.name = "strict-cfg", .policies = {1ull << 40, 1ull << 8}, .policy = 7, .flags = 1 | 4},
    {.name = "export-suppression", .policies = {3ull << 40}, .policy = 7, .flags = 1 | 2},
    {.name = "no-dynamic-code", .policies = {1ull << 36}, .policy = 2, .flags = 1},
    {.name = "microsoft-signed", .policies = {1ull << 44}, .policy = 8, .flags = 1},
    {.name = "store-signed", .policies = {3ull << 44}, .policy = 8, .flags = 2},
    {.name = "shadow-stack", .policies = {0, 3ull << 28}, .policy = 15, .flags = 1 | 16},
    {.name = "system32-first", .policies = {1ull << 60}, .policy = 10, .flags = 4},
    {.name = "low-integrity", .integrity = LOW},
    {.name = "medium-integrity", .integrity = MEDIUM},
    {.name = "elevated", .integrity = HIGH},
    {.name = "container", .container = true},
};

static int not_tried(const char *what, DWORD error) {
    say("not tried: %s (error %lu)", what, error);
    return NOT_TRIED;
}

static HANDLE own_token(DWORD rights) {
    HANDLE token = NULL;
    return OpenProcessToken(GetCurrentProcess(), rights, &token) ? token : NULL;
}

/* This process's integrity level; 0 if the system has none. */
static DWORD integrity(void) {
    union {
        TOKEN_MANDATORY_LABEL label;
        unsigned char bytes[100];
    } found;
    DWORD used;
    HANDLE token = own_token(TOKEN_QUERY);
    BOOL known = GetTokenInformation(token, TokenIntegrityLevel, &found, sizeof found, &used);
    CloseHandle(token);
    return known ? *GetSidSubAuthority(found.label.Label.Sid, 0) : 0;
}

static bool in_container(void) {
    DWORD is = 0, used;
    HANDLE token = own_token(TOKEN_QUERY);
    BOOL known = GetTokenInformation(token, IS_APP_CONTAINER, &is, sizeof is, &used);
    CloseHandle(token);
    return known && is;
}

/* Wine says of every program that it is elevated, and protects none from another. */
static bool is_wine(void) { return exported(GetModuleHandleA("ntdll.dll"), "wine_get_version"); }

/* Whether this process is in `wanted`, as the system says. */
static bool confirm(const struct surroundings *wanted) {
    DWORD flags = 0, level = integrity();
    if (wanted->flags) {
        BOOL(WINAPI * query)(HANDLE, int, void *, SIZE_T) =
            exported(GetModuleHandleA("kernel32.dll"), "GetProcessMitigationPolicy");
        if (!query || !query(GetCurrentProcess(), wanted->policy, &flags, sizeof flags)) {
            flags = 0;
        }
    }
    bool confirmed = (flags & wanted->flags) == wanted->flags &&
                     (!wanted->integrity || (level == wanted->integrity && !is_wine())) &&
                     (!wanted->container || in_container());
    if (!confirmed && wanted->integrity == HIGH && !is_wine()) {
        say("not tried: this is not an elevated command prompt");
    } else if (!confirmed) {
        say("not tried: the system does not confirm it (policy %lx, integrity %lx)", flags, level);
    }
    return confirmed;
}

static struct traffic traffics[WORKERS];

/* In the surroundings: threads allocate across the takeover, or without one where it is refused. */
static int work(const struct surroundings *wanted) {
    if (!confirm(wanted)) {
        return NOT_TRIED;
    }
    say("confirmed: %s", wanted->name);
    HANDLE threads[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        traffics[i].random = seed_of(5, (uint64_t)i);
        threads[i] = start_thread(operate_until_stop, &traffics[i]);
    }
    meet_harness();
    Sleep(50);
    stop_and_check(threads, COUNT_OF(threads));
    say(taken_over() ? "taken over" : "on its own heap");
    return verdict();
}

/* A token of this process's user at the level `wanted`; NULL if the system makes none. */
static HANDLE token_at(DWORD wanted) {
    SID_IDENTIFIER_AUTHORITY authority = SECURITY_MANDATORY_LABEL_AUTHORITY;
    TOKEN_MANDATORY_LABEL label = {.Label.Attributes = SE_GROUP_INTEGRITY};
    HANDLE own = own_token(TOKEN_ALL_ACCESS), token = NULL;
    if (!AllocateAndInitializeSid(&authority, 1, wanted, 0, 0, 0, 0, 0, 0, 0, &label.Label.Sid)) {
        return NULL;
    }
    if (!DuplicateTokenEx(own, TOKEN_ALL_ACCESS, NULL, SecurityImpersonation, TokenPrimary,
                          &token) ||
        !SetTokenInformation(token, TokenIntegrityLevel, &label,
                             sizeof label + GetLengthSid(label.Label.Sid))) {
        token = NULL;
    }
    CloseHandle(own);
    FreeSid(label.Label.Sid);
    return token;
}

#define CONTAINER L"allograft.verify"

/* The package's identifier, for which a profile is made; NULL if the system has no AppContainers.
 */
static PSID make_container(void) {
    HMODULE userenv = LoadLibraryA("userenv.dll");
    HRESULT(WINAPI * create)(const WCHAR *, const WCHAR *, const WCHAR *, void *, DWORD, PSID *) =
        exported(userenv, "CreateAppContainerProfile");
    HRESULT(WINAPI * derive)(const WCHAR *, PSID *) =
        exported(userenv, "DeriveAppContainerSidFromAppContainerName");
    PSID package = NULL;
    if (create && derive && FAILED(create(CONTAINER, CONTAINER, CONTAINER, NULL, 0, &package)) &&
        FAILED(derive(CONTAINER, &package))) {
        package = NULL;
    }
    return package;
}

static void remove_container(void) {
    HRESULT(WINAPI * remove)(const WCHAR *) =
        exported(GetModuleHandleA("userenv.dll"), "DeleteAppContainerProfile");
    if (remove) {
        remove(CONTAINER);
    }
}

/* Creates the process of `line` in the surroundings, and gives it this one's standard streams. */
static DWORD create(const struct surroundings *wanted, WCHAR *line, PROCESS_INFORMATION *created) {
    SECURITY_CAPABILITIES capabilities = {0};
    unsigned char list[256];
    SIZE_T size = sizeof list;
    STARTUPINFOEXW startup = {.StartupInfo = {.cb = sizeof startup},
                              .lpAttributeList = (void *)list};
    startup.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
    startup.StartupInfo.hStdInput = GetStdHandle(STD_INPUT_HANDLE);
    startup.StartupInfo.hStdOutput = GetStdHandle(STD_OUTPUT_HANDLE);
    startup.StartupInfo.hStdError = GetStdHandle(STD_ERROR_HANDLE);
    if (!InitializeProcThreadAttributeList(startup.lpAttributeList, 1, 0, &size)) {
        return GetLastError();
    }
    HANDLE token = NULL;
    if (wanted->integrity && wanted->integrity != HIGH && !(token = token_at(wanted->integrity))) {
        return GetLastError();
    }
    if (wanted->container && !(capabilities.AppContainerSid = make_container())) {
        return ERROR_NOT_SUPPORTED;
    }
    /* The second number of policies is unknown to older systems. */
    size_t policies = sizeof wanted->policies[0] * (wanted->policies[1] ? 2 : 1);
    if ((wanted->flags &&
         !UpdateProcThreadAttribute(startup.lpAttributeList, 0, MITIGATION_POLICY,
                                    (void *)wanted->policies, policies, NULL, NULL)) ||
        (wanted->container &&
         !UpdateProcThreadAttribute(startup.lpAttributeList, 0, SECURITY_CAPABILITIES_OF,
                                    &capabilities, sizeof capabilities, NULL, NULL))) {
        return GetLastError();
    }
    DWORD flags = EXTENDED_STARTUPINFO_PRESENT;
    BOOL started = token ? CreateProcessAsUserW(token, NULL, line, NULL, NULL, TRUE, flags, NULL,
                                                NULL, &startup.StartupInfo, created)
                         : CreateProcessW(NULL, line, NULL, NULL, TRUE, flags, NULL, NULL,
                                          &startup.StartupInfo, created);
    return started ? 0 : GetLastError();
}

/* Behind the program's name and one argument, which have no blanks inside but in quotes. */
static const WCHAR *third_argument(void) {
    const WCHAR *at = GetCommandLineW();
    for (int i = 0; i < 2; i++) {
        for (bool quoted = false; *at && (quoted || *at != L' '); at++) {
            quoted ^= *at == L'"';
        }
        while (*at == L' ') {
            at++;
        }
    }
    return at;
}

static int start(const struct surroundings *wanted) {
    static WCHAR line[32768], own[32768];
    const WCHAR *program = third_argument();
    GetModuleFileNameW(NULL, own, COUNT_OF(own));
    swprintf(line, COUNT_OF(line), *program ? L"%ls" : L"\"%ls\" %hs inside",
             *program ? program : own, wanted->name);
    PROCESS_INFORMATION created;
    DWORD error = create(wanted, line, &created);
    DWORD code = FAILED;
    if (error) {
        code = (DWORD)not_tried("the system starts no program so", error);
    } else {
        WaitForSingleObject(created.hProcess, INFINITE);
        GetExitCodeProcess(created.hProcess, &code);
    }
    if (wanted->container) {
        remove_container();
    }
    return (int)code;
}

int main(int count, char **arguments) {
    for (size_t i = 0; count > 1 && i < COUNT_OF(table); i++) {
        if (strcmp(arguments[1], table[i].name) == 0) {
            bool inside = count > 2 && strcmp(arguments[2], "inside") == 0;
            return inside ? work(&table[i]) : start(&table[i]);
        }
    }
    say("there are no surroundings of this name");
    return FAILED;
}
