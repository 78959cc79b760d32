/* What a token endpoint answers: a token with its life, or an AADSTS error with what to do about it. Pure. */
#ifndef NF_UPLOAD_TOKEN_REPLY_H
#define NF_UPLOAD_TOKEN_REPLY_H

#include "engine/base/secret.h"

#define TOKEN_REPLY_CAP ((size_t)64 * 1024)

/* 0: *out is the token, yours, *life_ms its life (one second to one day). -1: CREDENTIALS, RIGHTS-like causes included, with the AADSTS
   code in the text and a hint; THROTTLED and BUSY with retry_after_ms; PROTOCOL for nonsense. */
int token_reply_read(int status, const char *body, size_t n, int64_t retry_after_ms, struct secret **out,
	int64_t *life_ms, struct err *err);

#endif
