/* The national clouds: which hosts, which routes (spec/exchange-online.md section 5). Pure. */
#ifndef NF_UPLOAD_CLOUD_H
#define NF_UPLOAD_CLOUD_H

#include "engine/base/err.h"

#include <stdbool.h>

struct cloud {
	const char *name;      /* "global" */
	const char *title;     /* for people */
	const char *login_url; /* no slash at the end */
	const char *graph_url;
	const char *graph_scope;
	const char *imap_host;
	const char *imap_scope;
	bool has_mime, has_fts; /* routes that exist there */
};

/* NULL: unknown name. A NULL name is the global cloud. */
const struct cloud *cloud_find(const char *name);
/* ERR_USAGE: that route does not exist in this cloud. */
int cloud_check_route(const struct cloud *c, const char *route, struct err *err);
/* All of them, for help texts. */
const struct cloud *cloud_table(size_t *n);

#endif
