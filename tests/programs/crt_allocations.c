// build: args -fno-builtin
/* What the CRT itself allocated before the takeover and frees after it, and the other way round:
 * locales, streams and their buffers, tables of exit functions, per-thread data. */

#include "support.h"
#include <errno.h>
#include <locale.h>
#include <process.h>
#include <stdlib.h>
#include <time.h>
#include <wchar.h>

static int exit_functions_run;
static int exit_functions_wanted;

static void at_exit(void) { exit_functions_run++; }

/* Registered first, hence run last. */
static void report_at_exit(void) {
    if (exit_functions_run != exit_functions_wanted) {
        say("FAILED: %d of %d exit functions were run", exit_functions_run, exit_functions_wanted);
        _exit(1);
    }
    say("every exit function was run");
}

static void register_exit_functions(int count) {
    for (int i = 0; i < count; i++) {
        CHECK(atexit(at_exit) == 0, "atexit failed");
    }
    exit_functions_wanted += count;
}

static FILE *open_scratch(const char *when) {
    FILE *stream = tmpfile();
    CHECK(stream != NULL, "tmpfile failed %s the meeting", when);
    return stream;
}

static void write_lines(FILE *stream, int from, int to) {
    for (int i = from; i < to; i++) {
        fprintf(stream, "line %d of a file\n", i);
    }
}

static void read_back(FILE *stream, int count) {
    char line[64], expected[64];
    rewind(stream);
    for (int i = 0; i < count; i++) {
        snprintf(expected, sizeof expected, "line %d of a file\n", i);
        CHECK(fgets(line, sizeof line, stream) && strcmp(line, expected) == 0, "line %d reads %s",
              i, line);
    }
    CHECK(fclose(stream) == 0, "fclose failed with errno %d", errno);
}

static void many_streams(FILE *streams[], int count) {
    for (int i = 0; i < count; i++) {
        streams[i] = fopen("NUL", "r+");
        CHECK(streams[i] != NULL, "stream %d could not be opened", i);
    }
}

static void close_streams(FILE *streams[], int count) {
    for (int i = 0; i < count; i++) {
        CHECK(streams[i] && fclose(streams[i]) == 0, "stream %d could not be closed", i);
    }
}

/* Makes the CRT allocate data for the thread, on both sides of the meeting. */
struct worker {
    HANDLE started, go_on, thread;
};

static unsigned __stdcall with_thread_data(void *parameter) {
    struct worker *worker = parameter;
    time_t now = 1000000000;
    char text[] = "one two";
    strtok(text, " ");
    CHECK(gmtime(&now) && gmtime(&now)->tm_year == 101, "gmtime is wrong before the meeting");
    SetEvent(worker->started);
    WaitForSingleObject(worker->go_on, 60000);
    CHECK(gmtime(&now)->tm_year == 101, "gmtime is wrong after the meeting");
    CHECK(strerror(ENOMEM) != NULL, "strerror failed");
    CHECK(strtok(NULL, " ") && asctime(gmtime(&now)), "strtok or asctime failed");
    return 0;
}

static void start(struct worker *worker) {
    worker->started = CreateEventA(NULL, TRUE, FALSE, NULL);
    worker->go_on = CreateEventA(NULL, TRUE, FALSE, NULL);
    worker->thread = (HANDLE)_beginthreadex(NULL, 0, with_thread_data, worker, 0, NULL);
    CHECK(WaitForSingleObject(worker->started, 30000) == WAIT_OBJECT_0, "a thread did not start");
}

static void finish(struct worker *worker) {
    SetEvent(worker->go_on);
    await_threads(&worker->thread, 1);
}

enum { STREAMS = 40, LINES = 2000 };

int main(void) {
    static FILE *before[STREAMS], *after[STREAMS];
    struct worker old_thread, new_thread;
    atexit(report_at_exit);
    register_exit_functions(50);
    FILE *written = open_scratch("before");
    setvbuf(written, NULL, _IOFBF, 30000);
    write_lines(written, 0, LINES / 2);
    many_streams(before, STREAMS);
    CHECK(setlocale(LC_ALL, "") != NULL, "the user's locale could not be set");
    _putenv_s("ALLOGRAFT_KEPT", "before");
    start(&old_thread);

    meet_harness();

    CHECK(setlocale(LC_ALL, "C") != NULL, "the C locale could not be set");
    CHECK(setlocale(LC_ALL, "") != NULL, "the user's locale could not be set again");
    CHECK(setlocale(LC_NUMERIC, "C") != NULL, "one category could not be set");
    write_lines(written, LINES / 2, LINES);
    many_streams(after, STREAMS);
    close_streams(before, STREAMS);
    close_streams(after, STREAMS);
    read_back(written, LINES);
    FILE *second = open_scratch("after");
    write_lines(second, 0, LINES);
    read_back(second, LINES);
    register_exit_functions(200);
    CHECK(strcmp(getenv("ALLOGRAFT_KEPT"), "before") == 0, "a variable was lost");
    _putenv_s("ALLOGRAFT_KEPT", "a longer value than before");
    CHECK(strcmp(getenv("ALLOGRAFT_KEPT"), "a longer value than before") == 0,
          "a variable was not changed");
    _putenv_s("ALLOGRAFT_KEPT", "");
    start(&new_thread);
    finish(&new_thread);
    finish(&old_thread);
    return verdict();
}
