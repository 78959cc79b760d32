/* A secret: zeroed when freed, kept out of core dumps, and no format accepts it. One owner. */
#ifndef NF_BASE_SECRET_H
#define NF_BASE_SECRET_H

#include "engine/base/err.h"

#include <stdbool.h>

struct secret;

/* Copies n bytes. NULL only when memory is out. */
struct secret *secret_new(const void *bytes, size_t n);
struct secret *secret_copy(const struct secret *s);
/* Reads a file (0600 expected: others' read right is ERR_USAGE unless the file is not a regular one), one trailing
   line end dropped, at most 64 KiB. path "-" reads standard input's first line. */
int secret_read_file(struct secret **out, const char *path, struct err *err);
/* The same for what may be public, such as a certificate: others may read it unless it holds a private key. */
int secret_read_public(struct secret **out, const char *path, struct err *err);
/* Borrowed; NUL-terminated for convenience. The caller never stores, logs or prints it. */
const char *secret_bytes(const struct secret *s);
size_t secret_len(const struct secret *s);
bool secret_equal(const struct secret *a, const struct secret *b); /* constant time */
void secret_free(struct secret **s);
/* Zeroes n bytes so that the compiler cannot drop it. */
void secret_wipe(void *p, size_t n);
/* At process start: no core dumps (RLIMIT_CORE 0, PR_SET_DUMPABLE 0). */
void secret_no_core(void);

#endif
