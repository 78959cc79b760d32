/* The tenant: applications, mailboxes, what they may and what they did. Any thread; each mailbox has a lock. */
#ifndef NF_EXOSIM_WORLD_H
#define NF_EXOSIM_WORLD_H

#include "upload/exosim/app.h"
#include "upload/exosim/folder.h"
#include "upload/exosim/limit.h"
#include "upload/exosim/rule.h"

#include <pthread.h>

#define APPS_MAX 16

/* X(name): what is counted for a mailbox and in total */
#define COUNTERS(X) \
	X(signins) \
	X(signins_refused) \
	X(sessions) \
	X(sessions_peak) \
	X(commands) \
	X(errors) \
	X(appended) \
	X(appended_bytes) \
	X(append_flagged) \
	X(store_flagged) \
	X(refused) \
	X(throttled) \
	X(while_fenced) \
	X(dropped) \
	X(in_flight) \
	X(in_flight_peak) \
	X(late_pending) \
	X(graph_requests) \
	X(graph_bytes) \
	X(graph_bytes_refused) \
	X(graph_in_flight) \
	X(graph_in_flight_peak) \
	X(graph_throttled) \
	X(graph_while_fenced) \
	X(graph_errors) \
	X(graph_dropped) \
	X(graph_imported) \
	X(graph_created) \
	X(graph_patched)

struct counters {
#define X(n) uint64_t n;
	COUNTERS(X)
#undef X
};

struct pool;
struct tree_cache;

struct mailbox {
	char *address;  /* owned */
	char id[40];    /* the directory's, a GUID */
	char *upn;      /* owned: user principal name; NULL: the address */
	char **aliases; /* owned; under the world's lock */
	size_t aliases_n;
	bool rest_enabled, graph_permitted; /* Graph: the mailbox is one; the app's scope has it */
	int64_t graph_in_flight_max, graph_requests_max, graph_bytes_max; /* -1: the profile's */
	char **hidden_folders;                                            /* owned: display names; under lock */
	size_t hidden_folders_n;
	struct pool *pool;                                      /* owned */
	struct tree_cache *tree;                                /* owned */
	bool permitted, imap_enabled;                           /* set before the first session, or under lock */
	int64_t size_cap, sessions_max, appends_max, bytes_max; /* -1: the profile's */
	int64_t quota;             /* octets that may be appended in this run; -1: no end */
	struct folders *folders;   /* owned */
	pthread_mutex_t preparing; /* held during I/O, while the well-known folders are made; guards prepared */
	bool prepared;
	pthread_mutex_t naming; /* held during I/O, from the look whether a name is free until its folder is made */
	pthread_mutex_t lock;   /* all of the following */
	struct counters count;
	struct app_use {
		struct limit appends; /* of IMAP; their octets, too */
		int64_t fence_until_ms;
		struct limit graph;
		int64_t graph_fence_until_ms;
	} use[APPS_MAX];
	struct mailbox *next; /* owned by world; never removed */
};

struct world;

struct world *world_new(struct profile *profile);
void world_free(struct world **w);
int world_add_tenant(struct world *w, const char *name, struct err *err);
bool world_has_tenant(struct world *w, const char *name);
/* {"id", "secret"|"secret_file", "certificate" (file), "secret_expired"}. Before the servers start. */
int world_add_app(struct world *w, const json_t *spec, struct err *err);
struct app *world_app(struct world *w, const char *client_id);
/* {"id", "roles"}: what it is consented to from now on. Any time. */
int world_set_app(struct world *w, const json_t *spec, struct err *err);
/* NULL id: all. false: no such application. */
bool world_revoke(struct world *w, const char *client_id);
/* {"address", "permission", "imap", "size_cap", "quota", "sessions_max", "appends_max", "bytes_max", "id", "upn", "aliases", "rest",
   "graph_permission", "graph_in_flight", "graph_requests", "graph_bytes", "hidden_folders"}: makes or changes one. Any time. */
int world_set_mailbox(struct world *w, const json_t *spec, struct err *err);
/* open: any address is a mailbox with permission. */
void world_set_open(struct world *w, bool open);
/* Without case; made when the world is open. NULL: no such mailbox. */
struct mailbox *world_mailbox(struct world *w, const char *address);
/* By directory id, user principal name or, aliases: any address of it. NULL: no such user. */
struct mailbox *world_user(struct world *w, const char *name, bool aliases);
json_t *world_state(struct world *w); /* {"totals":…, "mailboxes":…}; yours */

/* The mailbox's own value, or the profile's. */
int64_t mailbox_limit(struct mailbox *m, struct profile *p, enum rule_switch sw);
bool mailbox_enter(struct mailbox *m, int64_t sessions_max); /* false: one session too many */
void mailbox_leave(struct mailbox *m);
/* 0: may go on and is counted. Else milliseconds to wait: a limit would be passed; the fence stands. */
int64_t mailbox_admit(struct mailbox *m, const struct app *app, struct profile *p, int64_t now_ms, uint64_t bytes);
void mailbox_fence(struct mailbox *m, const struct app *app, int64_t until_ms);
int64_t mailbox_fence_left(struct mailbox *m, const struct app *app, int64_t now_ms);
/* Room in the quota for so much more? */
bool mailbox_has_room(struct mailbox *m, uint64_t bytes);
#define MAILBOX_COUNT(m, field, delta) \
	do { \
		pthread_mutex_lock(&(m)->lock); \
		(m)->count.field += (uint64_t)(delta); \
		pthread_mutex_unlock(&(m)->lock); \
	} while (0)
void mailbox_flight(struct mailbox *m, int delta); /* APPENDs read and not answered */

#endif
