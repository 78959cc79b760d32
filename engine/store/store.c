/* The store as a whole: opened, looked at, closed. The file is 0600 from its first moment, and SQLite gives its -wal and -shm the same. */
#include "engine/store/parts.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

/* A quick check reads the whole file: at each open only where that takes a tenth of a second at most, after an unclean end in larger
   ones too. */
#define CHECK_BYTES ((off_t)8 * 1024 * 1024)
#define CHECK_BYTES_UNCLEAN ((off_t)256 * 1024 * 1024)

#define HEADER_BYTES 100

static int fail_open(const char *path, int saved_errno, struct err *err)
{
	bool full = saved_errno == ENOSPC || saved_errno == EDQUOT;
	err_set(err, full ? ERR_DISK : ERR_STORE, "the state file %s cannot be opened: %s", path,
		strerror(saved_errno));
	if (full)
		err_hint(err, "make room on that disk");
	else if (saved_errno == EACCES || saved_errno == EROFS || saved_errno == EPERM)
		err_hint(err,
			"this user (uid %d) must be able to read and write the file and its folder; or name "
			"another with --state",
			(int)geteuid());
	return -1;
}

/* Makes the folders above the file, 0700, so far as they are missing. */
static int make_folders(const char *path, struct err *err)
{
	char folder[MODEL_PATH];
	snprintf(folder, sizeof(folder), "%s", path);
	for (char *p = strchr(folder + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(folder, 0700) < 0 && errno != EEXIST && errno != EROFS && errno != EACCES)
			return fail_open(path, errno, err);
		*p = '/';
	}
	return 0;
}

/* Only the owner may read the state: header values and host names are in it. */
static void close_to_others(const char *path)
{
	static const char *const suffixes[] = {"", "-wal", "-shm"};
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		char file[MODEL_PATH + 8];
		struct stat st;
		snprintf(file, sizeof(file), "%s%s", path, suffixes[i]);
		if (lstat(file, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() && (st.st_mode & 077))
			chmod(file, 0600); /* a failure shows nowhere: the file works */
	}
}

static int check_folder(const char *path, struct err *err)
{
	char folder[MODEL_PATH];
	snprintf(folder, sizeof(folder), "%s", path);
	char *slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder ? 1 : 0] = '\0';
	if (access(slash ? folder : ".", W_OK | X_OK) == 0)
		return 0;
	fail_open(path, errno, err);
	return err_wrap(err, "its folder is not writable");
}

/* Makes the file where it is to be made. An existing one is not opened: closing it again would drop the locks that this process may hold on it
   through SQLite. */
static int prepare_file(const struct store_conf *conf, off_t *size, struct err *err)
{
	if (conf->create) {
		if (make_folders(conf->path, err) < 0)
			return -1;
		int fd = open(conf->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 && errno != EEXIST)
			return fail_open(conf->path, errno, err);
		if (fd >= 0)
			close(fd);
	}
	struct stat st;
	if (stat(conf->path, &st) < 0 && errno == ENOENT) {
		err_set(err, ERR_NOT_FOUND, "there is no state file %s", conf->path);
		err_hint(err, "`nightferry endpoint create` begins one; or name it with --state");
		return -1;
	}
	if (access(conf->path, R_OK | W_OK) < 0)
		return fail_open(conf->path, errno, err);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_STORE, "%s is not a nightferry state file (not a regular file)", conf->path);
	/* SQLite takes a file of a few octets for an empty one, and would make tables in it. */
	if ((st.st_size > 0 && st.st_size < HEADER_BYTES) || (st.st_size == 0 && !conf->create))
		return store_fail_damaged(conf->path, st.st_size ? "it was cut" : "it is empty", err);
	*size = st.st_size;
	if (check_folder(conf->path, err) < 0)
		return -1;
	close_to_others(conf->path);
	return 0;
}

static int quick_check(struct db *db, const char *path, struct err *err)
{
	char verdict[256];
	if (db_ask_text(db, "PRAGMA quick_check(1)", verdict, sizeof(verdict), err) < 0)
		return -1;
	return strcmp(verdict, "ok") == 0 ? 0 : store_fail_damaged(path, verdict, err);
}

static int open_database(struct store *s, off_t size, struct db **out, struct err *err)
{
	struct db *db = NULL;
	int rc = db_open(&db, s->path, DB_WRITE, err);
	if (rc == 0)
		rc = schema_check(db, s->path, err);
	if (rc == 0)
		rc = schema_ready(db, s->path, err);
	if (rc == 0 && size > 0 && size < CHECK_BYTES)
		rc = quick_check(db, s->path, err);
	if (rc < 0)
		db_close(&db);
	*out = db;
	return rc;
}

static int check_look(struct db *db, void *arg, struct err *err)
{
	return quick_check(db, arg, err);
}

int store_check_unclean(struct store *s, struct err *err)
{
	struct stat st;
	if (stat(s->path, &st) < 0 || st.st_size < CHECK_BYTES || st.st_size > CHECK_BYTES_UNCLEAN)
		return 0; /* small ones were checked when they were opened */
	return store_look(s, check_look, s->path, err);
}

static void find_who(char *out, size_t size)
{
	struct passwd pw, *found = NULL;
	char room[4096];
	const char *sudo = getenv("SUDO_USER");
	char name[MODEL_NAME];
	if (getpwuid_r(geteuid(), &pw, room, sizeof(room), &found) == 0 && found)
		snprintf(name, sizeof(name), "%s", found->pw_name);
	else
		snprintf(name, sizeof(name), "uid %d", (int)geteuid());
	if (sudo && sudo[0] && geteuid() == 0)
		snprintf(out, size, "%.*s (sudo by %.*s)", (int)size / 3, name, (int)size / 3, sudo);
	else
		snprintf(out, size, "%s", name);
}

int store_open(struct store **out, const struct store_conf *conf, struct err *err)
{
	*out = NULL;
	if (strlen(conf->path) >= MODEL_PATH || (conf->key_file && strlen(conf->key_file) >= MODEL_PATH))
		return err_set(err, ERR_USAGE, "the path of the state or key file is too long");
	off_t size = 0;
	if (prepare_file(conf, &size, err) < 0)
		return -1;
	struct store *s = calloc(1, sizeof(*s));
	if (!s)
		return err_set(err, ERR_MEMORY, "out of memory for the store");
	snprintf(s->path, sizeof(s->path), "%s", conf->path);
	snprintf(s->key_file, sizeof(s->key_file), "%s", conf->key_file ? conf->key_file : "");
	find_who(s->who, sizeof(s->who));
	pthread_mutex_init(&s->lock, NULL);
	struct db *db = NULL;
	if (open_database(s, size, &db, err) < 0 || writer_start(&s->writer, &db, err) < 0) {
		db_close(&db);
		store_close(&s);
		return -1;
	}
	*out = s;
	return 0;
}

void store_close(struct store **store)
{
	struct store *s = *store;
	if (!s)
		return;
	while (s->n_idle > 0)
		db_close(&s->idle[--s->n_idle]);
	writer_stop(&s->writer);
	vault_close(&s->vault);
	pthread_mutex_destroy(&s->lock);
	free(s);
	*store = NULL;
}

const char *store_path(const struct store *s)
{
	return s->path;
}

static int read_version(struct db *db, void *arg, struct err *err)
{
	return db_ask(db, "PRAGMA data_version", arg, err);
}

int64_t store_version(struct store *s)
{
	struct err err = ERR_INIT;
	int64_t version = 0;
	return writer_bare(s->writer, read_version, &version, &err) < 0 ? 0 : version;
}

int store_flush(struct store *s, struct err *err)
{
	return writer_flush(s->writer, err);
}

void store_trouble(struct store *s, int64_t user_id, struct err *out)
{
	writer_trouble(s->writer, user_id, out);
}

int store_do(struct store *s, store_step *run, void *arg, struct err *err)
{
	struct step step = {.run = run, .arg = arg, .before = FAILPOINTS_END, .after = FAILPOINTS_END};
	return writer_do(s->writer, &step, err);
}

int store_queue(struct store *s, store_step *run, void *arg, int64_t user_id, struct err *err)
{
	struct step step = {.run = run,
		.arg = arg,
		.drop = free,
		.user_id = user_id,
		.before = FAILPOINTS_END,
		.after = FAILPOINTS_END};
	return writer_queue(s->writer, &step, err);
}

int store_look(struct store *s, store_step *run, void *arg, struct err *err)
{
	struct db *db = NULL;
	pthread_mutex_lock(&s->lock);
	if (s->n_idle > 0)
		db = s->idle[--s->n_idle];
	pthread_mutex_unlock(&s->lock);
	if (!db && db_open(&db, s->path, DB_READ, err) < 0)
		return -1;
	int rc = run(db, arg, err);
	db_quiet(db);
	pthread_mutex_lock(&s->lock);
	if (s->n_idle < sizeof(s->idle) / sizeof(s->idle[0])) {
		s->idle[s->n_idle++] = db;
		db = NULL;
	}
	pthread_mutex_unlock(&s->lock);
	db_close(&db);
	return rc;
}

int store_look_settled(struct store *s, store_step *run, void *arg, struct err *err)
{
	struct err late =
		ERR_INIT; /* a failed write is told by store_flush and store_trouble; what is there can be read all the same */
	writer_flush(s->writer, &late);
	return store_look(s, run, arg, err);
}
