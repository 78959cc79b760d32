/* The checkpoint. One writer thread owns the write connection and groups what is queued into one durable commit; readers have their
   own connections. Any thread. A write of a job carries the lease epoch; a stale one is ERR_CONFLICT and changes nothing. */
#ifndef NF_ENGINE_STORE_STORE_H
#define NF_ENGINE_STORE_STORE_H

#include "engine/store/model.h"

struct store;

struct store_conf {
	const char *path;     /* the state file */
	const char *key_file; /* vault key; NULL: found as vault.h says */
	bool create;          /* make it when it is not there */
};
/* ERR_STORE: not ours, newer schema, corrupt, read-only; ERR_DISK; ERR_NOT_FOUND without create. File mode 0600. */
int store_open(struct store **out, const struct store_conf *conf, struct err *err);
void store_close(struct store **s); /* after all queued writes are durable */
const char *store_path(const struct store *s);
/* Changes whenever another process wrote (data_version); cheap, for the engine's loop. */
int64_t store_version(struct store *s);
/* Waits until all queued is durable. -1 also when something that this thread queued failed, until store_trouble took that error. */
int store_flush(struct store *s, struct err *err);

/* Where the state is: --state, NIGHTFERRY_STATE, /var/lib/nightferry/state.db where it exists and may be read, else XDG state. Fills
   path; must_exist: ERR_NOT_FOUND's text lists every place that was looked at. */
int store_find(const char *option, bool must_exist, char *path, size_t size, struct err *err);

/* --- secrets (engine/vault does the cryptography) --- owner: "endpoint", "target", "user" and the row's id */
int store_secret_put(
	struct store *s, const char *owner, int64_t id, const char *name, const struct secret *v, struct err *err);
int store_secret_get(struct store *s, const char *owner, int64_t id, const char *name, struct secret **out,
	struct err *err); /* *out NULL: none */
int store_secret_drop(struct store *s, const char *owner, int64_t id, const char *name,
	struct err *err); /* name NULL: all of the owner */

/* --- endpoints, targets --- save: id 0 inserts (ERR_CONFLICT if the name exists) and sets the id; else updates. delete: ERR_CONFLICT names the
   batches that refer to it. get: ERR_NOT_FOUND lists similar names in the hint. list: yours to free(). */
int store_endpoint_save(struct store *s, struct endpoint *e, struct err *err);
int store_endpoint_get(struct store *s, const char *name, struct endpoint *out, struct err *err);
int store_endpoint_by_id(struct store *s, int64_t id, struct endpoint *out, struct err *err);
int store_endpoint_list(struct store *s, struct endpoint **out, size_t *n, struct err *err);
int store_endpoint_delete(struct store *s, int64_t id, struct err *err);
/* Replaces safely: the successor (already saved) takes the name and every batch that referred to the old one, in one transaction;
   the old one is deleted with its secrets. */
int store_endpoint_replace(struct store *s, int64_t old_id, int64_t new_id, struct err *err);
/* The sign-in breaker: after three refusals in a row over different users, sign-ins at an endpoint are paused until somebody resumes it. */
int store_endpoint_pause(struct store *s, int64_t id, const char *reason, struct err *err);
int store_endpoint_resume(struct store *s, int64_t id, struct err *err);
int store_endpoint_sign_in(
	struct store *s, int64_t endpoint_id, int64_t user_id, bool ok, bool *paused, struct err *err);
int store_target_save(struct store *s, struct target_row *t, struct err *err);
int store_target_get(struct store *s, const char *name, struct target_row *out, struct err *err);
int store_target_by_id(struct store *s, int64_t id, struct target_row *out, struct err *err);
int store_target_list(struct store *s, struct target_row **out, size_t *n, struct err *err);
int store_target_delete(struct store *s, int64_t id, struct err *err);

/* --- proofs: what a route of a target was seen to do --- save replaces the route's last one, doubts and all. list: yours to free(). */
int store_proof_save(struct store *s, const struct proof *p, struct err *err);
int store_proof_list(struct store *s, int64_t target_id, struct proof **out, size_t *n, struct err *err);
int store_proof_drop(
	struct store *s, int64_t target_id, struct err *err); /* of all its routes: settings changed untested */
/* May this route carry mail? Exchange: only after its proof passed; any other host: always. *max_bytes: the largest message that it is to
   be given, as proved; 0: none was found (and always by IMAP, where each mailbox has its own limit), the target's settings rule. A suspect proof is usable until the next test says otherwise. */
int store_proof_usable(
	struct store *s, int64_t target_id, const char *route, bool *usable, uint64_t *max_bytes, struct err *err);
/* What happened in a run speaks against a proof that passed (a dead route, a message refused as too big below `largest`): it is made again at
   the next `batch start` or `target test`. The first suspicion is kept. text: what happened, for people. Durable; any thread. */
int store_proof_suspect(
	struct store *s, int64_t target_id, const char *route, const char *text, int64_t at, struct err *err);

/* --- batches and users --- */
/* Inserts batch and users in one transaction (passwords[i] may be NULL; they go to the vault). Two rows with one destination within the batch,
   or a destination that another unfinished batch has: ERR_CONFLICT naming both rows. */
int store_batch_create(struct store *s, struct batch *b, struct user *users, const struct secret *const *passwords,
	size_t n, struct err *err);
int store_batch_save(
	struct store *s, const struct batch *b, struct err *err); /* options and acknowledgement; not the state */
int store_batch_get(struct store *s, const char *name, struct batch *out, struct err *err);
int store_batch_by_id(struct store *s, int64_t id, struct batch *out, struct err *err);
int store_batch_list(struct store *s, struct batch **out, size_t *n, struct err *err);
int store_batch_delete(struct store *s, int64_t id, struct err *err); /* ERR_CONFLICT while it runs */
int store_batch_state(struct store *s, int64_t id, enum batch_state state, struct err *err);
int store_user_list(struct store *s, int64_t batch_id, struct user **out, size_t *n,
	struct err *err); /* with counts; in CSV order */
/* The batch in numbers without reading every user, and those users that are being moved now; for progress. free() *active. */
struct batch_summary {
	unsigned users, by_state[USER_COMPLETED_WITH_WARNINGS + 3];
	struct user_counts counts;
};
int store_batch_summary(struct store *s, int64_t batch_id, struct batch_summary *out, struct user **active,
	size_t *n_active, struct err *err);
int store_user_get(struct store *s, int64_t batch_id, const char *who, struct user *out,
	struct err *err); /* source name or address */
int store_user_by_id(struct store *s, int64_t id, struct user *out, struct err *err);
int store_user_delete(struct store *s, int64_t id, struct err *err);
/* The verbs of the person, by the table of verbs and states in engine/store/verb.h; each in one transaction with its audit line. They change what users
   are to do (want), never a lease. user_id 0: all of the batch. *changed: users affected. */
enum user_want { WANT_NOTHING, WANT_SYNC, WANT_INCREMENTAL, WANT_COMPLETE };
int store_batch_want(struct store *s, int64_t batch_id, int64_t user_id, enum user_want want, const char *verb,
	unsigned *changed, struct err *err);

/* --- leases --- */
/* Makes the leases of a dead engine free again: called by the new engine after it holds the engine lock. crashed: the supervisor saw the last one die
   by a fault: users that were active get crashes + 1. */
int store_engine_begin(struct store *s, bool crashed, struct err *err);
/* The next user that wants work, may run now (retry_at) and whose batch and endpoint have room; sets the lease, epoch + 1. *found false: none.
   *next_at: when to look again at the latest (wall; 0: nothing is waiting). batch_id 0: any batch. alone: only users with crashes >= 2. */
int store_user_claim(
	struct store *s, int64_t batch_id, struct user *out, bool *found, int64_t *next_at, struct err *err);
/* State of a leased user (progress line included); ends the lease when the state is final or QUEUED / STOPPED / FAILED with its error (may be NULL) and retry_at. */
int store_user_state(struct store *s, int64_t user_id, int64_t epoch, enum user_state state, const struct err *why,
	int64_t retry_at, struct err *err);
int store_user_now(
	struct store *s, int64_t user_id, int64_t epoch, const char *folder, struct err *err); /* queued; may lag */
/* ERR_CONFLICT names the other row, of this batch or of any that is not finished, that resolved to the same mailbox. */
int store_user_dest_id(struct store *s, int64_t user_id, int64_t epoch, const char *dest_id, const char *dest_address,
	struct err *err);
/* What the person asked of this user meanwhile: WANT_NOTHING means stop. Cheap; for the job's loop. */
int store_user_wanted(struct store *s, int64_t user_id, enum user_want *want, struct err *err);

/* --- the crash protocol --- */
/* Finds or makes; older_id is set when another UIDVALIDITY of the folder was there before. */
int store_generation(struct store *s, int64_t user_id, int64_t epoch, const char *raw, const char *name,
	uint32_t uidvalidity, struct generation *out, struct err *err);
/* Finds or makes the destination folder. ref->generation: what the route tells folders of one name apart by, not "". *changed: it is another than the
   route's mark was taken in: the folder was made anew. Then what was known to be there is forgotten, and the marks of all routes begin at the start
   of the folder, under this lease's epoch. Durable when it returns. */
int store_dest_folder(struct store *s, int64_t user_id, int64_t epoch, const char *route, const struct folder_ref *ref,
	struct dest_folder *out, bool *changed, struct err *err);
int store_generation_dest(
	struct store *s, int64_t epoch, int64_t generation_id, int64_t dest_folder_id, struct err *err);
/* What the folder holds at the source, as listed now; replaces what was told before. Queued. Not told: counts.found is what is known of its items. */
int store_generation_found(struct store *s, int64_t user_id, int64_t epoch, int64_t generation_id, uint64_t found,
	uint64_t bytes, struct err *err);
/* States of the items with lo <= uid <= hi, ascending; at most cap. */
int store_items(struct store *s, int64_t generation_id, uint32_t lo, uint32_t hi, struct item_brief *out, size_t cap,
	size_t *n, struct err *err);
/* Durable when it returns 0. state INTENDED; overwrites an INTENDED, set-aside or absent item, ERR_CONFLICT for one that is placed. */
int store_intend(struct store *s, int64_t user_id, int64_t epoch, const struct item *v, size_t n, struct err *err);
/* Queued; durable within 200 ms or 256 items. state PLACED or DONE with receipt, how and flags_written. A destination id that another item of the
   user holds: ERR_CONFLICT shows at store_flush and in store_trouble. */
int store_placed(struct store *s, int64_t user_id, int64_t epoch, const struct item *v, size_t n, struct err *err);
/* Queued: SKIPPED, REFUSED, GONE with reason; may overwrite INTENDED. An item that is placed stays so: a receipt is never given up. */
int store_set_aside(struct store *s, int64_t user_id, int64_t epoch, const struct item *v, size_t n, struct err *err);
/* The intent is void (settled ABSENT or never sent): the item will be fetched and intended again. Durable when it returns. */
int store_withdraw(struct store *s, int64_t user_id, int64_t epoch, int64_t generation_id, const uint32_t *uids,
	size_t n, struct err *err);
/* What each route has carried, of a user (or, user_id 0, of a batch); in the order of their names. */
struct route_count {
	char route[8];
	uint64_t copied, copied_bytes;
};
#define ROUTE_COUNTS 8
int store_route_counts(struct store *s, int64_t batch_id, int64_t user_id, struct route_count out[ROUTE_COUNTS],
	size_t *n, struct err *err);
/* The flags of a DONE item as they were written at the destination now. Queued. */
int store_flags(struct store *s, int64_t user_id, int64_t epoch, int64_t generation_id, uint32_t uid,
	unsigned flags_source, unsigned flags_written, struct err *err);
/* Items in doubt of a destination folder (INTENDED), with fingerprints; yours: item_done each, free. */
int store_in_doubt(
	struct store *s, int64_t user_id, int64_t dest_folder_id, struct item **out, size_t *n, struct err *err);
/* Ids that receipts of a route hold in a destination folder, sorted by strcmp; free each and the array with store_ids_free. */
int store_claimed(struct store *s, int64_t dest_folder_id, const char *route, char ***out, size_t *n, struct err *err);
void store_ids_free(char ***v, size_t n);
/* What found on a queued write (first error since the last call); ERR_NONE: none. The job looks after each folder. */
void store_trouble(struct store *s, int64_t user_id, struct err *out);

/* --- mail that was there before us --- */
/* How many messages of the destination folder are accounted for (receipts and the index of what was there); *doubts: items in doubt there. */
int store_dest_known(struct store *s, int64_t dest_folder_id, uint64_t *known, uint64_t *doubts, struct err *err);
/* The route's mark in the folder; out->known false: it was never taken. */
int store_mark(struct store *s, int64_t dest_folder_id, const char *route, struct dest_mark *out, struct err *err);
/* From here on only what comes after the mark is new for this route, which is so from this lease's epoch on. Only where nothing is in doubt. The mark
   that is taken when the folder is first touched is durable before anything is intended there. */
int store_mark_take(struct store *s, int64_t user_id, int64_t epoch, int64_t dest_folder_id, const char *route,
	const char *generation, const char *mark, struct err *err);
/* Of a route with marks by ids: ids that are there now. first: those of an earlier try are dropped. The mark is taken afterwards. */
int store_mark_ids(struct store *s, int64_t user_id, int64_t epoch, int64_t dest_folder_id, const char *route,
	const char *const *ids, size_t n, bool first, struct err *err);
/* Is that id in a receipt of the folder, or (old) was it there when the route's mark was taken? By what is durable. */
int store_accounted(struct store *s, int64_t dest_folder_id, const char *route, bool old, const char *id, bool *yes,
	struct err *err);
/* Placed items of a folder that other routes than this one have receipts for and that lie after a mark of that epoch; of these keys (sorted by memcmp;
   NULL: all). Without header values. Yours: item_done each, free. */
int store_twins(struct store *s, int64_t dest_folder_id, const char *route, int64_t epoch,
	const uint8_t (*keys)[PRINT_KEY_BYTES], size_t n_keys, struct item **out, size_t *n, struct err *err);
/* Destination folders of a user that have items in doubt. store_doubt_folders_free. */
struct doubt_folder {
	int64_t id;
	char *path; /* owned */
};
int store_doubt_folders(struct store *s, int64_t user_id, struct doubt_folder **out, size_t *n, struct err *err);
void store_doubt_folders_free(struct doubt_folder **v, size_t n);
struct existing {
	char id[200];
	char route[8]; /* that listed it */
	int64_t epoch; /* it lies before marks that were taken later than that */
	uint64_t size;
	uint8_t key[PRINT_KEY_BYTES];
};
int store_existing_add(struct store *s, int64_t user_id, int64_t epoch, int64_t dest_folder_id,
	const struct existing *v, size_t n, bool last, struct err *err); /* last: sets indexed */
/* One of that key was found by a route's own listing: what other routes listed under it after a mark of that epoch may be the same message, and is not
   to be taken over any more. */
int store_existing_drop(struct store *s, int64_t user_id, int64_t epoch, int64_t dest_folder_id, const char *route,
	const uint8_t key[PRINT_KEY_BYTES], int64_t mark_epoch, struct err *err);
/* A route is about to list what came after a mark of that epoch: what other routes listed of it and nobody took over is forgotten, or it would be there
   under two names. */
int store_existing_forget(struct store *s, int64_t user_id, int64_t epoch, int64_t dest_folder_id, const char *route,
	int64_t mark_epoch, struct err *err);
/* Those of that key not claimed by a receipt yet; at most cap. */
int store_existing_find(struct store *s, int64_t dest_folder_id, const uint8_t key[PRINT_KEY_BYTES],
	struct existing *out, size_t cap, size_t *n, struct err *err);
/* Items of older generations of the same source folder that were placed, with that SHA-256, not carried over yet: takes one over for (generation, uid) with
   its receipt, durable; *carried false: none. */
int store_carry(struct store *s, int64_t user_id, int64_t epoch, const struct generation *g, const struct item *item,
	bool *carried, struct err *err);

/* --- walking, for reports and verification; rows by keyset, bounded memory --- */
struct folder_row {
	int64_t generation_id, dest_folder_id;
	char name[MODEL_TEXT];
	char *path; /* owned; "" as long as it has none at the destination */
	uint32_t uidvalidity;
	bool current;
	struct user_counts counts;
};
/* The folder's name as the source wrote it; yours to free(). */
int store_generation_raw(struct store *s, int64_t generation_id, char **raw, struct err *err);
int store_folders(struct store *s, int64_t user_id, struct folder_row **out, size_t *n, struct err *err);
void store_folders_free(struct folder_row **v, size_t n);
struct folder_path_row {
	char *raw, *path; /* the folder's name as the source wrote it; where it went */
};
/* Of a user's folders that have a place at the destination, by raw as octets. store_paths_free. */
int store_paths(struct store *s, int64_t user_id, struct folder_path_row **out, size_t *n, struct err *err);
void store_paths_free(struct folder_path_row **v, size_t n);
struct renamed {
	char *raw; /* yours to free(); NULL: there is none */
	char name[MODEL_TEXT];
};
/* A folder that came later than this one and is the same by UIDVALIDITY, UIDs and content: its copy at the destination is a second one. */
int store_renamed_find(struct store *s, int64_t user_id, const char *raw, struct renamed *out, struct err *err);
/* Items of a generation with uid > after, ascending, full rows. item_done each. */
int store_items_full(struct store *s, int64_t generation_id, uint32_t after, struct item *out, size_t cap, size_t *n,
	struct err *err);
/* Set-aside items (SKIPPED, REFUSED, GONE) of a user after (generation, uid), of the generations that folders have now. */
int store_set_aside_list(struct store *s, int64_t user_id, int64_t after_generation, uint32_t after_uid,
	struct item *out, size_t cap, size_t *n, struct err *err);
struct note {
	int64_t at;
	char kind[32];
	char text[MODEL_ERROR];
}; /* folder mapped, keywords dropped, one date on thousands of messages, ... */
int store_note(struct store *s, int64_t user_id, const char *kind, const char *text,
	struct err *err); /* queued; the same (kind, text) once */
int store_notes(struct store *s, int64_t user_id, struct note **out, size_t *n, struct err *err); /* free() */
int store_notes_forget(struct store *s, int64_t user_id, const char *kind, struct err *err);      /* queued */
/* Kinds of notes on what stays behind and that nobody chose to leave: a folder that holds messages; a pattern of --include that matches no folder. */
#define NOTE_LEFT "folder-left"
#define NOTE_UNMATCHED "include-unmatched"
struct left_behind {
	uint64_t folders, patterns; /* so many such notes */
};
/* Of a user (0: of all of the batch). */
int store_left_behind(struct store *s, int64_t batch_id, int64_t user_id, struct left_behind *out, struct err *err);
int store_verdict(struct store *s, int64_t batch_id, const char *verdict, struct err *err);

/* --- windows, budgets, what was learned, what goes on --- */
int store_night_save(struct store *s, int64_t batch_id, const struct night *n, struct err *err);
int store_night_get(struct store *s, int64_t batch_id, struct night *out, struct err *err); /* zeroed: none was saved */
int store_pace_save(struct store *s, int64_t batch_id, const struct pace *p, struct err *err);
int store_pace_get(struct store *s, int64_t batch_id, struct pace *out, struct err *err); /* zeroed likewise */
int store_day_rule_save(struct store *s, int64_t endpoint_id, const struct day_rule *r, struct err *err);
/* *known false: none was saved. */
int store_day_rule_get(struct store *s, int64_t endpoint_id, struct day_rule *out, bool *known, struct err *err);
struct zone;
/* Books want bytes of the day's limit if they are left (or if they are more than a whole day's and nothing was spent yet), durable when it
   returns: then *parked_until is 0, else the wall time of the next day. mailbox "": the host as a whole. A negative want gives back. */
int store_spent_take(struct store *s, int64_t endpoint_id, const char *mailbox, const struct zone *zone, uint64_t limit,
	int64_t want, int64_t now, int64_t *parked_until, struct err *err);
int store_spent_get(struct store *s, int64_t endpoint_id, const char *mailbox, const struct zone *zone, int64_t now,
	uint64_t *bytes, struct err *err); /* of today */
/* When the next user of the batch that was deferred may go on (1: at once); 0: none was. */
int store_deferred_next(struct store *s, int64_t batch_id, int64_t *at, struct err *err);
/* Users that a budget of the endpoint parked may go on: its limit is another. */
int store_deferred_release(struct store *s, int64_t endpoint_id, struct err *err);
struct scope_learned;
int store_learned_save(struct store *s, const char *scope, const struct scope_learned *l, int64_t at,
	struct err *err); /* queued; forgets what is older than a week */
/* *age_s < 0: nothing is known. */
int store_learned_get(
	struct store *s, const char *scope, int64_t now, struct scope_learned *out, int64_t *age_s, struct err *err);
int store_live_save(struct store *s, int64_t user_id, const struct live_row *row, struct err *err); /* queued */
int store_live_get(struct store *s, int64_t user_id, struct live_row *out, struct err *err);        /* zeroed: none */

/* --- audit --- who is the login name of the process */
int store_audit(struct store *s, const char *action, const char *object, const char *detail, struct err *err);
struct audit_row {
	int64_t at;
	char who[MODEL_NAME], action[64], object[MODEL_TEXT], detail[MODEL_ERROR];
};
int store_audit_list(struct store *s, const char *object, struct audit_row **out, size_t *n,
	struct err *err); /* object NULL: all; newest last */

#endif
