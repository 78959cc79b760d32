/* What the state file looks like: tables, their versions, and how an older file becomes one of today. A migration is one SQL text a
   version, run with the new version number in one transaction; a published one never changes. */
#include "engine/store/parts.h"

#define APPLICATION_ID 0x4e466672 /* "NFfr" */

/* Counts are kept beside their owner and changed with each item, never counted. */
#define COUNT_FIELDS \
	"found INTEGER NOT NULL DEFAULT 0, copied INTEGER NOT NULL DEFAULT 0, adopted INTEGER NOT NULL " \
	"DEFAULT 0, " \
	"skipped INTEGER NOT NULL DEFAULT 0, refused INTEGER NOT NULL DEFAULT 0, gone INTEGER NOT NULL " \
	"DEFAULT 0, " \
	"in_doubt INTEGER NOT NULL DEFAULT 0, found_bytes INTEGER NOT NULL DEFAULT 0, copied_bytes INTEGER " \
	"NOT NULL DEFAULT 0"

/* AUTOINCREMENT where a secret belongs to a row: its identity must never be that of a later row. */
static const char version_1[] =
	"CREATE TABLE endpoint ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL COLLATE NOCASE UNIQUE, host TEXT NOT "
	"NULL, port INTEGER NOT NULL,"
	" tls INTEGER NOT NULL, ca_file TEXT NOT NULL, any_certificate INTEGER NOT NULL, auth INTEGER NOT "
	"NULL,"
	" admin_user TEXT NOT NULL, login_template TEXT NOT NULL, provider TEXT NOT NULL, max_mailboxes "
	"INTEGER NOT NULL,"
	" max_connections INTEGER NOT NULL, bytes_per_s INTEGER NOT NULL, bytes_per_day INTEGER NOT NULL, "
	"quirks INTEGER NOT NULL,"
	" silence_ms INTEGER NOT NULL, retry_ms INTEGER NOT NULL,"
	" test_user TEXT NOT NULL, tested_at INTEGER NOT NULL, test_passed INTEGER NOT NULL, test_skipped "
	"INTEGER NOT NULL,"
	" test_text TEXT NOT NULL, created_at INTEGER NOT NULL, paused_at INTEGER NOT NULL DEFAULT 0,"
	" paused_text TEXT NOT NULL DEFAULT '') STRICT;"

	"CREATE TABLE target ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL COLLATE NOCASE UNIQUE, kind INTEGER NOT "
	"NULL,"
	" tenant TEXT NOT NULL, client_id TEXT NOT NULL, cloud TEXT NOT NULL, login_url TEXT NOT NULL, "
	"imap_host TEXT NOT NULL,"
	" imap_port INTEGER NOT NULL, imap_tls INTEGER NOT NULL, ca_file TEXT NOT NULL, any_certificate "
	"INTEGER NOT NULL,"
	" auth INTEGER NOT NULL, login_template TEXT NOT NULL, routes TEXT NOT NULL, max_message_bytes "
	"INTEGER NOT NULL,"
	" settle_after_ms INTEGER NOT NULL, bytes_per_s INTEGER NOT NULL, max_mailboxes INTEGER NOT NULL, "
	"test_user TEXT NOT NULL,"
	" tested_at INTEGER NOT NULL, test_passed INTEGER NOT NULL, test_skipped INTEGER NOT NULL, test_text "
	"TEXT NOT NULL,"
	" created_at INTEGER NOT NULL) STRICT;"

	"CREATE TABLE batch ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL COLLATE NOCASE UNIQUE,"
	" endpoint_id INTEGER NOT NULL REFERENCES endpoint(id), target_id INTEGER NOT NULL REFERENCES "
	"target(id),"
	" pilot INTEGER NOT NULL, without_pilot INTEGER NOT NULL, state INTEGER NOT NULL, max_mailboxes "
	"INTEGER NOT NULL,"
	" uploads INTEGER NOT NULL, bytes_per_s INTEGER NOT NULL, existing INTEGER NOT NULL, copy_deleted "
	"INTEGER NOT NULL,"
	" date_from_header INTEGER NOT NULL, folders_in TEXT NOT NULL, folders_out TEXT NOT NULL,"
	" skips_acknowledged INTEGER NOT NULL, verdict TEXT NOT NULL, created_at INTEGER NOT NULL, "
	"started_at INTEGER NOT NULL,"
	" ended_at INTEGER NOT NULL) STRICT;"
	"CREATE INDEX batch_endpoint ON batch(endpoint_id);"
	"CREATE INDEX batch_target ON batch(target_id);"

	/* want: what the person asked for; pass: what the job that has the lease was given */
	"CREATE TABLE user ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, batch_id INTEGER NOT NULL REFERENCES batch(id) ON DELETE "
	"CASCADE,"
	" line INTEGER NOT NULL, source_user TEXT NOT NULL, user_root TEXT NOT NULL, address TEXT NOT NULL,"
	" address_key TEXT NOT NULL, dest_id TEXT NOT NULL DEFAULT '', state INTEGER NOT NULL, want INTEGER "
	"NOT NULL DEFAULT 0,"
	" pass INTEGER NOT NULL DEFAULT 0, error_kind INTEGER NOT NULL DEFAULT 0, error TEXT NOT NULL "
	"DEFAULT '',"
	" retry_at INTEGER NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0, crashes INTEGER NOT NULL "
	"DEFAULT 0,"
	" started_at INTEGER NOT NULL DEFAULT 0, synced_at INTEGER NOT NULL DEFAULT 0, UNIQUE (batch_id, "
	"line)) STRICT;"
	"CREATE INDEX user_due ON user(batch_id, line) WHERE want > 0;"
	"CREATE INDEX user_address ON user(address_key);"
	"CREATE INDEX user_dest ON user(dest_id) WHERE dest_id <> '';"

	/* the narrow row of a user that changes with every commit: lease, counts, what it is doing */
	"CREATE TABLE work ("
	" user_id INTEGER PRIMARY KEY REFERENCES user(id) ON DELETE CASCADE, held INTEGER NOT NULL DEFAULT 0,"
	" epoch INTEGER NOT NULL DEFAULT 0, moved_at_claim INTEGER NOT NULL DEFAULT 0, folder TEXT NOT NULL "
	"DEFAULT '',"
	" " COUNT_FIELDS ") STRICT;"
	"CREATE INDEX work_held ON work(user_id) WHERE held = 1;"

	"CREATE TABLE sign_in ("
	" endpoint_id INTEGER NOT NULL REFERENCES endpoint(id) ON DELETE CASCADE, user_id INTEGER NOT NULL, "
	"at INTEGER NOT NULL,"
	" PRIMARY KEY (endpoint_id, user_id)) STRICT, WITHOUT ROWID;"

	"CREATE TABLE secret ("
	" owner TEXT NOT NULL, owner_id INTEGER NOT NULL, name TEXT NOT NULL, key_id TEXT NOT NULL, sealed "
	"BLOB NOT NULL,"
	" PRIMARY KEY (owner, owner_id, name)) STRICT, WITHOUT ROWID;"

	"CREATE TABLE generation ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER NOT NULL REFERENCES user(id) ON DELETE "
	"CASCADE, raw BLOB NOT NULL,"
	" name TEXT NOT NULL, uidvalidity INTEGER NOT NULL, dest_folder_id INTEGER NOT NULL DEFAULT 0,"
	" older_id INTEGER NOT NULL DEFAULT 0, current INTEGER NOT NULL, " COUNT_FIELDS
	", UNIQUE (user_id, raw, uidvalidity)) STRICT;"

	"CREATE TABLE dest_folder ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER NOT NULL REFERENCES user(id) ON DELETE "
	"CASCADE, path TEXT NOT NULL,"
	" generation TEXT NOT NULL, mark TEXT NOT NULL, indexed INTEGER NOT NULL, UNIQUE (user_id, path)) "
	"STRICT;"

	"CREATE TABLE existing ("
	" dest_folder_id INTEGER NOT NULL REFERENCES dest_folder(id) ON DELETE CASCADE, key BLOB NOT NULL, "
	"id TEXT NOT NULL,"
	" size INTEGER NOT NULL, PRIMARY KEY (dest_folder_id, key, id)) STRICT, WITHOUT ROWID;"

	/* the header values are there only while something may have to be found by them, or told to a person */
	"CREATE TABLE item ("
	" generation_id INTEGER NOT NULL REFERENCES generation(id) ON DELETE CASCADE, uid INTEGER NOT NULL, "
	"state INTEGER NOT NULL,"
	" how INTEGER NOT NULL, dest_folder_id INTEGER NOT NULL, flags_source INTEGER NOT NULL, "
	"flags_written INTEGER NOT NULL,"
	" size INTEGER NOT NULL, received_at INTEGER NOT NULL, received_zone INTEGER NOT NULL, "
	"received_known INTEGER NOT NULL,"
	" at INTEGER NOT NULL, sha256 BLOB NOT NULL, key BLOB NOT NULL, route TEXT NOT NULL, dest_id TEXT, "
	"message_id TEXT,"
	" hdr_date TEXT, hdr_from TEXT, hdr_subject TEXT, error_kind INTEGER NOT NULL DEFAULT 0, error TEXT,"
	" PRIMARY KEY (generation_id, uid)) STRICT, WITHOUT ROWID;"
	"CREATE UNIQUE INDEX item_receipt ON item(dest_folder_id, dest_id) WHERE dest_id IS NOT NULL;"
	"CREATE INDEX item_doubt ON item(dest_folder_id) WHERE state = 0;"
	"CREATE INDEX item_aside ON item(generation_id, uid) WHERE state >= 3;"

	/* placed items of folder generations that are no longer current, by content; filled when a generation is left */
	"CREATE TABLE carry ("
	" generation_id INTEGER NOT NULL REFERENCES generation(id) ON DELETE CASCADE, sha256 BLOB NOT NULL, "
	"uid INTEGER NOT NULL,"
	" PRIMARY KEY (generation_id, sha256, uid)) STRICT, WITHOUT ROWID;"

	"CREATE TABLE note ("
	" id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES user(id) ON DELETE CASCADE, at INTEGER "
	"NOT NULL,"
	" kind TEXT NOT NULL, text TEXT NOT NULL, UNIQUE (user_id, kind, text)) STRICT;"

	"CREATE TABLE audit ("
	" id INTEGER PRIMARY KEY, at INTEGER NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL, object TEXT "
	"NOT NULL,"
	" detail TEXT NOT NULL) STRICT;"
	"CREATE INDEX audit_object ON audit(object);";
_Static_assert(ITEM_INTENDED == 0 && ITEM_SKIPPED == 3 && ITEM_GONE == 5, "the indexes name them");

/* What each route of a target was seen to do. The test before this version put one message with an old date by IMAP and read it back. */
static const char version_proof[] =
	"ALTER TABLE target ADD COLUMN graph_url TEXT NOT NULL DEFAULT '';"
	"CREATE TABLE proof ("
	" target_id INTEGER NOT NULL REFERENCES target(id) ON DELETE CASCADE, route TEXT NOT NULL, at INTEGER NOT NULL,"
	" passed INTEGER NOT NULL, mailbox TEXT NOT NULL, text TEXT NOT NULL, largest INTEGER NOT NULL,"
	" refused INTEGER NOT NULL, date_kept INTEGER NOT NULL, flags_kept INTEGER NOT NULL,"
	" categories_kept INTEGER NOT NULL, content_kept INTEGER NOT NULL, suspect_at INTEGER NOT NULL,"
	" suspect_text TEXT NOT NULL, PRIMARY KEY (target_id, route)) STRICT, WITHOUT ROWID;"
	"INSERT INTO proof SELECT id, 'imap', tested_at, 1, test_user, 'by the one probe message of an older "
	"nightferry', 0, 0,"
	" 1, 1, 0, 1, 0, '' FROM target WHERE test_passed = 1;";

/* Windows and what the engine makes of them, daily budgets, what was learned of servers, and what a mailbox does now. Texts of several
   lines have a line a window or date. */
static const char version_night[] =
	"CREATE TABLE night ("
	" batch_id INTEGER PRIMARY KEY REFERENCES batch(id) ON DELETE CASCADE, windows TEXT NOT NULL, blackouts "
	"TEXT NOT NULL,"
	" zone TEXT NOT NULL, start_after INTEGER NOT NULL, until INTEGER NOT NULL, auto_ramp INTEGER NOT NULL) "
	"STRICT;"

	/* the engine's: closed until then (0: open), so many mailboxes at once now (0: as set), and why */
	"CREATE TABLE pace ("
	" batch_id INTEGER PRIMARY KEY REFERENCES batch(id) ON DELETE CASCADE, open_at INTEGER NOT NULL, mailboxes "
	"INTEGER NOT NULL,"
	" advice INTEGER NOT NULL, text TEXT NOT NULL) STRICT;"

	"CREATE TABLE day_rule ("
	" endpoint_id INTEGER PRIMARY KEY REFERENCES endpoint(id) ON DELETE CASCADE, of_host INTEGER NOT NULL, zone "
	"TEXT NOT NULL) STRICT;"
	/* mailbox '': the host as a whole */
	"CREATE TABLE spent ("
	" endpoint_id INTEGER NOT NULL REFERENCES endpoint(id) ON DELETE CASCADE, mailbox TEXT NOT NULL, day INTEGER "
	"NOT NULL,"
	" bytes INTEGER NOT NULL, PRIMARY KEY (endpoint_id, mailbox)) STRICT, WITHOUT ROWID;"

	"CREATE TABLE learned ("
	" scope TEXT PRIMARY KEY, requests INTEGER NOT NULL, bytes INTEGER NOT NULL, in_flight INTEGER NOT NULL, at "
	"INTEGER NOT NULL) STRICT, WITHOUT ROWID;"

	"CREATE TABLE live ("
	" user_id INTEGER PRIMARY KEY REFERENCES user(id) ON DELETE CASCADE, at INTEGER NOT NULL, bytes_per_s INTEGER "
	"NOT NULL,"
	" limit_per_s INTEGER NOT NULL, requests INTEGER NOT NULL, requests_limit INTEGER NOT NULL, in_flight "
	"INTEGER NOT NULL,"
	" in_flight_limit INTEGER NOT NULL, binding INTEGER NOT NULL, detail TEXT NOT NULL, fenced_until INTEGER "
	"NOT NULL,"
	" fence_words TEXT NOT NULL, fenced_ms INTEGER NOT NULL, refused INTEGER NOT NULL, deferrals INTEGER NOT "
	"NULL) STRICT;";

/* What was found before a batch began, the forecast made then, and what the first pass of each mailbox took. */
static const char version_assess[] =
	"CREATE TABLE assessment ("
	" user_id INTEGER PRIMARY KEY REFERENCES user(id) ON DELETE CASCADE, at INTEGER NOT NULL, error_kind INTEGER "
	"NOT NULL,"
	" error TEXT NOT NULL, folders INTEGER NOT NULL, folders_moved INTEGER NOT NULL, messages INTEGER NOT NULL,"
	" bytes INTEGER NOT NULL, largest INTEGER NOT NULL, deleted INTEGER NOT NULL, drafts INTEGER NOT NULL,"
	" too_big INTEGER NOT NULL, too_big_bytes INTEGER NOT NULL, problems INTEGER NOT NULL, left_out INTEGER NOT "
	"NULL,"
	" notes INTEGER NOT NULL, begins_at INTEGER NOT NULL DEFAULT 0, ends_at INTEGER NOT NULL DEFAULT 0,"
	" active_s INTEGER NOT NULL DEFAULT 0, bind TEXT NOT NULL DEFAULT '') STRICT;"

	"CREATE TABLE finding ("
	" user_id INTEGER NOT NULL REFERENCES user(id) ON DELETE CASCADE, n INTEGER NOT NULL, weight INTEGER NOT NULL,"
	" kind TEXT NOT NULL, text TEXT NOT NULL, remedy TEXT NOT NULL, PRIMARY KEY (user_id, n)) STRICT, WITHOUT "
	"ROWID;"

	"CREATE TABLE outlook ("
	" batch_id INTEGER PRIMARY KEY REFERENCES batch(id) ON DELETE CASCADE, at INTEGER NOT NULL, begins_at INTEGER "
	"NOT NULL,"
	" ends_at INTEGER NOT NULL, open_s INTEGER NOT NULL, bytes INTEGER NOT NULL, messages INTEGER NOT NULL,"
	" mailboxes INTEGER NOT NULL, at_once INTEGER NOT NULL, bind TEXT NOT NULL, basis TEXT NOT NULL, nights TEXT "
	"NOT NULL) STRICT;"

	/* held_at: a job is at work since; left_at, left_kind: when and why the last one ended; ended_at: the first pass is done */
	"CREATE TABLE effort ("
	" user_id INTEGER PRIMARY KEY REFERENCES user(id) ON DELETE CASCADE, begun_at INTEGER NOT NULL,"
	" ended_at INTEGER NOT NULL DEFAULT 0, held_at INTEGER NOT NULL DEFAULT 0, left_at INTEGER NOT NULL DEFAULT 0,"
	" left_kind INTEGER NOT NULL DEFAULT 0, active_s INTEGER NOT NULL DEFAULT 0, fenced_s INTEGER NOT NULL DEFAULT "
	"0,"
	" deferred_s INTEGER NOT NULL DEFAULT 0, failed_s INTEGER NOT NULL DEFAULT 0, messages INTEGER NOT NULL "
	"DEFAULT 0,"
	" bytes INTEGER NOT NULL DEFAULT 0, jobs INTEGER NOT NULL DEFAULT 0) STRICT;";

/* What is new in a destination folder is a matter of each route (engine/doubt.c). Until here there was the route imap alone, and what was taken
   over lay before its mark. */
static const char version_routes[] =
	"ALTER TABLE user ADD COLUMN dest_address TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE item ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE existing ADD COLUMN route TEXT NOT NULL DEFAULT 'imap';"
	"ALTER TABLE existing ADD COLUMN epoch INTEGER NOT NULL DEFAULT -1;"
	"ALTER TABLE dest_folder ADD COLUMN put_at INTEGER NOT NULL DEFAULT 0;"
	"UPDATE item SET epoch = -1 WHERE how = 1;"
	"CREATE TABLE dest_mark ("
	" dest_folder_id INTEGER NOT NULL REFERENCES dest_folder(id) ON DELETE CASCADE, route TEXT NOT NULL,"
	" generation TEXT NOT NULL, mark TEXT NOT NULL, epoch INTEGER NOT NULL, PRIMARY KEY (dest_folder_id, route))"
	" STRICT, WITHOUT ROWID;"
	"INSERT INTO dest_mark SELECT id, 'imap', generation, mark, 0 FROM dest_folder;"
	/* a route whose mark is no place in an order: the ids that were there */
	"CREATE TABLE dest_old ("
	" dest_folder_id INTEGER NOT NULL REFERENCES dest_folder(id) ON DELETE CASCADE, route TEXT NOT NULL,"
	" id TEXT NOT NULL, PRIMARY KEY (dest_folder_id, route, id)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE route_count ("
	" user_id INTEGER NOT NULL REFERENCES user(id) ON DELETE CASCADE, route TEXT NOT NULL,"
	" copied INTEGER NOT NULL, copied_bytes INTEGER NOT NULL, PRIMARY KEY (user_id, route)) STRICT, WITHOUT ROWID;"
	"INSERT INTO route_count SELECT g.user_id, i.route, count(*), sum(i.size) FROM item i JOIN generation g "
	"ON g.id = i.generation_id WHERE i.state IN (1, 2) AND i.how <> 1 AND i.route <> '' GROUP BY g.user_id, "
	"i.route;";
_Static_assert(HOW_ADOPTED == 1 && ITEM_PLACED == 1 && ITEM_DONE == 2, "said in SQL");

/* What a person knows of Graph's limits beyond those published. */
static const char version_ceiling[] = "ALTER TABLE target ADD COLUMN graph_ceiling INTEGER NOT NULL DEFAULT 0;";

static const char *const migrations[] = {
	version_1, version_proof, version_night, version_assess, version_routes, version_ceiling};
#define VERSION ((int64_t)(sizeof(migrations) / sizeof(migrations[0])))

static int fail_foreign(const char *path, struct err *err)
{
	err_set(err, ERR_STORE, "%s is not a nightferry state file", path);
	err_hint(err, "it belongs to another program and was left as it is; name another file with --state");
	return -1;
}

static int fail_newer(const char *path, int64_t version, struct err *err)
{
	err_set(err, ERR_STORE,
		"the state file %s was written by a newer nightferry (schema %lld, this one knows %lld)", path,
		(long long)version, (long long)VERSION);
	err_hint(err, "upgrade nightferry on this machine; the file was left as it is");
	return -1;
}

/* Reads only; a foreign file is not changed in any way. */
static int look(struct db *db, const char *path, int64_t *version, struct err *err)
{
	int64_t application, objects;
	if (db_ask(db, "PRAGMA application_id", &application, err) < 0 ||
		db_ask(db, "PRAGMA user_version", version, err) < 0 ||
		db_ask(db, "SELECT count(*) FROM sqlite_schema", &objects, err) < 0)
		return -1;
	if (application == 0 && *version == 0 && objects == 0)
		return 0; /* new, or made by a process that died before its first commit */
	if (application != APPLICATION_ID || *version < 1)
		return fail_foreign(path, err);
	return *version > VERSION ? fail_newer(path, *version, err) : 0;
}

int schema_check(struct db *db, const char *path, struct err *err)
{
	int64_t version;
	return look(db, path, &version, err);
}

static int migrate(struct db *db, const char *path, struct err *err)
{
	int64_t version; /* again, now that nobody else can write: another process may have been faster */
	if (look(db, path, &version, err) < 0)
		return -1;
	for (; version < VERSION; version++) {
		char number[64];
		snprintf(number, sizeof(number), "PRAGMA user_version = %lld", (long long)version + 1);
		if (db_exec(db, migrations[version], err) < 0 || db_exec(db, number, err) < 0)
			return err_wrap(err, "bringing the state to schema %lld", (long long)version + 1);
	}
	char id[64];
	snprintf(id, sizeof(id), "PRAGMA application_id = %d", APPLICATION_ID);
	return db_exec(db, id, err);
}

int schema_ready(struct db *db, const char *path, struct err *err)
{
	int64_t version;
	char mode[16];
	if (db_ask_text(db, "PRAGMA journal_mode = WAL", mode, sizeof(mode), err) < 0)
		return -1;
	if (strcmp(mode, "wal") != 0) {
		err_set(err, ERR_STORE,
			"the file system of %s cannot hold a state file (no shared memory for SQLite's WAL)", path);
		err_hint(err, "put it on a local disk with --state; network file systems will not do");
		return -1;
	}
	if (look(db, path, &version, err) < 0)
		return -1;
	if (version == VERSION)
		return 0;
	if (db_exec(db, "BEGIN IMMEDIATE", err) < 0)
		return -1;
	if (migrate(db, path, err) < 0 || db_exec(db, "COMMIT", err) < 0) {
		struct err ignored = ERR_INIT;
		if (db_in_transaction(db))
			db_exec(db, "ROLLBACK", &ignored);
		return -1;
	}
	return 0;
}
