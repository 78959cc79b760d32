/* One process at a time: an OFD lock on a file beside what it protects. */
#ifndef NF_BASE_LOCK_H
#define NF_BASE_LOCK_H

#include "engine/base/err.h"

struct lock;

/* Takes the lock or fails at once: ERR_CONFLICT names the holder's process id when it is known. The file is made 0600. */
int lock_take(struct lock **out, const char *path, struct err *err);
/* 1: somebody holds it (pid in *pid, 0 if unknown), 0: free or no such file. */
int lock_is_held(const char *path, int *pid);
void lock_free(struct lock **l);

#endif
