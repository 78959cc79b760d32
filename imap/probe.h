/* The endpoint test: walks name, TCP, TLS, greeting, capabilities, sign-in, folders, one fetch, limits; one line each. */
#ifndef NF_IMAP_PROBE_H
#define NF_IMAP_PROBE_H

#include "imap/conn.h"

enum probe_outcome { PROBE_OK, PROBE_WARNING, PROBE_FAILED, PROBE_SKIPPED };

struct probe_line {
	/* "name resolution", "connection", "TLS", "greeting", "capabilities", "sign-in", "folders", "fetch", "limits" */
	const char *step;
	enum probe_outcome outcome;
	char text[384]; /* one line for people */
	/* on failure: "DNS", "firewall", "certificate", "credentials", "rights", "server" */
	const char *blame;
	char hint[384];
};

#define PROBE_LINES 16
struct probe_report {
	struct probe_line v[PROBE_LINES];
	size_t n;
	bool passed;
	struct conn_facts facts;
};

/* root: UserRoot or NULL. Never fails by itself: the report says what failed. Nothing at the source is changed. */
void probe_endpoint(const struct conn_conf *conf, const char *root, struct stop *stop, struct probe_report *out);

#endif
