/* Accepts IMAP connections; a thread for each. */
#ifndef NF_EXOSIM_FRONT_H
#define NF_EXOSIM_FRONT_H

#include "upload/exosim/exosim.h"

struct front;

/* A listening socket on 127.0.0.1; port 0: any, *port what it became. -1: err. */
int front_listen(unsigned *port, struct err *err);
/* Takes listen_fd over and starts accepting. */
int front_open(struct front **out, struct exosim *x, int listen_fd, struct err *err);
/* After the run's stop token was asked NOW: waits for the sessions to end, at most some seconds. false: some did not. */
bool front_close(struct front **f);

#endif
