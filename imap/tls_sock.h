/* What OpenSSL reads from and writes to: the socket of one connection, with a buffer of our own for what arrives. OpenSSL's read-ahead moves all that it
   read ahead to the front of its buffer for each record that it opens: small records cost more in moves than in decryption. Belongs to one
   connection's thread. */
#ifndef NF_IMAP_TLS_SOCK_H
#define NF_IMAP_TLS_SOCK_H

#include <openssl/bio.h>
#include <stdbool.h>
#include <stdint.h>

struct tls_sock;

/* fd stays the caller's. NULL: out of memory. */
struct tls_sock *tls_sock_new(int fd);
void tls_sock_free(struct tls_sock **s);
/* A BIO over it, which is the caller's (or its SSL's) and must go before it; NULL: out of memory. */
BIO *tls_sock_bio(struct tls_sock *s);
/* Octets that were read and that the BIO has not given yet. */
bool tls_sock_has_pending(const struct tls_sock *s);
void tls_sock_counts(const struct tls_sock *s, uint64_t *received, uint64_t *sent);

#endif
