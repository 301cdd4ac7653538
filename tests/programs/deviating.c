/* Stands in for `conformance` and answers one call differently once the module is there: the
 * comparison of transcripts must see it. */

#include "support.h"

int main(void) {
    meet_harness();
    say("0 malloc(1, 64) -> %s", taken_over() ? "NULL" : "block");
    say("heap sound");
    return 0;
}
