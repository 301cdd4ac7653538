/* The file name of the module that takes this program over. */
#pragma once

#define MODULE_NAME (sizeof(void *) == 4 ? "allograft32.dll" : "allograft.dll")

/* The variant that checks every free. */
#define CHECKING_MODULE_NAME (sizeof(void *) == 4 ? "allograft32-check.dll" : "allograft-check.dll")
