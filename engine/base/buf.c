/* The buffer doubles, so that n single additions cost n; the cap is checked before any allocation. */
#include "engine/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_init(struct buf *b, size_t cap)
{
	*b = (struct buf){.cap = cap};
}

void buf_done(struct buf *b)
{
	free(b->data);
	*b = (struct buf){.cap = b->cap};
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	if (b->data)
		b->data[0] = '\0';
}

/* Makes room for n more octets and the NUL. */
static int reserve(struct buf *b, size_t n, struct err *err)
{
	if (n > b->cap || b->len > b->cap - n)
		return err_set(err, ERR_MEMORY, "more than the %zu octets that are allowed here", b->cap);
	size_t need = b->len + n + 1;
	if (need <= b->room)
		return 0;
	size_t room = b->room ? b->room : 64;
	while (room < need)
		room = room > SIZE_MAX / 2 ? need : room * 2;
	if (room > b->cap && b->cap < SIZE_MAX)
		room = need > b->cap + 1 ? need : b->cap + 1;
	char *data = realloc(b->data, room);
	if (!data)
		return err_set(err, ERR_MEMORY, "out of memory for a buffer of %zu octets", room);
	b->data = data;
	b->room = room;
	return 0;
}

int buf_add(struct buf *b, const void *data, size_t n, struct err *err)
{
	if (reserve(b, n, err) < 0)
		return -1;
	if (n > 0)
		memcpy(b->data + b->len, data, n);
	b->len += n;
	b->data[b->len] = '\0';
	return 0;
}

int buf_add_str(struct buf *b, const char *s, struct err *err)
{
	return buf_add(b, s, strlen(s), err);
}

int buf_add_char(struct buf *b, char c, struct err *err)
{
	if (b->len + 1 < b->room && b->len < b->cap) { /* the common case, without the calls */
		b->data[b->len++] = c;
		b->data[b->len] = '\0';
		return 0;
	}
	return buf_add(b, &c, 1, err);
}

int buf_vprintf(struct buf *b, struct err *err, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	/* Into the room there is; only what does not fit is formatted twice. */
	size_t room = b->room > b->len ? b->room - b->len : 0;
	int n = vsnprintf(room ? b->data + b->len : NULL, room, fmt, ap);
	int rc = -1;
	if (n < 0) {
		err_set(err, ERR_INTERNAL, "a format failed");
	} else if (reserve(b, (size_t)n, err) == 0) {
		if ((size_t)n >= room)
			vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
		rc = 0;
	}
	if (rc < 0 && b->data)
		b->data[b->len] = '\0';
	va_end(again);
	return rc;
}

int buf_printf(struct buf *b, struct err *err, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int rc = buf_vprintf(b, err, fmt, ap);
	va_end(ap);
	return rc;
}

const char *buf_str(const struct buf *b)
{
	return b->data ? b->data : "";
}

char *buf_take(struct buf *b)
{
	char *data = b->data ? b->data : calloc(1, 1);
	*b = (struct buf){.cap = b->cap};
	return data;
}
