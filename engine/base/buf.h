/* A growing byte buffer with a cap: what a peer, a file or a row sized goes through it. Owned by one thread. */
#ifndef NF_BASE_BUF_H
#define NF_BASE_BUF_H

#include "engine/base/err.h"

#include <stdarg.h>
#include <stdint.h>

struct buf {
	char *data;  /* owned; always NUL-terminated at data[len] once anything was added, NULL before */
	size_t len;  /* bytes in use */
	size_t room; /* bytes allocated */
	size_t cap;  /* most bytes it may hold */
};

void buf_init(struct buf *b, size_t cap);
void buf_done(struct buf *b);
void buf_clear(struct buf *b); /* len = 0, the room is kept */
/* All return 0, or -1 with ERR_MEMORY when the cap would be passed; the buffer is then unchanged. */
int buf_add(struct buf *b, const void *data, size_t n, struct err *err);
int buf_add_str(struct buf *b, const char *s, struct err *err);
int buf_add_char(struct buf *b, char c, struct err *err);
int buf_printf(struct buf *b, struct err *err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int buf_vprintf(struct buf *b, struct err *err, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));
/* "" for an empty buffer; borrowed until the next change. */
const char *buf_str(const struct buf *b);
/* Hands the bytes over (NUL-terminated, yours to free); the buffer is empty afterwards. */
char *buf_take(struct buf *b);

#endif
