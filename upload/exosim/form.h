/* application/x-www-form-urlencoded, strictly. Pure. */
#ifndef NF_EXOSIM_FORM_H
#define NF_EXOSIM_FORM_H

#include <stddef.h>

#define FORM_FIELDS 32

struct form {
	char *name[FORM_FIELDS], *value[FORM_FIELDS]; /* owned */
	size_t n;
};

/* 0, or -1: a bad escape, a NUL, a name twice, an empty name, too many. Call form_done either way. */
int form_parse(struct form *f, const char *body, size_t len);
/* NULL: not there. */
const char *form_get(const struct form *f, const char *name);
void form_done(struct form *f);

#endif
