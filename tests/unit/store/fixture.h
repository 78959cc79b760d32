/* A scratch folder with a store in it, and a batch to work on. For the tests of the store only. */
#ifndef NF_TEST_STORE_FIXTURE_H
#define NF_TEST_STORE_FIXTURE_H

#include "engine/store/store.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define OK(call) \
	do { \
		if ((call) != 0) \
			fail_msg("%s: %s: %s", #call, err_kind_name(err.kind), err.text); \
	} while (0)
#define FAILS(call, k) \
	do { \
		err = ERR_INIT; \
		assert_int_equal((call), -1); \
		if (err.kind != (k)) \
			fail_msg("%s: %s: %s", #call, err_kind_name(err.kind), err.text); \
		err_clear(&err); \
	} while (0)

struct scratch {
	char dir[64], state[96], key[96];
	struct store *s;
};

static inline void scratch_make(struct scratch *f)
{
	memset(f, 0, sizeof(*f));
	snprintf(f->dir, sizeof(f->dir), "/tmp/nf-store-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->state, sizeof(f->state), "%s/state/state.db", f->dir);
	snprintf(f->key, sizeof(f->key), "%s/key/vault.key", f->dir);
}

static inline void scratch_open(struct scratch *f)
{
	struct err err = ERR_INIT;
	struct store_conf conf = {.path = f->state, .key_file = f->key, .create = true};
	OK(store_open(&f->s, &conf, &err));
}

static inline void remove_tree(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	while (d && (e = readdir(d))) {
		char child[600];
		struct stat st;
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(child, sizeof(child), "%s/%s", path, e->d_name);
		if (lstat(child, &st) == 0 && S_ISDIR(st.st_mode))
			remove_tree(child);
		else
			unlink(child);
	}
	if (d)
		closedir(d);
	rmdir(path);
}

static inline void scratch_remove(struct scratch *f)
{
	store_close(&f->s);
	remove_tree(f->dir);
}

/* An endpoint "source", a target "cloud" and a batch of n users u1@x … with passwords "secret-1" …; returns the batch's id. */
static inline int64_t scratch_batch(struct scratch *f, const char *name, size_t n, unsigned max_mailboxes)
{
	struct err err = ERR_INIT;
	struct endpoint e = {.host = "imap.example.pk", .port = 993, .max_mailboxes = 100};
	struct target_row t = {
		.kind = TARGET_EXCHANGE, .tenant = "contoso", .settle_after_ms = -1, .max_mailboxes = 100};
	snprintf(e.name, sizeof(e.name), "source");
	snprintf(t.name, sizeof(t.name), "cloud");
	struct endpoint e_old;
	struct target_row t_old;
	if (store_endpoint_get(f->s, "source", &e_old, &err) == 0)
		e.id = e_old.id;
	else
		OK(store_endpoint_save(f->s, &e, &err));
	if (store_target_get(f->s, "cloud", &t_old, &err) == 0)
		t.id = t_old.id;
	else
		OK(store_target_save(f->s, &t, &err));
	struct batch b = {.endpoint_id = e.id, .target_id = t.id, .max_mailboxes = max_mailboxes, .uploads = 1};
	snprintf(b.name, sizeof(b.name), "%s", name);
	struct user *users = calloc(n, sizeof(*users));
	struct secret **secrets = calloc(n, sizeof(*secrets));
	for (size_t i = 0; i < n; i++) {
		char password[32];
		users[i].row = (unsigned)i + 1;
		snprintf(users[i].source_user, sizeof(users[i].source_user), "u%zu", i + 1);
		snprintf(users[i].address, sizeof(users[i].address), "u%zu@%s.example", i + 1, name);
		snprintf(password, sizeof(password), "secret-%zu", i + 1);
		secrets[i] = secret_new(password, strlen(password));
	}
	OK(store_batch_create(f->s, &b, users, (const struct secret *const *)secrets, n, &err));
	for (size_t i = 0; i < n; i++)
		secret_free(&secrets[i]);
	free(secrets);
	free(users);
	return b.id;
}

static inline struct item item_of(int64_t generation_id, uint32_t uid, enum item_state state)
{
	struct item i = {
		.generation_id = generation_id, .uid = uid, .state = state, .dest_folder_id = 1, .size = 1000 + uid};
	i.received = (struct mail_date){.at = (int64_t)uid - 5000, .zone_min = 300, .known = true};
	i.print.sha256[0] = (uint8_t)uid;
	i.print.sha256[1] = (uint8_t)(uid >> 8);
	i.print.message_id = (char *)(uintptr_t) "<m@x>";
	i.print.date = (char *)(uintptr_t) "Mon, 1 Jan 2001 00:00:00 +0500";
	i.print.from = (char *)(uintptr_t) "a@x";
	i.print.subject = (char *)(uintptr_t) "\xff raw";
	i.key[0] = (uint8_t)uid;
	snprintf(i.receipt.route, sizeof(i.receipt.route), "imap");
	if (state == ITEM_PLACED || state == ITEM_DONE)
		snprintf(i.receipt.id, sizeof(i.receipt.id), "77:%u", uid);
	return i;
}

#endif
