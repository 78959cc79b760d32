/* The admin port: plain HTTP on loopback, JSON. What a test looks at and turns. */
#ifndef NF_EXOSIM_ADMIN_H
#define NF_EXOSIM_ADMIN_H

#include "upload/exosim/exosim.h"
#include "upload/exosim/http.h"

http_handler admin_handle; /* ctx: struct exosim */

#endif
