/* The parts of conformance.c: the functions under all their names, the draw of an operation, the
 * live blocks, and what each kind of operation does and records. */

#ifndef ALLOGRAFT_TEST_CONFORMANCE_H
#define ALLOGRAFT_TEST_CONFORMANCE_H

#include "support.h"
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <wchar.h>

#include "conformance_draw.h"
#include "conformance_calls.h"
#include "conformance_perform.h"

#endif
