/* The admin port: plain HTTP on loopback, JSON. What a test looks at and turns. */
#ifndef NF_EXOSIM_ADMIN_H
#define NF_EXOSIM_ADMIN_H

#include "upload/exosim/exosim.h"
#include "upload/exosim/http.h"

void admin_handle(void *ctx, const struct http_request *in, struct http_reply *out); /* ctx: struct exosim */

#endif
