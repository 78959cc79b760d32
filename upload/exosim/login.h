/* The sign-in host over HTTPS (login.microsoftonline.com): the token endpoint. Any thread. */
#ifndef NF_EXOSIM_LOGIN_H
#define NF_EXOSIM_LOGIN_H

#include "upload/exosim/exosim.h"
#include "upload/exosim/http.h"

#define LOGIN_BODY_MAX ((size_t)64 * 1024)

void login_handle(struct exosim *x, const struct http_request *in, struct http_reply *out);

#endif
