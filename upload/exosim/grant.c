#include "upload/exosim/grant.h"

#include "engine/base/clock.h"
#include "upload/exosim/form.h"
#include "upload/exosim/jwt.h"

#include <assert.h>
#include <strings.h>

#define SEEN_MAX 4096

struct grants {
	struct world *world;     /* borrowed */
	struct profile *profile; /* borrowed */
	struct jwt_key key;
	pthread_mutex_t lock;
	char *seen[SEEN_MAX]; /* owned: jti of assertions, a ring */
	size_t seen_at;
	uint64_t issued, refused;
};

struct grants *grants_new(struct world *world, struct profile *profile)
{
	struct grants *g = calloc(1, sizeof(*g));

	assert(g);
	g->world = world;
	g->profile = profile;
	jwt_key_make(&g->key);
	pthread_mutex_init(&g->lock, NULL);
	return g;
}

void grants_free(struct grants **g)
{
	if (!*g)
		return;
	for (size_t i = 0; i < SEEN_MAX; i++)
		free((*g)->seen[i]);
	pthread_mutex_destroy(&(*g)->lock);
	free(*g);
	*g = NULL;
}

void grants_refuse(struct grants *g, enum token_error e, const char *detail, int64_t now_s, struct grant_answer *out)
{
	const struct token_error_row *row = rule_token_error(e);
	const char *hole = strstr(row->text, "%s");
	char text[1024], full[1400], trace[40], correlation[40], when[CLOCK_TEXT], uri[80];
	json_t *j;

	if (hole)
		snprintf(text, sizeof(text), "%.*s%.200s%s", (int)(hole - row->text), row->text, detail, hole + 2);
	else
		snprintf(text, sizeof(text), "%s", row->text);
	jwt_guid(trace, sizeof(trace));
	jwt_guid(correlation, sizeof(correlation));
	clock_format(now_s, when, sizeof(when));
	when[10] = ' ';
	snprintf(full, sizeof(full), "AADSTS%u: %s Trace ID: %s Correlation ID: %s Timestamp: %s", row->code, text,
		trace, correlation, when);
	snprintf(uri, sizeof(uri), "https://login.microsoftonline.com/error?code=%u", row->code);
	j = json_pack("{s:s, s:s, s:[i], s:s, s:s, s:s, s:s}", "error", row->error, "error_description", full,
		"error_codes", (int)row->code, "timestamp", when, "trace_id", trace, "correlation_id", correlation,
		"error_uri", uri);
	/* A detail that is no UTF-8 makes no JSON; the texts of the table are. */
	if (!j)
		j = json_pack("{s:s, s:[i]}", "error", row->error, "error_codes", (int)row->code);
	*out = (struct grant_answer){row->status, json_dumps(j, JSON_COMPACT)};
	assert(out->json);
	json_decref(j);
	pthread_mutex_lock(&g->lock);
	g->refused++;
	pthread_mutex_unlock(&g->lock);
}

/* false: this jti was there before. */
static bool note_jti(struct grants *g, const char *jti)
{
	bool fresh = true;

	pthread_mutex_lock(&g->lock);
	for (size_t i = 0; i < SEEN_MAX && fresh; i++)
		fresh = !g->seen[i] || strcmp(g->seen[i], jti) != 0;
	if (fresh) {
		free(g->seen[g->seen_at]);
		g->seen[g->seen_at] = strdup(jti);
		g->seen_at = (g->seen_at + 1) % SEEN_MAX;
	}
	pthread_mutex_unlock(&g->lock);
	return fresh;
}

struct refusal {
	enum token_error e;
	const char *detail;
};
#define GRANTED ((struct refusal){TOKEN_ERRORS_END, ""})
#define REFUSE(e, d) ((struct refusal){TE_##e, d})

static struct refusal check_claims(
	struct grants *g, const struct app *app, const json_t *claims, const char *url, int64_t now_s)
{
	const char *aud = json_string_value(json_object_get(claims, "aud"));
	const char *iss = json_string_value(json_object_get(claims, "iss"));
	const char *sub = json_string_value(json_object_get(claims, "sub"));
	const char *jti = json_string_value(json_object_get(claims, "jti"));
	const json_t *exp = json_object_get(claims, "exp"), *nbf = json_object_get(claims, "nbf");

	if (!aud || !iss || !sub || !jti || !*jti || !json_is_integer(exp))
		return REFUSE(JWT, "a claim of aud, iss, sub, jti, exp is missing");
	if (strcasecmp(iss, app->id) != 0 || strcasecmp(sub, app->id) != 0)
		return REFUSE(JWT_APP, "");
	if (strcmp(aud, url) != 0)
		return REFUSE(JWT_AUDIENCE, "");
	/* I: five minutes of clock skew, as Microsoft's libraries allow; D: "short", 5 to 10 minutes: a day is no assertion. */
	if (json_integer_value(exp) + 300 < now_s)
		return REFUSE(JWT_TIME, "It has expired.");
	if (json_integer_value(exp) > now_s + 86400)
		return REFUSE(JWT_TIME, "It lives too long.");
	if (nbf && (!json_is_integer(nbf) || json_integer_value(nbf) > now_s + 300))
		return REFUSE(JWT_TIME, "It is not valid yet.");
	if (!note_jti(g, jti) && profile_get(g->profile, SW_ASSERTION_ONCE))
		return REFUSE(JWT_AGAIN, "The jti was used before.");
	return GRANTED;
}

static struct refusal check_assertion(
	struct grants *g, const struct app *app, const char *assertion, const char *url, int64_t now_s)
{
	json_t *header, *claims;
	const char *alg, *print;
	struct refusal r;

	if (jwt_split(assertion, &header, &claims) < 0)
		return REFUSE(JWT, "not three parts of JSON");
	alg = json_string_value(json_object_get(header, "alg"));
	print = json_string_value(json_object_get(header, "x5t#S256"));
	if (!alg || (strcmp(alg, "PS256") != 0))
		r = REFUSE(JWT, "the algorithm is not PS256");
	else if (!print)
		r = REFUSE(JWT, "x5t#S256 is missing");
	else if (!app->thumbprint || strcmp(print, app->thumbprint) != 0)
		r = REFUSE(KEY, "The key was not found.");
	else if (!jwt_ps256_valid(assertion, app->certificate))
		r = REFUSE(KEY, "The signature is not valid.");
	else
		r = check_claims(g, app, claims, url, now_s);
	json_decref(header);
	json_decref(claims);
	return r;
}

static struct refusal check_client(
	struct grants *g, const struct form *f, const char *url, int64_t now_s, struct app **app)
{
	const char *id = form_get(f, "client_id"), *secret = form_get(f, "client_secret");
	const char *assertion = form_get(f, "client_assertion"), *type = form_get(f, "client_assertion_type");
	struct secret *given;
	bool same;

	*app = world_app(g->world, id);
	if (!*app)
		return REFUSE(APP, id);
	if (secret && assertion)
		return REFUSE(MALFORMED, "");
	if (assertion) {
		if (!type)
			return REFUSE(MISSING, "client_assertion_type");
		if (strcmp(type, "urn:ietf:params:oauth:client-assertion-type:jwt-bearer") != 0)
			return REFUSE(MALFORMED, "");
		return check_assertion(g, *app, assertion, url, now_s);
	}
	if (!secret)
		return REFUSE(NO_SECRET, "");
	given = secret_new(secret, strlen(secret));
	same = (*app)->secret && secret_equal(given, (*app)->secret);
	secret_free(&given);
	if (!same)
		return REFUSE(SECRET, (*app)->id);
	return (*app)->secret_expired ? REFUSE(SECRET_OLD, (*app)->id) : GRANTED;
}

static struct refusal check_scope(const char *scope, const char **resource)
{
	static const char *const known[] = {RESOURCE_EXCHANGE, RESOURCE_GRAPH};
	size_t n = strlen(scope), tail = strlen("/.default");

	if (strchr(scope, ' '))
		return REFUSE(SCOPE, scope);
	if (n <= tail || strcmp(scope + n - tail, "/.default") != 0)
		return REFUSE(SCOPE_DEFAULT, scope);
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strlen(known[i]) == n - tail && strncmp(known[i], scope, n - tail) == 0) {
			*resource = known[i];
			return GRANTED;
		}
	return REFUSE(RESOURCE, scope);
}

/* The roles of one resource. */
static json_t *roles_json(const struct app *app, const char *resource)
{
	bool exchange = strcmp(resource, RESOURCE_EXCHANGE) == 0;
	unsigned roles = atomic_load(&app->roles);
	json_t *list = json_array();

	for (int r = 0; r < ROLES_END; r++)
		if (roles >> r & 1 && (r == ROLE_IMAP) == exchange)
			json_array_append_new(list, json_string(role_name((enum role)r)));
	return list;
}

static char *issue(struct grants *g, const char *tenant, const struct app *app, const char *resource, int64_t now_s)
{
	unsigned char filler[512]; /* S: real tokens have 1.5 to 2 KB */
	char *pad, *token, issuer[300];
	json_t *claims;
	int64_t life = profile_get(g->profile, SW_TOKEN_LIFE_S);

	jwt_random(filler, sizeof(filler));
	pad = jwt_encode(filler, sizeof(filler));
	snprintf(issuer, sizeof(issuer), "https://sts.windows.net/%.200s/", tenant);
	claims = json_pack("{s:s, s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:i, s:s}", "aud", resource, "iss", issuer,
		"appid", app->id, "tid", tenant, "roles", roles_json(app, resource), "iat", (json_int_t)now_s, "nbf",
		(json_int_t)now_s, "exp", (json_int_t)(now_s + life), "gen", (int)atomic_load(&app->generation),
		"xms_tdbr", pad);
	token = claims ? jwt_sign(claims, &g->key) : NULL;
	json_decref(claims);
	free(pad);
	return token;
}

static struct refusal check_form(
	struct grants *g, const char *tenant, const struct form *f, const char *url, int64_t now_s, char **token)
{
	static const char *const needed[] = {"client_id", "scope", "grant_type"};
	const char *resource = NULL, *grant = form_get(f, "grant_type");
	struct app *app = NULL;
	struct refusal r;

	for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++)
		if (!form_get(f, needed[i]) || !*form_get(f, needed[i]))
			return REFUSE(MISSING, needed[i]);
	if (!world_has_tenant(g->world, tenant))
		return REFUSE(TENANT, tenant);
	if (strcmp(grant, "client_credentials") != 0)
		return REFUSE(GRANT, grant);
	r = check_client(g, f, url, now_s, &app);
	if (r.e == TOKEN_ERRORS_END)
		r = check_scope(form_get(f, "scope"), &resource);
	if (r.e != TOKEN_ERRORS_END)
		return r;
	*token = issue(g, tenant, app, resource, now_s);
	return *token ? GRANTED : REFUSE(MALFORMED, "");
}

void grants_answer(struct grants *g, const char *tenant, const char *url, const char *body, size_t len, int64_t now_s,
	struct grant_answer *out)
{
	struct form f;
	struct refusal r = REFUSE(MALFORMED, "");
	char *token = NULL;
	json_t *j;
	int life = (int)profile_get(g->profile, SW_TOKEN_LIFE_S);

	if (form_parse(&f, body, len) == 0)
		r = check_form(g, tenant, &f, url, now_s, &token);
	if (r.e != TOKEN_ERRORS_END) {
		grants_refuse(g, r.e, r.detail, now_s, out);
	} else {
		j = json_pack("{s:s, s:i, s:i, s:s}", "token_type", "Bearer", "expires_in", life, "ext_expires_in",
			life, "access_token", token);
		*out = (struct grant_answer){200, json_dumps(j, JSON_COMPACT)};
		json_decref(j);
		pthread_mutex_lock(&g->lock);
		g->issued++;
		pthread_mutex_unlock(&g->lock);
	}
	if (token)
		secret_wipe(token, strlen(token));
	free(token);
	form_done(&f);
}

static unsigned roles_of(const json_t *claims)
{
	const json_t *v;
	unsigned set = 0;
	size_t i;

	json_array_foreach(json_object_get(claims, "roles"), i,
		v) for (int r = 0; r < ROLES_END; r++) if (strcmp(role_name((enum role)r), json_string_value(v)) == 0)
		set |= 1u << r;
	return set;
}

enum token_fault grants_examine(
	struct grants *g, const char *token, const char *resource, int64_t now_s, struct bearer *out)
{
	json_t *claims = jwt_open(token, &g->key);
	const char *aud = json_string_value(json_object_get(claims, "aud"));
	struct app *app = world_app(g->world, json_string_value(json_object_get(claims, "appid")));
	enum token_fault fault = TOKEN_GOOD;

	if (!app || !aud)
		fault = TOKEN_BAD;
	else if (strcmp(aud, resource) != 0)
		fault = TOKEN_AUDIENCE;
	else if (json_integer_value(json_object_get(claims, "exp")) <= now_s)
		fault = TOKEN_OLD;
	else if (json_integer_value(json_object_get(claims, "gen")) != (json_int_t)atomic_load(&app->generation))
		fault = TOKEN_REVOKED;
	else
		*out = (struct bearer){app, roles_of(claims)};
	json_decref(claims);
	return fault;
}

struct app *grants_check(struct grants *g, const char *token, const char *resource, int64_t now_s)
{
	struct bearer b;

	if (grants_examine(g, token, resource, now_s, &b) != TOKEN_GOOD)
		return NULL;
	return strcmp(resource, RESOURCE_EXCHANGE) != 0 || b.roles & ROLE_BIT(IMAP) ? b.app : NULL;
}

json_t *grants_state(struct grants *g)
{
	json_t *j;

	pthread_mutex_lock(&g->lock);
	j = json_pack("{s:I, s:I}", "issued", (json_int_t)g->issued, "refused", (json_int_t)g->refused);
	pthread_mutex_unlock(&g->lock);
	return j;
}
