/* The application permissions that each route needs: what setup grants, what a test looks for, what an error names. Pure. */
#ifndef NF_UPLOAD_PERMISSION_H
#define NF_UPLOAD_PERMISSION_H

#include <stdbool.h>
#include <stddef.h>

enum permission_resource { PERMISSION_EXCHANGE, PERMISSION_GRAPH };

struct permission {
	const char *route, *role;
	enum permission_resource resource;
	bool is_needed;  /* false: the route works without, and tells less */
	const char *why; /* for people */
};

const struct permission *permission_table(size_t *n);
/* The first that the route needs and that is not among roles (separated by blanks); NULL: none. */
const struct permission *permission_missing(const char *route, const char *roles);

#endif
