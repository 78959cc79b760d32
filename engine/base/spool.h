/* The octets of one message: small ones in memory, larger ones in an unlinked file. One writer, then many readers. */
#ifndef NF_BASE_SPOOL_H
#define NF_BASE_SPOOL_H

#include "engine/base/err.h"

#include <stdint.h>

struct spool;

/* dir: a folder for the unlinked files (borrowed for the call). expected: octets announced, decides memory or file
   (SPOOL_MEMORY_BYTES); more or fewer may be written. */
#define SPOOL_MEMORY_BYTES ((uint64_t)256 * 1024)
int spool_new(struct spool **out, const char *dir, uint64_t expected, struct err *err);
/* ERR_DISK when the disk is full. */
int spool_write(struct spool *s, const void *data, size_t n, struct err *err);
/* Reads up to n octets at offset into data; *got is 0 at the end only. Safe from several threads once writing is over. */
int spool_read(const struct spool *s, uint64_t offset, void *data, size_t n, size_t *got, struct err *err);
uint64_t spool_size(const struct spool *s);
/* The octets when they are in memory, else NULL; borrowed. */
const char *spool_memory(const struct spool *s);
void spool_free(struct spool **s);

#endif
