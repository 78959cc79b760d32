#include "engine/work.h"

#include "upload/cloud.h"

#include <string.h>

int work_init(struct work *w, struct store *store, struct stop *stop, struct err *err)
{
	memset(w, 0, sizeof *w);
	w->store = store;
	w->stop = stop;
	w->fatal = ERR_INIT;
	w->throttle = throttle_new();
	w->memory = budget_new(WORK_MEMORY_BYTES);
	pthread_mutex_init(&w->lock, NULL);
	/* Spooled bodies live beside the state: there the person gave us room and a private folder. */
	const char *path = store_path(store), *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 1;
	snprintf(w->spool_dir, sizeof w->spool_dir, "%.*s", (int)(n ? n : 1), slash ? path : ".");
	if (!w->throttle || !w->memory)
		return err_set(err, ERR_MEMORY, "no memory to start the engine");
	return 0;
}

void work_done(struct work *w)
{
	for (size_t i = 0; i < w->n_tokens; i++)
		token_free(&w->tokens[i].token);
	throttle_free(&w->throttle);
	budget_free(&w->memory);
	pthread_mutex_destroy(&w->lock);
}

void work_fail(struct work *w, const struct err *why)
{
	pthread_mutex_lock(&w->lock);
	if (w->fatal.kind == ERR_NONE)
		w->fatal = *why;
	pthread_mutex_unlock(&w->lock);
	stop_request(w->stop, STOP_DRAIN);
}

static int make_token(
	struct work *w, const struct target_row *t, enum work_audience audience, struct token **out, struct err *err)
{
	struct secret *client = NULL, *certificate = NULL, *key = NULL;
	int rc = -1;
	if (store_secret_get(w->store, "target", t->id, "client_secret", &client, err) ||
		store_secret_get(w->store, "target", t->id, "certificate", &certificate, err) ||
		store_secret_get(w->store, "target", t->id, "private_key", &key, err))
		goto out;
	const struct cloud *cloud = cloud_find(t->cloud[0] ? t->cloud : NULL);
	if (!cloud) {
		err_set(err, ERR_USAGE, "target %s: there is no cloud \"%s\"", t->name, t->cloud);
		goto out;
	}
	struct token_conf conf = {.login_url = t->login_url[0] ? t->login_url : cloud->login_url,
		.tenant = t->tenant,
		.client_id = t->client_id,
		.scope = audience == WORK_TOKEN_GRAPH ? cloud->graph_scope : cloud->imap_scope,
		.client_secret = client,
		.certificate_pem = certificate,
		.private_key_pem = key,
		.ca_file = t->ca_file[0] ? t->ca_file : NULL};
	if (!client && !key) {
		err_set(err, ERR_CREDENTIALS, "target %s has no client secret and no certificate", t->name);
		err_hint(err, "nightferry target set %s --client-secret-file F", t->name);
		goto out;
	}
	rc = token_new(out, &conf, err);
out:
	secret_free(&client);
	secret_free(&certificate);
	secret_free(&key);
	return rc;
}

int work_token(
	struct work *w, const struct target_row *t, enum work_audience audience, struct token **out, struct err *err)
{
	*out = NULL;
	if (t->kind != TARGET_EXCHANGE)
		return 0;
	int rc = 0;
	pthread_mutex_lock(&w->lock);
	for (size_t i = 0; i < w->n_tokens && !*out; i++)
		if (w->tokens[i].target_id == t->id && w->tokens[i].audience == audience)
			*out = w->tokens[i].token;
	if (!*out && w->n_tokens == sizeof w->tokens / sizeof w->tokens[0])
		rc = err_set(err, ERR_MEMORY, "more than %d targets in one run", WORK_TARGETS);
	else if (!*out && !(rc = make_token(w, t, audience, out, err))) {
		w->tokens[w->n_tokens].target_id = t->id;
		w->tokens[w->n_tokens].audience = audience;
		w->tokens[w->n_tokens++].token = *out;
	}
	pthread_mutex_unlock(&w->lock);
	return rc;
}
