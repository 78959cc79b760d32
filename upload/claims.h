/* What an access token says that it allows. For messages to a person only: a token is the service's own affair, nothing is decided by
   it (Microsoft: clients should not look inside). Pure. */
#ifndef NF_UPLOAD_CLAIMS_H
#define NF_UPLOAD_CLAIMS_H

#include "engine/base/secret.h"

/* The application permissions ("roles"), separated by blanks and cut to size. false: the token cannot be read; an empty list is true. */
bool claims_roles(const struct secret *token, char *out, size_t size);

#endif
