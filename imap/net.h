/* The stream under libetpan: our socket, TLS, deadlines, stop token and counters, with the filter inside. One thread. */
#ifndef NF_IMAP_NET_H
#define NF_IMAP_NET_H

#include "engine/base/stop.h"
#include "imap/filter.h"
#include "imap/tls.h"
#include "throttle/gate.h"

#include <libetpan/libetpan.h>

struct net;

/* Takes over fd (non-blocking) on success. silence_ms: most time without an octet in either direction. stop may be NULL, borrowed. */
int net_new(struct net **out, int fd, struct stop *stop, int silence_ms, struct err *err);
/* Octets go and come as the line of this gate takes them (borrowed; NULL: as they can). */
void net_set_gate(struct net *n, struct gate *gate);
/* Closes the socket. The stream from net_stream must be gone before. */
void net_free(struct net **n);
/* A stream for mailimap_connect, to be closed with mailstream_close; borrows the net. NULL: memory is out. */
mailstream *net_stream(struct net *n);
/* TLS from here on. deadline by clock_mono_ms. Refuses when octets of the clear are still buffered. */
int net_secure(struct net *n, const struct tls_conf *conf, int64_t deadline, struct tls_facts *facts, struct err *err);
bool net_is_secure(const struct net *n);

/* No wait lasts beyond this moment; 0: only silence counts. */
void net_set_deadline(struct net *n, int64_t deadline);
/* A new answer is awaited. One may take as long as it comes on: it fails (LOST) when it was waited for during 6 silences and a
   millisecond for each octet of it, so that a server that says "still here" for ever is no trap. */
void net_begin_answer(struct net *n);
/* Why the stream failed; kind ERR_NONE if it did not. Writing and reading fail apart: after a failed write what had arrived can
   still be read. */
const struct err *net_failure(const struct net *n);
bool net_is_broken(const struct net *n);
struct filter *net_filter(struct net *n);
/* Reads what there is into the filter, waiting for at least one octet; false: it failed (the next read of the stream says so), or there is no room. */
bool net_fill(struct net *n);
/* So many octets are sure to come soon: a read may wait a moment for them rather than be woken for each few. 0: no more. */
void net_expect(struct net *n, uint64_t octets);
/* filter_peek_line, reading what it takes; false: it is the stream's turn. */
bool net_peek_line(struct net *n, const char **line, size_t *octets);
/* Octets on the wire, TLS included. */
void net_counts(const struct net *n, uint64_t *received, uint64_t *sent);

#endif
