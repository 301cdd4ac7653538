/* The import address table slot of the function `name`, as the linker calls it; it puts an
 * underscore before C's names on x86. */
#pragma once

#if defined(_WIN64)
#define IMPORT(name) __imp_##name
#else
#define IMPORT(name) _imp__##name
#endif
