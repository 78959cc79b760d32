/* One source of tokens, shared by all mailboxes of a target. The lock guards the token held and who renews it; the request itself runs
   without the lock, by the thread that found the token too old. The others go on with the old one as long as it is good, or wait. */
#include "upload/token.h"

#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "upload/cloud.h"
#include "upload/http.h"
#include "upload/jwt.h"
#include "upload/token_reply.h"

#include <pthread.h>

#define BODY_CAP ((size_t)96 * 1024)
#define LEAST_LEFT_MS 120000 /* a token that is given out is good for at least this long */
#define LATER_MS 30000       /* after a failed early renewal, while the old token is still good */
#define WAIT_SLICE_MS 100    /* how often a waiter looks at its stop token */

struct token {
	/* immutable */
	char *url, *client_id, *scope, *ca_file; /* owned */
	struct secret *client_secret;            /* owned; or: */
	struct jwt_key *key;                     /* owned */

	pthread_mutex_t lock;
	pthread_cond_t changed; /* a renewal ended; CLOCK_MONOTONIC */
	struct secret *held;    /* owned; NULL: none yet. Times are clock_mono_ms: */
	int64_t renew_at_ms;    /* from here on a renewal is due */
	int64_t good_until_ms;
	int64_t expires_at; /* wall clock, for people */
	bool renewing;
	uint64_t failures;       /* renewals that failed, ever: a waiter sees that the one it waited for did */
	struct err last_failure; /* of the last one */
};

static char *url_make(const struct token_conf *conf)
{
	const char *login = conf->login_url ? conf->login_url : cloud_find(NULL)->login_url;
	size_t n = strlen(login);
	while (n > 0 && login[n - 1] == '/')
		n--;
	size_t room = n + strlen(conf->tenant) + 32;
	char *url = malloc(room);
	if (url)
		snprintf(url, room, "%.*s/%s/oauth2/v2.0/token", (int)n, login, conf->tenant);
	return url;
}

/* What a person typed goes into a URL and a form: only what such names consist of. */
static int conf_check(const struct token_conf *conf, struct err *err)
{
	static const char name[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
	if (!conf->tenant || !*conf->tenant || conf->tenant[strspn(conf->tenant, name)]) {
		err_set(err, ERR_USAGE, "the tenant is not a GUID or a domain name");
		return -1;
	}
	if (!conf->client_id || !*conf->client_id || conf->client_id[strspn(conf->client_id, name)])
		return err_set(err, ERR_USAGE, "the client id is not a GUID");
	if (!conf->scope || !*conf->scope)
		return err_set(err, ERR_USAGE, "no scope for the token");
	if (conf->login_url && strncmp(conf->login_url, "https://", 8) != 0)
		return err_set(err, ERR_USAGE, "the login URL does not begin with https://");
	if (!conf->client_secret && !(conf->certificate_pem && conf->private_key_pem))
		return err_set(err, ERR_USAGE, "neither a client secret nor a certificate with its key is given");
	return 0;
}

int token_new(struct token **out, const struct token_conf *conf, struct err *err)
{
	*out = NULL;
	if (conf_check(conf, err))
		return -1;
	struct token *t = calloc(1, sizeof(*t));
	if (!t)
		return err_set(err, ERR_MEMORY, "no memory for a token");
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->changed, &attr);
	pthread_condattr_destroy(&attr);
	t->url = url_make(conf);
	t->client_id = strdup(conf->client_id);
	t->scope = strdup(conf->scope);
	t->ca_file = conf->ca_file ? strdup(conf->ca_file) : NULL;
	t->client_secret = conf->client_secret ? secret_copy(conf->client_secret) : NULL;
	int rc = 0;
	if (!t->url || !t->client_id || !t->scope || (conf->ca_file && !t->ca_file) ||
		(conf->client_secret && !t->client_secret))
		rc = err_set(err, ERR_MEMORY, "no memory for a token");
	else if (!t->client_secret)
		rc = jwt_key_new(&t->key, conf->certificate_pem, conf->private_key_pem, clock_wall_s(), err);
	if (rc) {
		token_free(&t);
		return -1;
	}
	*out = t;
	return 0;
}

void token_free(struct token **t)
{
	if (!*t)
		return;
	free((*t)->url);
	free((*t)->client_id);
	free((*t)->scope);
	free((*t)->ca_file);
	secret_free(&(*t)->client_secret);
	secret_free(&(*t)->held);
	jwt_key_free(&(*t)->key);
	pthread_cond_destroy(&(*t)->changed);
	pthread_mutex_destroy(&(*t)->lock);
	free(*t);
	*t = NULL;
}

/* --- the request --- */

static int form_add(struct buf *b, const char *name, const char *value, size_t n, struct err *err)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
	if ((b->len && buf_add_char(b, '&', err)) || buf_add_str(b, name, err) || buf_add_char(b, '=', err))
		return -1;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)value[i];
		char hex[4];
		snprintf(hex, sizeof(hex), "%%%02X", c);
		if (c && strchr(plain, c) ? buf_add_char(b, (char)c, err) : buf_add_str(b, hex, err))
			return -1;
	}
	return 0;
}

static int form_make(struct token *t, struct buf *b, struct err *err)
{
	/* all of the room at once: a buffer that grows would leave copies of the secret behind */
	b->data = malloc(BODY_CAP + 1);
	if (!b->data)
		return err_set(err, ERR_MEMORY, "no memory for a token request");
	b->room = BODY_CAP + 1;
	if (form_add(b, "client_id", t->client_id, strlen(t->client_id), err) ||
		form_add(b, "scope", t->scope, strlen(t->scope), err) ||
		form_add(b, "grant_type", "client_credentials", 18, err))
		return -1;
	if (t->client_secret)
		return form_add(b, "client_secret", secret_bytes(t->client_secret), secret_len(t->client_secret), err);
	static const char type[] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
	struct secret *assertion = NULL;
	if (form_add(b, "client_assertion_type", type, sizeof(type) - 1, err) ||
		jwt_assertion(t->key, t->client_id, t->url, clock_wall_s(), &assertion, err))
		return -1;
	int rc = form_add(b, "client_assertion", secret_bytes(assertion), secret_len(assertion), err);
	secret_free(&assertion);
	return rc;
}

/* Asks for a new token. No lock is held. */
static int fetch(struct token *t, struct stop *stop, struct secret **out, int64_t *life_ms, struct err *err)
{
	struct http *h = NULL;
	struct buf form;
	struct response answer = {.status = 0};
	struct http_conf conf = {.ca_file = t->ca_file};
	static const char *const headers[] = {"Accept: application/json", NULL};
	int rc = -1;
	buf_init(&form, BODY_CAP);
	buf_init(&answer.body, 1);
	if (form_make(t, &form, err) || http_new(&h, &conf, stop, err))
		goto out;
	struct request r = {
		.method = "POST",
		.url = t->url,
		.headers = headers,
		.content_type = "application/x-www-form-urlencoded",
		.body = form.data,
		.body_len = form.len,
		.answer_cap = TOKEN_REPLY_CAP,
	};
	rc = http_send(h, &r, NULL, &answer, err);
	if (rc == 0)
		rc = token_reply_read(
			answer.status, answer.body.data, answer.body.len, answer.retry_after_ms, out, life_ms, err);
out:
	if (form.data)
		secret_wipe(form.data, form.room);
	if (answer.body.data)
		secret_wipe(answer.body.data, answer.body.room);
	response_done(&answer);
	buf_done(&form);
	http_free(&h);
	return rc ? err_wrap(err, "no token for application %s", t->client_id) : 0;
}

/* --- who renews when --- */

static bool is_refused_locked(struct token *t, const struct secret *refused)
{
	return refused && t->held && secret_equal(t->held, refused);
}

/* Takes over what a renewal brought. */
static void settle_locked(struct token *t, struct secret **fresh, int64_t life_ms, int rc, const struct err *err)
{
	int64_t now = clock_mono_ms();
	t->renewing = false;
	if (rc == 0) {
		secret_free(&t->held);
		t->held = *fresh;
		*fresh = NULL;
		t->good_until_ms = now + life_ms;
		int64_t late = life_ms - LEAST_LEFT_MS, due = life_ms / 5 * 4;
		t->renew_at_ms = now + (due < late ? due : late);
		t->expires_at = clock_wall_s() + life_ms / 1000;
	} else if (err->kind != ERR_STOPPED) { /* the stop of one mailbox is no answer to the others */
		t->failures++;
		t->last_failure = *err;
		if (now + LATER_MS < t->good_until_ms - LEAST_LEFT_MS)
			t->renew_at_ms = now + LATER_MS;
	}
	pthread_cond_broadcast(&t->changed);
}

static int renew_locked(struct token *t, struct stop *stop, struct err *err)
{
	struct secret *fresh = NULL;
	int64_t life_ms = 0;
	t->renewing = true;
	pthread_mutex_unlock(&t->lock);
	int rc = fetch(t, stop, &fresh, &life_ms, err);
	pthread_mutex_lock(&t->lock);
	settle_locked(t, &fresh, life_ms, rc, err);
	return rc;
}

/* Waits until the renewal under way is over. */
static int await_locked(struct token *t, struct stop *stop, struct err *err)
{
	uint64_t before = t->failures;
	while (t->renewing) {
		if (stop_is_now(stop))
			return err_set(err, ERR_STOPPED, "stopped");
		int64_t until = clock_mono_ms() + WAIT_SLICE_MS;
		struct timespec at = {.tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000};
		pthread_cond_timedwait(&t->changed, &t->lock, &at);
	}
	if (t->failures == before)
		return 0;
	*err = t->last_failure;
	return -1;
}

/* 0: t->held may be given out. */
static int ready_locked(struct token *t, const struct secret *refused, struct stop *stop, struct err *err)
{
	for (;;) {
		int64_t now = clock_mono_ms();
		bool usable = t->held && now + LEAST_LEFT_MS <= t->good_until_ms && !is_refused_locked(t, refused);
		if (usable && (now < t->renew_at_ms || t->renewing))
			return 0;
		if (t->renewing) {
			if (await_locked(t, stop, err))
				return -1;
			/* a token of a life so short that it is never "usable" was just made: take it */
			if (t->held && clock_mono_ms() < t->renew_at_ms + LEAST_LEFT_MS &&
				!is_refused_locked(t, refused))
				return 0;
			continue;
		}
		if (renew_locked(t, stop, err) == 0)
			return 0;
		if (!usable || err->kind == ERR_STOPPED)
			return -1;
		log_err(LOG_WARN, err, "the token is still good, renewal is tried again later");
		err_clear(err);
		return 0;
	}
}

int token_get(struct token *t, const struct secret *refused, struct stop *stop, struct secret **out, struct err *err)
{
	*out = NULL;
	if (stop_is_now(stop))
		return err_set(err, ERR_STOPPED, "stopped");
	pthread_mutex_lock(&t->lock);
	int rc = ready_locked(t, refused, stop, err);
	if (rc == 0)
		*out = secret_copy(t->held);
	pthread_mutex_unlock(&t->lock);
	if (rc == 0 && !*out)
		rc = err_set(err, ERR_MEMORY, "no memory for a token");
	return rc;
}

int64_t token_expires_at(struct token *t)
{
	pthread_mutex_lock(&t->lock);
	int64_t at = t->expires_at;
	pthread_mutex_unlock(&t->lock);
	return at;
}
