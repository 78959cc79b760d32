/* Secrets in the state: sealed by the vault under the identity of their row. The vault is opened when the first one is needed, so that
   commands which need none work without the key. */
#include "engine/store/parts.h"

#define SEALED_BYTES ((size_t)128 * 1024)

struct secret_args {
	const char *owner, *name;
	int64_t id;
	const struct vault *vault;
	const struct secret *in;
	struct secret **out;
	char key_id[32];
};

static int read_key_id(struct db *db, void *arg, struct err *err)
{
	struct secret_args *a = arg;
	struct query q;
	query_begin(&q, db, "SELECT key_id FROM secret LIMIT 1");
	int rc = query_row(&q, err);
	if (rc > 0)
		get_text(&q, a->key_id, sizeof(a->key_id));
	query_end(&q);
	return rc < 0 ? -1 : 0;
}

int secret_vault(struct store *s, bool to_seal, const struct vault **out, struct err *err)
{
	struct secret_args a = {0};
	pthread_mutex_lock(&s->lock);
	struct vault *v = s->vault;
	pthread_mutex_unlock(&s->lock);
	if (to_seal || !v) {
		if (store_look(s, read_key_id, &a, err) < 0)
			return -1;
	}
	if (!v) { /* a new key only where nothing was sealed with another one */
		if (vault_open(&v, s->key_file[0] ? s->key_file : NULL, s->path, to_seal && !a.key_id[0], err) < 0)
			return -1;
		pthread_mutex_lock(&s->lock);
		if (s->vault) {
			vault_close(&v); /* another thread was faster */
			v = s->vault;
		}
		s->vault = v;
		pthread_mutex_unlock(&s->lock);
	}
	if (to_seal && a.key_id[0] && strcmp(a.key_id, vault_key_id(v)) != 0) {
		err_set(err, ERR_VAULT, "the secrets in %s are sealed with the key %s, the key file here holds %s",
			s->path, a.key_id, vault_key_id(v));
		err_hint(err, "name the right one with --key-file or NIGHTFERRY_KEY_FILE");
		return -1;
	}
	*out = v;
	return 0;
}

static void format_identity(char *out, size_t size, const char *owner, int64_t id, const char *name)
{
	snprintf(out, size, "%s:%lld:%s", owner, (long long)id, name);
}

int secret_put_row(struct db *db, const struct vault *v, const char *owner, int64_t id, const char *name,
	const struct secret *secret, struct err *err)
{
	char identity[128];
	struct buf sealed;
	format_identity(identity, sizeof(identity), owner, id, name);
	buf_init(&sealed, SEALED_BYTES);
	int rc = vault_seal(v, identity, secret, &sealed, err);
	if (rc == 0) {
		struct query q;
		query_begin(&q, db,
			"INSERT OR REPLACE INTO secret (owner, owner_id, name, key_id, sealed) VALUES "
			"(?, ?, ?, ?, ?)");
		put_text(&q, owner);
		put_int(&q, id);
		put_text(&q, name);
		put_text(&q, vault_key_id(v));
		put_blob(&q, sealed.data, sealed.len);
		rc = query_run(&q, err);
	}
	buf_done(&sealed);
	return rc;
}

static int put_step(struct db *db, void *arg, struct err *err)
{
	struct secret_args *a = arg;
	return secret_put_row(db, a->vault, a->owner, a->id, a->name, a->in, err);
}

int store_secret_put(
	struct store *s, const char *owner, int64_t id, const char *name, const struct secret *v, struct err *err)
{
	struct secret_args a = {.owner = owner, .id = id, .name = name, .in = v};
	if (secret_vault(s, true, &a.vault, err) < 0)
		return -1;
	return store_do(s, put_step, &a, err);
}

struct sealed_row {
	const char *owner, *name;
	int64_t id;
	struct buf sealed;
	bool found;
};

static int read_sealed(struct db *db, void *arg, struct err *err)
{
	struct sealed_row *a = arg;
	struct query q;
	query_begin(&q, db, "SELECT sealed FROM secret WHERE owner = ? AND owner_id = ? AND name = ?");
	put_text(&q, a->owner);
	put_int(&q, a->id);
	put_text(&q, a->name);
	int rc = query_row(&q, err);
	if (rc > 0) {
		const void *p;
		size_t n = get_blob_view(&q, &p);
		a->found = true;
		rc = buf_add(&a->sealed, p, n, err);
	}
	query_end(&q);
	return rc < 0 ? -1 : 0;
}

int store_secret_get(
	struct store *s, const char *owner, int64_t id, const char *name, struct secret **out, struct err *err)
{
	*out = NULL;
	struct sealed_row row = {.owner = owner, .id = id, .name = name};
	buf_init(&row.sealed, SEALED_BYTES);
	const struct vault *v;
	char identity[128];
	format_identity(identity, sizeof(identity), owner, id, name);
	int rc = store_look(s, read_sealed, &row, err);
	if (rc == 0 && row.found)
		rc = secret_vault(s, false, &v, err);
	if (rc == 0 && row.found)
		rc = vault_unseal(v, identity, row.sealed.data, row.sealed.len, out, err);
	buf_done(&row.sealed);
	return rc < 0 ? err_wrap(err, "%s of %s %lld", name, owner, (long long)id) : 0;
}

int secret_drop_rows(struct db *db, const char *owner, int64_t id, const char *name, struct err *err)
{
	struct query q;
	query_begin(&q, db, "DELETE FROM secret WHERE owner = ?1 AND owner_id = ?2 AND (?3 = '' OR name = ?3)");
	put_text(&q, owner);
	put_int(&q, id);
	put_text(&q, name);
	return query_run(&q, err);
}

static int drop_step(struct db *db, void *arg, struct err *err)
{
	struct secret_args *a = arg;
	return secret_drop_rows(db, a->owner, a->id, a->name, err);
}

int store_secret_drop(struct store *s, const char *owner, int64_t id, const char *name, struct err *err)
{
	struct secret_args a = {.owner = owner, .id = id, .name = name};
	return store_do(s, drop_step, &a, err);
}
