/* The nouns as plain values: endpoint, target, batch, migration user, folder generation, item. No behaviour. Strings are UTF-8 and
   bounded here once; whatever is longer is refused where it enters. */
#ifndef NF_ENGINE_STORE_MODEL_H
#define NF_ENGINE_STORE_MODEL_H

#include "engine/base/mail.h"
#include "upload/settle.h"
#include "upload/target.h"

#define MODEL_NAME 80
#define MODEL_TEXT 320 /* host names, addresses, user names */
#define MODEL_PATH 1024
#define MODEL_FOLDER 4000 /* octets of a folder's whole name at most, at either side */
#define MODEL_ERROR 1024

struct endpoint {
	int64_t id; /* 0: not saved yet */
	char name[MODEL_NAME];
	char host[MODEL_TEXT];
	unsigned port;
	enum tls_mode tls;
	char ca_file[MODEL_PATH]; /* "": the system's */
	bool accept_any_certificate;
	enum auth_method auth;
	char admin_user[MODEL_TEXT];     /* administrator login by authzid with this authcid; "" none */
	char login_template[MODEL_TEXT]; /* "%u*admin"; "": the user name itself */
	char provider[32];               /* a row of the provider table; "" generic */
	unsigned max_mailboxes;          /* at once */
	unsigned max_connections;        /* in total */
	uint64_t bytes_per_s;            /* 0: no limit */
	uint64_t bytes_per_day;          /* 0: no limit */
	unsigned quirks;
	unsigned silence_ms; /* most time without an octet; 0: the default */
	unsigned retry_ms;   /* first pause before a try again, doubled each time; 0: the default */
	char test_user[MODEL_TEXT];
	int64_t tested_at; /* 0: never */
	bool test_passed, test_skipped;
	char test_text[MODEL_ERROR]; /* the line that failed, or "" */
	int64_t created_at;
	int64_t paused_at; /* 0: not paused. Read only: store_endpoint_pause and _resume write it */
	char paused_text[MODEL_ERROR];
	/* secrets in the vault: "password" (of the test user or the administrator) */
};

struct target_row {
	int64_t id;
	char name[MODEL_NAME];
	enum target_kind kind;
	char tenant[MODEL_TEXT], client_id[MODEL_TEXT], cloud[32];
	char login_url[MODEL_TEXT]; /* "": the cloud's */
	char graph_url[MODEL_TEXT]; /* "": the cloud's; no slash at the end */
	unsigned graph_ceiling;     /* percent of Graph's published limits that are never passed; 0: 100 */
	char imap_host[MODEL_TEXT];
	unsigned imap_port;
	enum tls_mode imap_tls;
	char ca_file[MODEL_PATH];
	bool accept_any_certificate;
	enum auth_method auth; /* TARGET_IMAP: as for an endpoint */
	char login_template[MODEL_TEXT];
	char routes[64];            /* "imap" or "imap,mime" in order of preference */
	uint64_t max_message_bytes; /* 0: not known */
	int64_t settle_after_ms;    /* -1: the route's own */
	uint64_t bytes_per_s;
	unsigned max_mailboxes;
	char test_user[MODEL_TEXT];
	int64_t tested_at;
	bool test_passed, test_skipped;
	char test_text[MODEL_ERROR];
	int64_t created_at;
	/* secrets: "client_secret", or "certificate" and "private_key"; "password" for TARGET_IMAP */
};

/* Is that name in a list such as target_row's routes? */
bool routes_have(const char *routes, const char *name);
/* The i-th name of the list, from 0, into out; false beyond the last. */
bool routes_at(const char *routes, size_t i, char *out, size_t size);

struct proof { /* what the last `target test` saw one route of a target do */
	int64_t target_id;
	char route[8];
	int64_t at;
	bool passed;
	char mailbox[MODEL_TEXT]; /* the pilot */
	char text[MODEL_ERROR];   /* passed: what was found, for people; else the line that failed */
	uint64_t largest;         /* largest message that arrived whole; 0: sizes were not tried */
	uint64_t refused;         /* smallest that did not; 0: none of those tried */
	bool date_kept, flags_kept, categories_kept;
	bool content_kept;  /* octet for octet, not only in meaning */
	int64_t suspect_at; /* 0: nothing has spoken against it since */
	char suspect_text[MODEL_ERROR];
};

/* clang-format off */
#define BATCH_STATES(X) \
	X(CREATED, "Created") \
	X(SYNCING, "Syncing") \
	X(STOPPING, "Stopping") \
	X(STOPPED, "Stopped") \
	X(SYNCED, "Synced") \
	X(SYNCED_WITH_ERRORS, "SyncedWithErrors") \
	X(COMPLETING, "Completing") \
	X(COMPLETED, "Completed") \
	X(FAILED, "Failed")
/* clang-format on */
enum batch_state {
#define X(k, n) BATCH_##k,
	BATCH_STATES(X)
#undef X
};

enum existing_policy { EXISTING_ADOPT, EXISTING_COPY, EXISTING_REFUSE };

struct batch {
	int64_t id;
	char name[MODEL_NAME];
	int64_t endpoint_id, target_id;
	bool pilot;
	bool without_pilot; /* started by override; audited */
	enum batch_state state;
	unsigned max_mailboxes; /* at once; default 2 */
	unsigned uploads;       /* putter threads a mailbox; default 1 */
	uint64_t bytes_per_s;
	enum existing_policy existing;
	bool copy_deleted; /* take messages flagged \Deleted too */
	bool date_from_header;
	char include[MODEL_TEXT], exclude[MODEL_TEXT]; /* folder patterns, comma-separated; "" all / none */
	bool skips_acknowledged;
	char verdict[16]; /* of the last verification: "", "Perfect", "Good", "Investigate", "Poor" */
	int64_t created_at, started_at, ended_at;
};

/* clang-format off */
#define USER_STATES(X) \
	X(QUEUED, "Queued") \
	X(VALIDATING, "Validating") \
	X(SYNCING, "Syncing") \
	X(SYNCED, "Synced") \
	X(INCREMENTAL_SYNCING, "IncrementalSyncing") \
	X(COMPLETING, "Completing") \
	X(COMPLETED, "Completed") \
	X(COMPLETED_WITH_WARNINGS, "CompletedWithWarnings") \
	X(STOPPED, "Stopped") \
	X(FAILED, "Failed")
/* clang-format on */
enum user_state {
#define X(k, n) USER_##k,
	USER_STATES(X)
#undef X
};
/* "Created" users of a batch that was not started are USER_STOPPED with started_at 0 and shown as "Created". */

struct user_counts { /* kept by the store from the items; messages and source octets */
	uint64_t found, copied, adopted, skipped, refused, gone, in_doubt;
	uint64_t found_bytes, copied_bytes;
};

struct user { /* a migration user: one source mailbox and its destination */
	int64_t id, batch_id;
	unsigned row; /* in the CSV, from 1 */
	char source_user[MODEL_TEXT];
	char user_root[MODEL_TEXT];
	char address[MODEL_TEXT]; /* destination, as given */
	char dest_id
		[MODEL_TEXT]; /* the destination's own id; "" until resolved; the address where no route can tell one */
	char dest_address[MODEL_TEXT]; /* the address that the destination calls it by; "" as long as it is not known */
	enum user_state state;
	bool incremental; /* the pass that is due is an incremental one */
	bool completing;
	enum err_kind error_kind; /* ERR_NONE when well */
	char error[MODEL_ERROR];  /* one line, with the hint */
	int64_t retry_at;         /* wall; 0: not by itself */
	unsigned tries;           /* retries since it last got on */
	unsigned crashes;         /* engine crashes while it was active */
	int64_t lease_epoch;      /* every write of a job carries it */
	int64_t started_at, synced_at;
	struct user_counts counts;
	char now_folder[MODEL_TEXT]; /* what it is doing, for status; "" idle */
				     /* secret: "password" */
};

/* clang-format off */
#define ITEM_STATES(X) \
	X(INTENDED, "intended") /* durable before the first octet left; in doubt after a crash or a lost answer */ \
	X(PLACED, "placed") /* receipt held; flags not finished */ \
	X(DONE, "done") \
	X(SKIPPED, "skipped") /* left out on purpose: \Deleted, filter */ \
	X(REFUSED, "refused") /* will never be accepted as it is */ \
	X(GONE, "gone") /* expunged at the source before it was fetched */
/* clang-format on */
enum item_state {
#define X(k, n) ITEM_##k,
	ITEM_STATES(X)
#undef X
};
enum item_how {
	HOW_COPIED,
	HOW_ADOPTED,
	HOW_CARRIED
}; /* CARRIED: taken over from an older generation of the same folder */

struct generation { /* one UIDVALIDITY of one source folder of one user */
	int64_t id, user_id;
	char *raw;             /* owned */
	char name[MODEL_TEXT]; /* for people */
	uint32_t uidvalidity;
	int64_t dest_folder_id; /* 0: none yet */
	int64_t older_id;       /* the generation before it of the same folder; 0: the first */
};

struct dest_folder { /* one folder at the destination */
	int64_t id, user_id;
	char *path;        /* owned; as imap/map gave it */
	bool has_existing; /* that table is not empty */
	bool indexed;      /* what was there is in the table of existing mail */
	int64_t put_at;    /* wall; when something was last to be put into it; 0: never */
};

/* Old from new in a destination folder, as one route tells them apart. Taken under a lease: an item whose intent has an epoch below it was put (or
   lay there) before the mark was taken, one from it on after. */
struct dest_mark {
	bool known;
	char generation[40], mark[200];
	int64_t epoch;
};

struct item_brief {
	uint32_t uid;
	enum item_state state;
	enum item_how how;
	unsigned flags_source, flags_written;
	int64_t dest_folder_id;
};

struct item {
	int64_t generation_id;
	uint32_t uid;
	enum item_state state;
	enum item_how how;
	int64_t dest_folder_id;
	uint64_t size;
	unsigned flags_source, flags_written;
	struct mail_date received;
	struct fingerprint print; /* owned strings; dropped by the store once DONE (kept for REFUSED, SKIPPED) */
	uint8_t key[PRINT_KEY_BYTES];
	struct receipt receipt; /* INTENDED: its route is the one that was to put it */
	int64_t epoch; /* of the lease under which it was intended; of what was taken over: where it lay (struct existing) */
	int64_t at; /* wall seconds of the last change of state */
	enum err_kind error_kind;
	char error[MODEL_ERROR];
};
/* When a batch may run. The texts have a line a window or date. */
#define NIGHT_TEXT 2048
struct night {
	char windows[NIGHT_TEXT], blackouts[NIGHT_TEXT]; /* "": always; none */
	char zone[64];                                   /* "": none given */
	int64_t start_after, until;                      /* wall; 0: no such bound */
	bool auto_ramp;                                  /* more mailboxes at once by itself */
};
/* What the engine makes of it now. */
struct pace {
	int64_t open_at;    /* closed until then; 0: open; INT64_MAX: for good */
	unsigned mailboxes; /* at once now; 0: as the batch says */
	unsigned advice;    /* so many it would allow; 0: nothing to say */
	char text[256];     /* why */
};

/* How an endpoint's daily bytes are counted. */
struct day_rule {
	bool of_host;  /* of the host as a whole; else of each mailbox */
	char zone[64]; /* whose midnight; "": UTC */
};

/* clang-format off */
#define BINDINGS(X) \
	X(NOTHING, "nothing") /* it is at rest, or nothing holds it back */ \
	X(SOURCE, "source") \
	X(NETWORK, "network") /* the destination, or the line to it, takes no more */ \
	X(TARGET_BYTES, "target bytes") \
	X(TARGET_REQUESTS, "target requests") \
	X(TARGET_CONCURRENCY, "target concurrency") \
	X(RATE, "rate") /* that a person set */ \
	X(WINDOW, "window") \
	X(BUDGET, "budget") \
	X(FENCE, "fence")
/* clang-format on */
enum binding {
#define X(k, n) BIND_##k,
	BINDINGS(X)
#undef X
		BINDINGS_END
};
const char *binding_name(enum binding b);

/* What an active mailbox does now, and what holds it back. Rates are over the last ten seconds; a limit of 0 is none. */
struct live_row {
	int64_t at; /* wall; 0: never told */
	uint64_t bytes_per_s, limit_per_s;
	unsigned requests, requests_limit; /* a minute, at the destination */
	unsigned in_flight, in_flight_limit;
	enum binding binding;
	char detail[320];     /* in words */
	int64_t fenced_until; /* wall; 0: not fenced */
	char fence_words[160];
	uint64_t fenced_ms; /* in all, of this user */
	unsigned refused, deferrals;
};

void item_done(struct item *i);
void generation_done(struct generation *g);
void dest_folder_done(struct dest_folder *f);

const char *batch_state_name(enum batch_state s);
const char *user_state_name(enum user_state s);
const char *item_state_name(enum item_state s);
/* Names of the enums of conn.h as options take them ("implicit", "xoauth2", ...). parse: -1 for an unknown one. */
const char *tls_mode_name(enum tls_mode m);
int tls_mode_parse(const char *s);
const char *auth_method_name(enum auth_method m);
int auth_method_parse(const char *s);

#endif
