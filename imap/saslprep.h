/* SASLprep (RFC 4013): names and passwords that look the same are the same to a server that follows RFC 5802. libidn's home. */
#ifndef NF_IMAP_SASLPREP_H
#define NF_IMAP_SASLPREP_H

#include "engine/base/secret.h"

/* Yours. What SASLprep does not allow (or what is no UTF-8) is taken as it is: a server that let it be set does the same. NULL: memory is out. */
struct secret *saslprep(const char *text, size_t n);
/* The prepared form is another. Dovecot 2.3 and Cyrus 3.6 store and compare what was typed, others what was prepared: nobody can tell beforehand. */
bool saslprep_changes(const char *text, size_t n);

#endif
