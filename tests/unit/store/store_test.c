/* The state file itself: made, refused, kept to its owner; and the rows that people name. */
#include "tests/unit/store/fixture.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/wait.h>

static struct scratch f;

static int set_up(void **unused)
{
	(void)unused;
	scratch_make(&f);
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	scratch_remove(&f);
	return 0;
}

static void sql(const char *path, const char *text)
{
	sqlite3 *db;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void write_file(const char *path, const void *text, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, n), (ssize_t)n);
	close(fd);
}

static unsigned mode_of(const char *suffix)
{
	char path[128];
	struct stat st;
	snprintf(path, sizeof(path), "%s%s", f.state, suffix);
	return stat(path, &st) == 0 ? st.st_mode & 0777 : 0;
}

static void test_made_and_found_again(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct store_conf conf = {.path = f.state, .create = false};
	FAILS(store_open(&f.s, &conf, &err), ERR_NOT_FOUND);
	assert_int_equal(access(f.state, F_OK), -1);
	mode_t old = umask(0);
	scratch_open(&f);
	assert_int_equal(mode_of(""), 0600);
	OK(store_audit(f.s, "test", "object", "detail", &err));
	assert_int_equal(mode_of("-wal"), 0600);
	assert_int_equal(mode_of("-shm"), 0600);
	umask(old);
	store_close(&f.s);
	assert_int_equal(chmod(f.state, 0644), 0); /* somebody opened it up: closed again */
	OK(store_open(&f.s, &conf, &err));
	assert_int_equal(mode_of(""), 0600);
	assert_string_equal(store_path(f.s), f.state);
	struct audit_row *rows;
	size_t n;
	OK(store_audit_list(f.s, NULL, &rows, &n, &err));
	assert_int_equal(n, 1);
	assert_string_equal(rows[0].detail, "detail");
	assert_true(rows[0].who[0] != '\0');
	free(rows);
	OK(store_audit_list(f.s, "other", &rows, &n, &err));
	assert_int_equal(n, 0);
	free(rows);
}

static void make_folder(void)
{
	char dir[96];
	snprintf(dir, sizeof(dir), "%s/state", f.dir);
	mkdir(dir, 0700);
}

static void test_refused_files(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct store_conf conf = {.path = f.state, .create = true};
	make_folder();
	char text[4096];
	memset(text, 'x', sizeof(text));
	write_file(f.state, text, sizeof(text));
	assert_int_equal(store_open(&f.s, &conf, &err), -1);
	assert_int_equal(err.kind, ERR_STORE);
	assert_non_null(strstr(err.text, "is not a nightferry state file"));
	char back[4096];
	int fd = open(f.state, O_RDONLY);
	assert_int_equal(read(fd, back, sizeof(back)), sizeof(back));
	assert_memory_equal(text, back, sizeof(back)); /* left as it was */
	close(fd);

	unlink(f.state); /* another program's database */
	sql(f.state, "CREATE TABLE t (a); INSERT INTO t VALUES (1)");
	assert_int_equal(store_open(&f.s, &conf, &err), -1);
	assert_non_null(strstr(err.text, "is not a nightferry state file"));
	unlink(f.state);
	sql(f.state, "PRAGMA application_id = 7; CREATE TABLE t (a)");
	assert_int_equal(store_open(&f.s, &conf, &err), -1);
	assert_non_null(strstr(err.text, "is not a nightferry state file"));

	unlink(f.state); /* newer */
	scratch_open(&f);
	store_close(&f.s);
	sql(f.state, "PRAGMA user_version = 999");
	assert_int_equal(store_open(&f.s, &conf, &err), -1);
	assert_int_equal(err.kind, ERR_STORE);
	assert_non_null(strstr(err.text, "newer nightferry"));
	assert_non_null(strstr(err.hint, "upgrade"));

	unlink(f.state); /* an empty file is a new one: a process may have died just after it made it */
	write_file(f.state, "", 0);
	scratch_open(&f);
	store_close(&f.s);
	unlink(f.state);
	assert_int_equal(mkdir(f.state, 0700), 0);
	FAILS(store_open(&f.s, &conf, &err), ERR_STORE);
	rmdir(f.state);
}

/* Whatever a damaged or forged file holds: an error or rows, no crash. */
static void read_everything(struct store *s)
{
	struct err err = ERR_INIT;
	struct batch *batches = NULL;
	struct endpoint *endpoints = NULL;
	struct audit_row *audit = NULL;
	struct user *users = NULL;
	size_t n = 0, n_users = 0;
	store_endpoint_list(s, &endpoints, &n, &err);
	free(endpoints);
	store_audit_list(s, NULL, &audit, &n, &err);
	free(audit);
	store_batch_list(s, &batches, &n, &err);
	for (size_t i = 0; i < n; i++) {
		store_user_list(s, batches[i].id, &users, &n_users, &err);
		for (size_t k = 0; k < n_users && k < 5; k++) {
			struct folder_row *folders;
			struct item items[8], *doubts;
			struct note *notes;
			size_t got;
			store_folders(s, users[k].id, &folders, &got, &err);
			int64_t generation = got ? folders[0].generation_id : 1;
			store_folders_free(&folders, got);
			store_items_full(s, generation, 0, items, 8, &got, &err);
			while (got > 0)
				item_done(&items[--got]);
			store_set_aside_list(s, users[k].id, 0, 0, items, 8, &got, &err);
			while (got > 0)
				item_done(&items[--got]);
			store_in_doubt(s, users[k].id, 1, &doubts, &got, &err);
			for (size_t d = 0; d < got; d++)
				item_done(&doubts[d]);
			free(doubts);
			store_notes(s, users[k].id, &notes, &got, &err);
			free(notes);
		}
		free(users);
	}
	free(batches);
}

static void test_damaged(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct store_conf conf = {.path = f.state};
	scratch_open(&f);
	scratch_batch(&f, "pilot", 300, 2);
	store_close(&f.s);
	struct stat st;
	assert_int_equal(stat(f.state, &st), 0);
	assert_true(st.st_size > 100000);
	unsigned told = 0;
	char *whole = malloc((size_t)st.st_size), *bad = malloc((size_t)st.st_size);
	int fd = open(f.state, O_RDONLY);
	assert_int_equal(read(fd, whole, (size_t)st.st_size), st.st_size);
	close(fd);
	for (off_t page = 4096; page + 4096 <= st.st_size;
		page += 4096) { /* each page once: noise where its header was */
		memcpy(bad, whole, (size_t)st.st_size);
		for (unsigned i = 0; i < 64; i++)
			bad[page + i] = (char)(i * 37 + 11);
		write_file(f.state, bad, (size_t)st.st_size);
		err = ERR_INIT;
		if (store_open(&f.s, &conf, &err) < 0) {
			assert_int_equal(err.kind, ERR_STORE);
			assert_non_null(strstr(err.text, "damaged"));
			assert_non_null(strstr(err.hint, "new state file"));
			told++;
		} else {
			read_everything(f.s);
		}
		store_close(&f.s);
	}
	assert_true(told > 10);
	free(whole);
	free(bad);
}

static void test_rights(void **unused)
{
	(void)unused;
	if (geteuid() == 0) { /* root may write everywhere: as another user in a child */
		make_folder();
		char dir[96];
		snprintf(dir, sizeof(dir), "%s/state", f.dir);
		chmod(f.dir, 0755);
		chmod(dir, 0755);
		pid_t pid = fork();
		if (pid == 0) {
			struct err err = ERR_INIT;
			struct store_conf conf = {.path = f.state, .create = true};
			if (setuid(65534) < 0)
				_exit(9);
			int rc = store_open(&f.s, &conf, &err);
			_exit(rc < 0 && err.kind == ERR_STORE && err.hint[0] ? 0 : 1);
		}
		int status;
		waitpid(pid, &status, 0);
		assert_int_equal(status, 0);
		scratch_open(&f);
		store_close(&f.s);
		chmod(f.state, 0444);
		pid = fork();
		if (pid == 0) {
			struct err err = ERR_INIT;
			struct store_conf conf = {.path = f.state};
			if (setuid(65534) < 0)
				_exit(9);
			int rc = store_open(&f.s, &conf, &err);
			_exit(rc < 0 && err.kind == ERR_STORE && err.hint[0] ? 0 : 1);
		}
		waitpid(pid, &status, 0);
		assert_int_equal(status, 0);
		return;
	}
	struct err err = ERR_INIT;
	struct store_conf conf = {.path = "/nonexistent-nightferry/state.db", .create = true};
	FAILS(store_open(&f.s, &conf, &err), ERR_STORE);
}

static void test_secrets(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct secret *v = secret_new("hunter2-very-secret", 19), *back = NULL;
	scratch_open(&f);
	OK(store_secret_get(f.s, "endpoint", 1, "password", &back, &err));
	assert_null(back);
	assert_int_equal(access(f.key, F_OK), -1); /* nothing was sealed: no key */
	OK(store_secret_put(f.s, "endpoint", 1, "password", v, &err));
	OK(store_secret_put(f.s, "endpoint", 1, "other", v, &err));
	OK(store_secret_get(f.s, "endpoint", 1, "password", &back, &err));
	assert_true(secret_equal(v, back));
	secret_free(&back);
	store_close(&f.s);

	char file[200000]; /* not in the clear in the file */
	int fd = open(f.state, O_RDONLY);
	ssize_t n = read(fd, file, sizeof(file));
	close(fd);
	for (ssize_t i = 0; i + 19 <= n; i++)
		assert_memory_not_equal(file + i, "hunter2-very-secret", 19);

	/* a row moved to another identity does not open */
	sql(f.state, "UPDATE secret SET owner_id = 2 WHERE name = 'other'");
	scratch_open(&f);
	FAILS(store_secret_get(f.s, "endpoint", 2, "other", &back, &err), ERR_VAULT);
	OK(store_secret_drop(f.s, "endpoint", 1, NULL, &err));
	OK(store_secret_get(f.s, "endpoint", 1, "password", &back, &err));
	assert_null(back);
	store_close(&f.s);

	/* another key file: what is sealed stays as it is, nothing is added under the other key */
	struct store_conf conf = {.path = f.state, .key_file = f.key};
	char moved[128];
	snprintf(moved, sizeof(moved), "%s.moved", f.key);
	assert_int_equal(rename(f.key, moved), 0);
	OK(store_open(&f.s, &conf, &err));
	FAILS(store_secret_get(f.s, "endpoint", 2, "other", &back, &err), ERR_VAULT);
	FAILS(store_secret_put(f.s, "endpoint", 3, "password", v, &err), ERR_VAULT);
	assert_int_equal(access(f.key, F_OK), -1);
	write_file(f.key, "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF\n", 65);
	FAILS(store_secret_put(f.s, "endpoint", 3, "password", v, &err), ERR_VAULT);
	secret_free(&v);
}

static struct endpoint endpoint_named(const char *name)
{
	struct endpoint e = {.port = 993,
		.tls = TLS_STARTTLS,
		.auth = AUTH_PLAIN,
		.max_mailboxes = 3,
		.max_connections = 4,
		.bytes_per_s = UINT64_MAX,
		.quirks = QUIRK_COURIER,
		.tested_at = 5,
		.test_skipped = true};
	snprintf(e.name, sizeof(e.name), "%s", name);
	snprintf(e.host, sizeof(e.host), "imap.example.pk");
	snprintf(e.test_user, sizeof(e.test_user), "test@example.pk");
	return e;
}

static void test_endpoints(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct endpoint e = endpoint_named("IMAP-2026"), got, twin = endpoint_named("imap-2026");
	scratch_open(&f);
	OK(store_endpoint_save(f.s, &e, &err));
	assert_true(e.id > 0);
	FAILS(store_endpoint_save(f.s, &twin, &err), ERR_CONFLICT);
	OK(store_endpoint_get(f.s, "IMAP-2026", &got, &err));
	assert_int_equal(got.id, e.id);
	assert_int_equal(got.tls, TLS_STARTTLS);
	assert_int_equal(got.auth, AUTH_PLAIN);
	assert_true(got.bytes_per_s == INT64_MAX);
	assert_string_equal(got.test_user, "test@example.pk");
	assert_true(got.test_skipped && !got.test_passed && got.created_at > 0);
	e.port = 143;
	OK(store_endpoint_save(f.s, &e, &err));
	OK(store_endpoint_by_id(f.s, e.id, &got, &err));
	assert_int_equal(got.port, 143);
	assert_int_equal(store_endpoint_get(f.s, "IMAP-2025", &got, &err), -1);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	assert_non_null(strstr(err.hint, "did you mean IMAP-2026?"));
	struct endpoint bad = endpoint_named("a\tb");
	FAILS(store_endpoint_save(f.s, &bad, &err), ERR_USAGE);

	/* replace: the successor takes the name, the batches and leaves no secret behind */
	int64_t batch = scratch_batch(&f, "pilot", 1, 1);
	struct batch b;
	OK(store_batch_by_id(f.s, batch, &b, &err));
	int64_t old = b.endpoint_id;
	struct secret *v = secret_new("x", 1), *back;
	OK(store_secret_put(f.s, "endpoint", old, "password", v, &err));
	FAILS(store_endpoint_delete(f.s, old, &err), ERR_CONFLICT);
	struct endpoint next = endpoint_named("successor");
	OK(store_endpoint_save(f.s, &next, &err));
	OK(store_secret_put(f.s, "endpoint", next.id, "password", v, &err));
	OK(store_endpoint_replace(f.s, old, next.id, &err));
	OK(store_endpoint_get(f.s, "source", &got, &err));
	assert_int_equal(got.id, next.id);
	OK(store_batch_by_id(f.s, batch, &b, &err));
	assert_int_equal(b.endpoint_id, next.id);
	OK(store_secret_get(f.s, "endpoint", old, "password", &back, &err));
	assert_null(back);
	OK(store_secret_get(f.s, "endpoint", next.id, "password", &back, &err));
	assert_non_null(back);
	secret_free(&back);
	secret_free(&v);
	struct endpoint *list;
	size_t n;
	OK(store_endpoint_list(f.s, &list, &n, &err));
	assert_int_equal(n, 2);
	free(list);
	OK(store_endpoint_delete(f.s, e.id, &err));
	FAILS(store_endpoint_by_id(f.s, e.id, &got, &err), ERR_NOT_FOUND);
}

static void test_targets(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct target_row t = {.kind = TARGET_IMAP,
				  .imap_port = 993,
				  .settle_after_ms = -1,
				  .max_message_bytes = 150000000},
			  got, *list;
	size_t n;
	snprintf(t.name, sizeof(t.name), "other");
	snprintf(t.routes, sizeof(t.routes), "imap,mime");
	scratch_open(&f);
	OK(store_target_save(f.s, &t, &err));
	OK(store_target_get(f.s, "other", &got, &err));
	assert_int_equal(got.settle_after_ms, -1);
	assert_int_equal(got.kind, TARGET_IMAP);
	assert_string_equal(got.routes, "imap,mime");
	t.max_mailboxes = 9;
	OK(store_target_save(f.s, &t, &err));
	OK(store_target_by_id(f.s, t.id, &got, &err));
	assert_int_equal(got.max_mailboxes, 9);
	OK(store_target_list(f.s, &list, &n, &err));
	assert_int_equal(n, 1);
	free(list);
	OK(store_target_delete(f.s, t.id, &err));
	FAILS(store_target_get(f.s, "other", &got, &err), ERR_NOT_FOUND);
}

/* Rows that nobody of us wrote: too long, out of range, of other types. */
static void test_hostile_rows(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	scratch_open(&f);
	struct endpoint e = endpoint_named("one"), got, *list;
	OK(store_endpoint_save(f.s, &e, &err));
	store_close(&f.s);
	sql(f.state, "UPDATE endpoint SET host = printf('%.*c', 100000, 'x'), port = -5, tls = 99, auth = "
		     "12345678901, max_mailboxes = -1, "
		     "quirks = 9223372036854775807, test_text = printf('%.*c', 5000, 'y') || char(0) || 'z', "
		     "bytes_per_s = -9");
	sql(f.state, "INSERT INTO audit (at, who, action, object, detail) VALUES (-1, printf('%.*c', 9999, "
		     "'w'), '', '', '')");
	scratch_open(&f);
	OK(store_endpoint_get(f.s, "one", &got, &err));
	assert_int_equal(strlen(got.host), MODEL_TEXT - 1);
	assert_int_equal(strlen(got.test_text), MODEL_ERROR - 1);
	assert_int_equal(got.port, 0);
	assert_int_equal(got.tls, TLS_IMPLICIT);
	assert_int_equal(got.auth, AUTH_ANY);
	assert_int_equal(got.max_mailboxes, 0);
	assert_true(got.bytes_per_s == 0);
	size_t n;
	OK(store_endpoint_list(f.s, &list, &n, &err));
	free(list);
	struct audit_row *rows;
	OK(store_audit_list(f.s, NULL, &rows, &n, &err));
	assert_int_equal(strlen(rows[n - 1].who), MODEL_NAME - 1);
	free(rows);
	/* a trigger in the file does not run */
	store_close(&f.s);
	sql(f.state, "CREATE TRIGGER evil AFTER INSERT ON audit BEGIN DELETE FROM endpoint; END");
	scratch_open(&f);
	OK(store_audit(f.s, "a", "b", "c", &err));
	OK(store_endpoint_get(f.s, "one", &got, &err));
}

static void test_version_sees_other_processes(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	scratch_open(&f);
	int64_t before = store_version(f.s);
	OK(store_audit(f.s, "a", "b", "c", &err));
	assert_int_equal(store_version(f.s), before); /* our own writes do not count */
	pid_t pid = fork();
	if (pid == 0) {
		execlp("sqlite3", "sqlite3", f.state,
			"INSERT INTO audit (at, who, action, object, detail) VALUES (1, '', '', '', '')", (char *)NULL);
		sqlite3 *db;
		_exit(sqlite3_open(f.state, &db) ||
			sqlite3_exec(db, "INSERT INTO audit (at, who, action, object, detail) VALUES (1,'','','','')",
				NULL, NULL, NULL));
	}
	int status;
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	assert_int_not_equal(store_version(f.s), before);
}

static void test_find(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	char path[MODEL_PATH], tiny[8];
	unsetenv("NIGHTFERRY_STATE");
	OK(store_find("/x/y.db", false, path, sizeof(path), &err));
	assert_string_equal(path, "/x/y.db");
	FAILS(store_find("/x/y.db", true, path, sizeof(path), &err), ERR_NOT_FOUND);
	FAILS(store_find("/a/long/path", false, tiny, sizeof(tiny), &err), ERR_USAGE);
	FAILS(store_find("", false, path, sizeof(path), &err), ERR_USAGE);
	setenv("NIGHTFERRY_STATE", "/env/state.db", 1);
	OK(store_find(NULL, false, path, sizeof(path), &err));
	assert_string_equal(path, "/env/state.db");
	unsetenv("NIGHTFERRY_STATE");
	if (access("/var/lib/nightferry/state.db", F_OK) == 0)
		return;
	setenv("XDG_STATE_HOME", f.dir, 1);
	OK(store_find(NULL, false, path, sizeof(path), &err));
	assert_non_null(strstr(path, "/nightferry/state.db"));
	assert_int_equal(store_find(NULL, true, path, sizeof(path), &err), -1);
	assert_non_null(strstr(err.text, "/var/lib/nightferry/state.db"));
	assert_non_null(strstr(err.text, f.dir));
	assert_non_null(strstr(err.text, "--state"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {T(test_made_and_found_again), T(test_refused_files), T(test_damaged),
		T(test_rights), T(test_secrets), T(test_endpoints), T(test_targets), T(test_hostile_rows),
		T(test_version_sees_other_processes), T(test_find)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
