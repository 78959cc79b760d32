/* The vault: what it seals only it opens, under the same identity; and where it takes its key from. */
#include "engine/store/vault.h"

#include "tests/unit/store/fixture.h"

#include <fcntl.h>

static char dir[64], state[128], key[128];

static int set_up(void **unused)
{
	(void)unused;
	snprintf(dir, sizeof(dir), "/tmp/nf-vault-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	char path[160];
	snprintf(path, sizeof(path), "%s/state", dir);
	mkdir(path, 0700);
	snprintf(state, sizeof(state), "%s/state/state.db", dir);
	snprintf(key, sizeof(key), "%s/keys/vault.key", dir);
	unsetenv("NIGHTFERRY_KEY_FILE");
	unsetenv("CREDENTIALS_DIRECTORY");
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	remove_tree(dir);
	return 0;
}

static void write_file(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void test_seal(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct vault *v = NULL;
	assert_int_equal(vault_open(&v, key, state, false, &err), -1);
	assert_int_equal(err.kind, ERR_VAULT);
	assert_int_equal(vault_open(&v, key, state, true, &err), 0);
	struct stat st;
	assert_int_equal(stat(key, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(strlen(vault_key_id(v)), 16);

	struct secret *plain = secret_new("pa\0ss", 5), *back = NULL, *empty = secret_new("", 0);
	struct buf a, b;
	buf_init(&a, 1000);
	buf_init(&b, 1000);
	assert_int_equal(vault_seal(v, "user:17:password", plain, &a, &err), 0);
	assert_int_equal(vault_seal(v, "user:17:password", plain, &b, &err), 0);
	assert_int_equal(a.len, 12 + 5 + 16);
	assert_memory_not_equal(a.data, b.data, 12); /* a nonce of its own each time */
	assert_int_equal(vault_unseal(v, "user:17:password", a.data, a.len, &back, &err), 0);
	assert_true(secret_equal(plain, back));
	secret_free(&back);
	assert_int_equal(vault_unseal(v, "user:18:password", a.data, a.len, &back, &err), -1);
	assert_int_equal(err.kind, ERR_VAULT);
	for (size_t i = 0; i < a.len; i++) { /* any flipped bit is found */
		a.data[i] ^= 1;
		assert_int_equal(vault_unseal(v, "user:17:password", a.data, a.len, &back, &err), -1);
		assert_null(back);
		a.data[i] ^= 1;
	}
	for (size_t n = 0; n < a.len; n++)
		assert_int_equal(vault_unseal(v, "user:17:password", a.data, n, &back, &err), -1);
	buf_clear(&b);
	assert_int_equal(vault_seal(v, "e", empty, &b, &err), 0);
	assert_int_equal(vault_unseal(v, "e", b.data, b.len, &back, &err), 0);
	assert_int_equal(secret_len(back), 0);
	secret_free(&back);

	/* the same file gives the same key; another file another */
	struct vault *again = NULL;
	assert_int_equal(vault_open(&again, key, state, false, &err), 0);
	assert_string_equal(vault_key_id(again), vault_key_id(v));
	vault_close(&again);
	char other[160];
	snprintf(other, sizeof(other), "%s/keys/other.key", dir);
	assert_int_equal(vault_open(&again, other, state, true, &err), 0);
	assert_string_not_equal(vault_key_id(again), vault_key_id(v));
	assert_int_equal(vault_unseal(again, "user:17:password", a.data, a.len, &back, &err), -1);
	assert_int_equal(err.kind, ERR_VAULT);
	vault_close(&again);
	vault_close(&v);
	secret_free(&plain);
	secret_free(&empty);
	buf_done(&a);
	buf_done(&b);
}

static void test_refused_keys(void **unused)
{
	(void)unused;
	static const char good[] = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF\n";
	static const struct {
		const char *text;
		mode_t mode;
		const char *says;
	} rows[] = {{good, 0600, NULL}, {good, 0400, NULL}, {good, 0640, "read by others"},
		{good, 0604, "read by others"}, {"", 0600, "does not hold a key"},
		{"00112233\n", 0600, "does not hold a key"},
		{"zz112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF", 0600, "does not hold a key"},
		{"00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF00", 0600, "does not hold a key"}};
	char path[160];
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err err = ERR_INIT;
		struct vault *v = NULL;
		snprintf(path, sizeof(path), "%s/k%zu", dir, i);
		write_file(path, rows[i].text, rows[i].mode);
		int rc = vault_open(&v, path, state, true, &err);
		assert_int_equal(rc, rows[i].says ? -1 : 0);
		if (rows[i].says && !strstr(err.text, rows[i].says))
			fail_msg("row %zu: %s", i, err.text);
		assert_null(strstr(err.text, "0011"));
		vault_close(&v);
	}
}

static void test_not_beside_state(void **unused)
{
	(void)unused;
	static const char *const inside[] = {"state/vault.key", "state/deep/er/vault.key", "keys/../state/vault.key"};
	char path[200], link[200];
	struct vault *v = NULL;
	mkdir((snprintf(path, sizeof(path), "%s/keys", dir), path), 0700);
	for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
		struct err err = ERR_INIT;
		snprintf(path, sizeof(path), "%s/%s", dir, inside[i]);
		assert_int_equal(vault_open(&v, path, state, true, &err), -1);
		assert_int_equal(err.kind, ERR_VAULT);
		assert_non_null(strstr(err.text, "inside the state's folder"));
		assert_int_equal(access(path, F_OK), -1);
	}
	struct err err = ERR_INIT; /* a link that leads into it */
	snprintf(path, sizeof(path), "%s/state/hidden", dir);
	write_file(path, "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF\n", 0600);
	snprintf(link, sizeof(link), "%s/keys/link.key", dir);
	assert_int_equal(symlink(path, link), 0);
	assert_int_equal(vault_open(&v, link, state, false, &err), -1);
	snprintf(path, sizeof(path), "%s/state-keys/vault.key", dir); /* only a longer name */
	err = ERR_INIT;
	assert_int_equal(vault_open(&v, path, state, true, &err), 0);
	vault_close(&v);
}

static void test_places(void **unused)
{
	(void)unused;
	char path[200];
	struct vault *v = NULL, *w = NULL;
	struct err err = ERR_INIT;
	snprintf(path, sizeof(path), "%s/config", dir);
	setenv("XDG_CONFIG_HOME", path, 1);
	if (access("/etc/nightferry/vault.key", F_OK) != 0) {
		assert_int_equal(vault_open(&v, NULL, state, true, &err), 0);
		snprintf(path, sizeof(path), "%s/config/nightferry/vault.key", dir);
		assert_int_equal(access(path, F_OK), 0);
		vault_close(&v);
	}
	snprintf(path, sizeof(path), "%s/env.key", dir);
	setenv("NIGHTFERRY_KEY_FILE", path, 1);
	assert_int_equal(vault_open(&v, NULL, state, true, &err), 0);
	assert_int_equal(access(path, F_OK), 0);
	unsetenv("NIGHTFERRY_KEY_FILE");
	/* a service credential: systemd's ACL shows as group bits */
	snprintf(path, sizeof(path), "%s/cred", dir);
	mkdir(path, 0700);
	setenv("CREDENTIALS_DIRECTORY", path, 1);
	snprintf(path, sizeof(path), "%s/cred/nightferry.key", dir);
	write_file(path, "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF\n", 0440);
	assert_int_equal(vault_open(&w, NULL, state, false, &err), 0);
	assert_string_not_equal(vault_key_id(v), vault_key_id(w));
	unsetenv("CREDENTIALS_DIRECTORY");
	vault_close(&v);
	vault_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_seal, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused_keys, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_beside_state, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_places, set_up, tear_down)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
