/* AES-256-GCM by OpenSSL. The key file holds 64 hexadecimal digits and a line end, so that it can be carried by hand. */
#define _GNU_SOURCE
#include "engine/store/vault.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_BYTES 32
#define NONCE_BYTES 12
#define TAG_BYTES 16
#define KEY_TEXT (2 * KEY_BYTES)
#define SYSTEM_KEY "/etc/nightferry/vault.key"

struct vault {
	unsigned char key[KEY_BYTES];
	char key_id[17];
};

/* Where the key is looked for; what we may make there. */
struct place {
	char path[PATH_MAX];
	const char *from;
	bool ours;    /* a new key may be made there */
	bool service; /* a systemd credential */
};

static int fail(struct err *err, const char *path, const char *what)
{
	return err_set(err, ERR_VAULT, "the vault's key file %s %s", path, what);
}

/* --- finding it --- */

static int set_place(
	struct place *p, const char *from, bool ours, const char *folder, const char *name, struct err *err)
{
	p->from = from;
	p->ours = ours;
	p->service = false;
	int n = name ? snprintf(p->path, sizeof(p->path), "%s/%s", folder, name)
		     : snprintf(p->path, sizeof(p->path), "%s", folder);
	return n > 0 && (size_t)n < sizeof(p->path)
		       ? 0
		       : err_set(err, ERR_USAGE, "the path of the key file is too long (%s)", from);
}

static int find_place(struct place *p, const char *option, struct err *err)
{
	const char *env = getenv("NIGHTFERRY_KEY_FILE"), *credentials = getenv("CREDENTIALS_DIRECTORY");
	if (option)
		return set_place(p, "--key-file", true, option, NULL, err);
	if (env && env[0])
		return set_place(p, "NIGHTFERRY_KEY_FILE", true, env, NULL, err);
	if (credentials && credentials[0]) {
		if (set_place(p, "service credential", false, credentials, "nightferry.key", err) < 0)
			return -1;
		p->service = true;
		if (access(p->path, F_OK) == 0)
			return 0;
	}
	if (access(SYSTEM_KEY, R_OK) == 0)
		return set_place(p, "of the system", false, SYSTEM_KEY, NULL, err);
	const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	if (xdg && xdg[0] == '/')
		return set_place(p, "of this user", true, xdg, "nightferry/vault.key", err);
	struct passwd pw, *found = NULL;
	char room[4096];
	if ((!home || home[0] != '/') && getpwuid_r(geteuid(), &pw, room, sizeof(room), &found) == 0 && found)
		home = found->pw_dir;
	if (home && home[0] == '/')
		return set_place(p, "of this user", true, home, ".config/nightferry/vault.key", err);
	err_set(err, ERR_VAULT, "there is no home folder to keep the vault's key in");
	err_hint(err, "name a key file with --key-file or NIGHTFERRY_KEY_FILE");
	return -1;
}

/* The real path of the folder that holds path; of the nearest one above that exists. */
static bool real_folder(const char *path, char out[PATH_MAX])
{
	char folder[PATH_MAX];
	snprintf(folder, sizeof(folder), "%s%s", path[0] == '/' ? "" : "./", path);
	for (char *slash; (slash = strrchr(folder, '/'));) {
		slash[slash == folder ? 1 : 0] = '\0';
		if (realpath(folder, out))
			return true;
		if (folder[1] == '\0' || errno != ENOENT)
			return false;
	}
	return false;
}

/* Whoever copies the state's folder must not get the key with it. */
static int refuse_beside_state(const char *key_path, const char *state_path, struct err *err)
{
	char key[PATH_MAX], state[PATH_MAX], target[PATH_MAX];
	const char *real =
		realpath(key_path, target) ? target : key_path; /* a link out of the folder counts as where it leads */
	if (!real_folder(real, key) || !real_folder(state_path, state))
		return 0;
	size_t n = strlen(state);
	if (strncmp(key, state, n) != 0 || (key[n] != '\0' && key[n] != '/' && n > 1))
		return 0;
	fail(err, key_path, "is inside the state's folder: a copy of that folder would hold the secrets and their key");
	err_hint(err, "keep it in another folder (--key-file or NIGHTFERRY_KEY_FILE)");
	return -1;
}

/* --- reading and making it --- */

static int check_file(const struct place *p, int fd, struct err *err)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return fail(err, p->path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fail(err, p->path, "is not a regular file");
	/* systemd gives a credential to the service by an ACL, which shows as group bits */
	if (st.st_mode & (p->service ? 007 : 077)) {
		fail(err, p->path, "can be read by others");
		err_hint(err, "chmod 600 %s", p->path);
		return -1;
	}
	if (st.st_uid != geteuid() && st.st_uid != 0) {
		fail(err, p->path, "belongs to another user");
		err_hint(err, "its owner could change it: make one of your own (--key-file)");
		return -1;
	}
	return 0;
}

static int hex_value(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

static int parse_key(const char *text, size_t n, unsigned char key[KEY_BYTES])
{
	while (n > 0 && isspace((unsigned char)text[n - 1]))
		n--;
	if (n != KEY_TEXT)
		return -1;
	for (size_t i = 0; i < KEY_BYTES; i++) {
		int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return -1;
		key[i] = (unsigned char)(high << 4 | low);
	}
	return 0;
}

static int read_key(struct vault *v, const struct place *p, int fd, struct err *err)
{
	char text[KEY_TEXT + 16];
	size_t n = 0;
	ssize_t got;
	if (check_file(p, fd, err) < 0)
		return -1;
	while (n < sizeof(text) && (got = read(fd, text + n, sizeof(text) - n)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail(err, p->path, strerror(errno));
		n += (size_t)got;
	}
	int rc = parse_key(text, n, v->key);
	secret_wipe(text, sizeof(text));
	return rc < 0 ? fail(err, p->path, "does not hold a key: 64 hexadecimal digits are expected") : 0;
}

static void make_folders(const char *path)
{
	char folder[PATH_MAX];
	snprintf(folder, sizeof(folder), "%s", path);
	for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(folder, 0700); /* what fails shows when the file is made */
		*slash = '/';
	}
}

static int write_all(int fd, const char *text, size_t n)
{
	while (n > 0) {
		ssize_t put = write(fd, text, n);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -1;
		text += put;
		n -= (size_t)put;
	}
	return fsync(fd);
}

static void sync_folder(const char *path)
{
	char folder[PATH_MAX];
	if (!real_folder(path, folder))
		return;
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	fsync(fd); /* best effort: some file systems refuse it for folders */
	close(fd);
}

/* 0 made, 1 somebody else was faster, -1. */
static int make_key(struct vault *v, const struct place *p, struct err *err)
{
	make_folders(p->path);
	int fd = open(p->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 && errno == EEXIST)
		return 1;
	if (fd < 0) {
		fail(err, p->path, strerror(errno));
		err_hint(err, "it could not be made there; name another place with --key-file or "
			      "NIGHTFERRY_KEY_FILE");
		return -1;
	}
	char text[KEY_TEXT + 2];
	int rc = RAND_bytes(v->key, KEY_BYTES) == 1 ? 0 : err_set(err, ERR_VAULT, "no random numbers for a key");
	for (size_t i = 0; i < KEY_BYTES; i++)
		snprintf(text + 2 * i, 3, "%02x", v->key[i]);
	text[KEY_TEXT] = '\n';
	if (rc == 0 && write_all(fd, text, KEY_TEXT + 1) < 0)
		rc = fail(err, p->path, strerror(errno));
	secret_wipe(text, sizeof(text));
	close(fd);
	if (rc < 0)
		unlink(p->path); /* half a key is worse than none */
	else
		sync_folder(p->path);
	return rc;
}

static int load_key(struct vault *v, const struct place *p, bool create, struct err *err)
{
	for (unsigned tries = 0; tries < 2; tries++) {
		int fd = open(p->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd >= 0) {
			int rc = read_key(v, p, fd, err);
			close(fd);
			return rc;
		}
		if (errno != ENOENT)
			return fail(err, p->path, strerror(errno));
		if (!create || !p->ours)
			break;
		int rc = make_key(v, p, err);
		if (rc <= 0)
			return rc;
	}
	err_set(err, ERR_VAULT, "the vault's key is not at %s (%s)", p->path, p->from);
	err_hint(err, "the secrets in the state can be read with the key only that sealed them: name it with "
		      "--key-file or NIGHTFERRY_KEY_FILE, "
		      "or set the passwords anew");
	return -1;
}

int vault_open(struct vault **out, const char *option, const char *state_path, bool create, struct err *err)
{
	*out = NULL;
	struct place place = {.from = ""};
	if (find_place(&place, option, err) < 0 || refuse_beside_state(place.path, state_path, err) < 0)
		return -1;
	struct vault *v = calloc(1, sizeof(*v));
	if (!v)
		return err_set(err, ERR_MEMORY, "out of memory for the vault");
	if (load_key(v, &place, create, err) < 0) {
		vault_close(&v);
		return -1;
	}
	unsigned char digest[SHA256_DIGEST_LENGTH];
	SHA256(v->key, KEY_BYTES, digest);
	for (size_t i = 0; i < 8; i++)
		snprintf(v->key_id + 2 * i, 3, "%02x", digest[i]);
	*out = v;
	return 0;
}

void vault_close(struct vault **v)
{
	if (!*v)
		return;
	secret_wipe(*v, sizeof(**v));
	free(*v);
	*v = NULL;
}

const char *vault_key_id(const struct vault *v)
{
	return v->key_id;
}

/* --- sealing --- */

static int fail_crypto(struct err *err)
{
	return err_set(err, ERR_INTERNAL, "the cryptographic library failed");
}

int vault_seal(
	const struct vault *v, const char *identity, const struct secret *plain, struct buf *sealed, struct err *err)
{
	unsigned char nonce[NONCE_BYTES], tag[TAG_BYTES];
	size_t n = secret_len(plain);
	int got = 0, tail = 0;
	if (n > INT_MAX / 2)
		return err_set(err, ERR_MEMORY, "the secret is too long");
	unsigned char *out = malloc(n + 1);
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	bool ok = out && c && RAND_bytes(nonce, sizeof(nonce)) == 1 &&
		  EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, v->key, nonce) == 1 &&
		  EVP_EncryptUpdate(c, NULL, &got, (const unsigned char *)identity, (int)strlen(identity)) == 1 &&
		  EVP_EncryptUpdate(c, out, &got, (const unsigned char *)secret_bytes(plain), (int)n) == 1 &&
		  EVP_EncryptFinal_ex(c, out + got, &tail) == 1 &&
		  EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, tag) == 1;
	EVP_CIPHER_CTX_free(c);
	int rc = ok ? 0 : fail_crypto(err);
	size_t before = sealed->len;
	if (rc == 0 && (buf_add(sealed, nonce, sizeof(nonce), err) < 0 || buf_add(sealed, out, n, err) < 0 ||
			       buf_add(sealed, tag, TAG_BYTES, err) < 0)) {
		sealed->len = before;
		rc = -1;
	}
	free(out);
	return rc;
}

int vault_unseal(
	const struct vault *v, const char *identity, const void *sealed, size_t n, struct secret **out, struct err *err)
{
	*out = NULL;
	if (n < NONCE_BYTES + TAG_BYTES || n > INT_MAX / 2)
		return err_set(err, ERR_VAULT, "a sealed secret is damaged");
	const unsigned char *nonce = sealed, *body = nonce + NONCE_BYTES;
	size_t size = n - NONCE_BYTES - TAG_BYTES;
	unsigned char tag[TAG_BYTES];
	memcpy(tag, body + size, TAG_BYTES);
	unsigned char *plain = malloc(size + 1);
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int got = 0, tail = 0;
	bool ready = plain && c && EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, v->key, nonce) == 1 &&
		     EVP_DecryptUpdate(c, NULL, &got, (const unsigned char *)identity, (int)strlen(identity)) == 1 &&
		     EVP_DecryptUpdate(c, plain, &got, body, (int)size) == 1 &&
		     EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag) == 1;
	int rc = 0;
	if (!ready) {
		rc = fail_crypto(err);
	} else if (EVP_DecryptFinal_ex(c, plain + got, &tail) != 1) {
		rc = err_set(err, ERR_VAULT,
			"a secret cannot be unsealed with the key %s: sealed with another key, or changed", v->key_id);
		err_hint(err, "name the right key with --key-file or NIGHTFERRY_KEY_FILE, or set the "
			      "password anew");
	} else {
		*out = secret_new(plain, size);
		if (!*out)
			rc = err_set(err, ERR_MEMORY, "out of memory for a secret");
	}
	EVP_CIPHER_CTX_free(c);
	if (plain)
		secret_wipe(plain, size + 1);
	free(plain);
	return rc;
}
