/* Waits for a line on standard input and ends with the exit code in its first argument, 0 if there
 * is none. */

#include "support.h"
#include <stdlib.h>

int main(int count, char **arguments) {
    meet_harness();
    return count > 1 ? atoi(arguments[1]) : 0;
}
