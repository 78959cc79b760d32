/* The sign-in host over HTTPS (login.microsoftonline.com); later Graph's too. */
#ifndef NF_EXOSIM_LOGIN_H
#define NF_EXOSIM_LOGIN_H

#include "upload/exosim/exosim.h"
#include "upload/exosim/http.h"

http_handler login_handle; /* ctx: struct exosim */

#endif
