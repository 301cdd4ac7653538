// The system's header, by a name that some sources give it, on a file system that tells case.
#include <windows.h>
