/* The file name of the module that takes this program over. */
#pragma once

#define MODULE_NAME (sizeof(void *) == 4 ? "allograft32.dll" : "allograft.dll")
