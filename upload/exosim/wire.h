/* One connection, buffered, with or without TLS. The session's thread only, but wire_fd for shutdown from others. */
#ifndef NF_EXOSIM_WIRE_H
#define NF_EXOSIM_WIRE_H

#include "engine/base/err.h"
#include "engine/base/stop.h"

#include <stdbool.h>
#include <stdint.h>

struct wire;
struct wire_tls; /* the server's certificate and key; shared, any thread */

int wire_tls_new(struct wire_tls **out, const char *cert_file, const char *key_file, struct err *err);
void wire_tls_free(struct wire_tls **t);

/* Takes the socket over (non-blocking from now on). stop: ends every wait at STOP_NOW; borrowed. */
struct wire *wire_new(int fd, struct stop *stop);
void wire_free(struct wire **w);
/* The server's side of the handshake. */
int wire_accept(struct wire *w, const struct wire_tls *tls, int64_t timeout_ms, struct err *err);
/* A plain connection to a numeric address. */
int wire_connect(struct wire **out, const char *host, unsigned port, struct stop *stop, struct err *err);
int wire_fd(const struct wire *w);

/* What was read and not yet used. The bytes stay in place until the next fill. */
const char *wire_data(const struct wire *w);
size_t wire_have(const struct wire *w);
void wire_skip(struct wire *w, size_t n);
/* Reads what is there: 1 something came, 0 nothing now (or the buffer is full), -1 the end. */
int wire_fill(struct wire *w);
/* The same, but waits. 0: nothing within timeout_ms. */
int wire_wait(struct wire *w, int64_t timeout_ms);
#define WIRE_ROOM ((size_t)128 * 1024) /* most bytes that wire_have can grow to */

/* Buffered; what fails is remembered, later calls do nothing. */
void wire_put(struct wire *w, const void *data, size_t n);
void wire_put_str(struct wire *w, const char *s);
void wire_printf(struct wire *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* 0, or -1: the connection is gone. */
int wire_flush(struct wire *w);
bool wire_is_broken(const struct wire *w);
/* The end without a goodbye: no close_notify, no answer. What was flushed before still arrives. */
void wire_drop(struct wire *w);
/* Limits what is read and written from now on; 0: no limit. */
void wire_set_rate(struct wire *w, uint64_t bytes_per_s);

#endif
