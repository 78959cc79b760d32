/* The folders that every mailbox has, made at its first use by either route. Any thread. */
#ifndef NF_EXOSIM_PREPARE_H
#define NF_EXOSIM_PREPARE_H

#include "upload/exosim/exosim.h"

/* Once a run and mailbox; the others wait for it. backend: signed in as the mailbox. */
int prepare_once(struct exosim *x, struct mailbox *m, struct wire *backend, struct err *err);
/* The names that the backend's LIST gives, raw: an each of backend_command. */
struct names {
	char **v; /* owned */
	size_t n, room;
};
void names_collect(void *ctx, const char *line, size_t len);
void names_done(struct names *names);

#endif
