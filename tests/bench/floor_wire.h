/* What the floors share: a TLS connection to an IMAP server of our own, and lines in and out. Every fault ends the program. */
#ifndef NF_BENCH_FLOOR_WIRE_H
#define NF_BENCH_FLOOR_WIRE_H

#include <openssl/ssl.h>
#include <stdbool.h>

#define FLOOR_LINE 8192

struct wire {
	SSL *ssl;
	char in[65536];
	size_t at, end; /* what was read and not taken yet */
	char out[65536];
	size_t pending;
};

_Noreturn void floor_die(const char *what);
/* Only the CA of that file is trusted. */
SSL_CTX *floor_trust(const char *ca);
struct wire *floor_dial(SSL_CTX *ctx, const char *port);
void floor_flush(struct wire *w);
void floor_put(struct wire *w, const char *data, size_t n);
void floor_fill(struct wire *w);
/* One line without its CR LF. */
void floor_line(struct wire *w, char *line);
/* Reads until the tagged answer and wants OK. */
void floor_wait_ok(struct wire *w, const char *tag);
void floor_login(struct wire *w, const char *user, const char *pass);
/* Asks for all of a folder; then each message's line, whose literal follows, until false: it was the last. */
void floor_fetch(struct wire *w, const char *folder);
bool floor_next(struct wire *w, char *line);
/* "* 7 FETCH (UID 7 FLAGS (\Seen) INTERNALDATE "..." BODY[] {123}": what lies between the words. */
char *floor_cut(char *line, const char *from, char close, const char *what);

#endif
