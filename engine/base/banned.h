/* Functions that do not compile here, with what to use instead. Included by every file through -include. */
#ifndef NF_BASE_BANNED_H
#define NF_BASE_BANNED_H

/* The system's headers first: poison would trip over their declarations. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#undef sprintf /* glibc makes these macros for clang with _FORTIFY_SOURCE */
#undef vsprintf

#pragma GCC poison strcpy strcat sprintf vsprintf gets strncpy strncat /* buf, snprintf */
#pragma GCC poison strtok gmtime localtime asctime ctime               /* strtok_r, clock */
#pragma GCC poison atoi atol atoll                                     /* strtoll with checks */
#pragma GCC poison system popen tmpnam mktemp                          /* posix_spawn, O_TMPFILE */

#endif
