#include "upload/graph.h"

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "upload/graph_error.h"
#include "upload/graph_url.h"
#include "upload/token.h"

#define READS 6 /* tries of what only reads */
#define PAUSE_MS 500

struct graph {
	const struct graph_conf *conf; /* borrowed */
	struct http *http;             /* owned */
	struct secret *token;          /* owned; NULL: none yet */
	struct gate *gate;             /* borrowed, or own_gate */
	struct stop *stop;             /* borrowed */

	struct throttle *own_throttle; /* owned; these three only where no gate was given */
	struct scope *own_scope;       /* owned */
	struct gate *own_gate;         /* owned */

	struct permit *permit; /* owned; under which the next request goes */
	struct demand held;    /* what graph_hold asked for; requests 0: nothing is held */
	unsigned requests;     /* sent under it */
	uint64_t sent;         /* octets */
	uint64_t latency_ms;   /* together */
	enum verdict verdict;  /* the worst */
	enum dimension dimension;
	int64_t retry_after_ms;
	char words[160];
};

/* spec/exchange-online.md section 4. */
static const struct scope_limits published = {.requests = 10000,
	.requests_window_ms = 600000,
	.bytes = (uint64_t)150 * 1000 * 1000,
	.bytes_window_ms = 300000,
	.in_flight = 4};

void graph_free(struct graph **g)
{
	if (!*g)
		return;
	graph_release(*g);
	gate_free(&(*g)->own_gate);
	scope_close(&(*g)->own_scope);
	throttle_free(&(*g)->own_throttle);
	secret_free(&(*g)->token);
	http_free(&(*g)->http);
	free(*g);
	*g = NULL;
}

static int gate_own(struct graph *g, struct err *err)
{
	g->own_throttle = throttle_new();
	g->own_scope = g->own_throttle ? scope_open(g->own_throttle, NULL, "graph", &published) : NULL;
	g->own_gate = g->own_scope ? gate_new(g->own_scope, g->stop) : NULL;
	g->gate = g->own_gate;
	return g->gate ? 0 : err_set(err, ERR_MEMORY, "no memory for a client of Graph");
}

int graph_new(struct graph **out, const struct graph_conf *conf, struct gate *gate, struct stop *stop, struct err *err)
{
	struct http_conf hc = {.ca_file = conf->ca_file, .gate = gate};
	struct graph *g = calloc(1, sizeof(*g));
	*out = NULL;
	if (!g)
		return err_set(err, ERR_MEMORY, "no memory for a client of Graph");
	g->conf = conf;
	g->gate = gate;
	g->stop = stop;
	if (http_new(&g->http, &hc, stop, err) || (!gate && gate_own(g, err))) {
		graph_free(&g);
		return -1;
	}
	*out = g;
	return 0;
}

const char *graph_user(const struct graph *g)
{
	return g->conf->user;
}

void graph_reply_done(struct graph_reply *r)
{
	buf_done(&r->body);
}

/* --- permits --- */

static int enter(struct graph *g, const struct demand *d, struct err *err)
{
	g->requests = 0;
	g->sent = g->latency_ms = 0;
	g->verdict = VERDICT_UNUSED;
	g->dimension = DIM_NONE;
	g->retry_after_ms = -1;
	g->words[0] = '\0';
	return gate_enter(g->gate, d, &g->permit, err);
}

static void leave(struct graph *g)
{
	if (!g->permit)
		return;
	struct throttle_hint hint = {g->dimension, g->retry_after_ms, NULL, g->words};
	gate_leave(&g->permit, g->verdict, g->verdict == VERDICT_REFUSED ? &hint : NULL, g->sent,
		(unsigned)(g->requests ? g->latency_ms / g->requests : 0));
}

int graph_hold(struct graph *g, unsigned requests, uint64_t bytes, struct err *err)
{
	struct demand d = {.bytes = bytes, .requests = requests};
	graph_release(g);
	if (enter(g, &d, err))
		return -1;
	g->held = d;
	return 0;
}

void graph_release(struct graph *g)
{
	leave(g);
	g->held = (struct demand){0};
}

/* Which of two verdicts a permit is left with: what went wrong counts more than what went well. */
static bool is_worse(enum verdict a, enum verdict b)
{
	static const int rank[] = {[VERDICT_UNUSED] = 0,
		[VERDICT_OK] = 1,
		[VERDICT_FAILED] = 2,
		[VERDICT_LOST] = 3,
		[VERDICT_REFUSED] = 4};
	return rank[a] >= rank[b];
}

/* What one request says about the limits. failed NULL: it went well. */
static void note(struct graph *g, const struct response *r, const struct err *failed, const struct graph_refusal *why)
{
	enum verdict v = VERDICT_OK;
	g->requests++;
	g->sent += r->sent_bytes;
	g->latency_ms += r->latency_ms;
	if (failed && r->status == 0)
		v = r->body_sent || r->sent_bytes ? VERDICT_LOST : VERDICT_UNUSED;
	else if (failed && (failed->kind == ERR_THROTTLED || (failed->kind == ERR_BUSY && failed->retry_after_ms >= 0)))
		v = VERDICT_REFUSED;
	else if (failed)
		v = failed->kind == ERR_BUSY || failed->kind == ERR_LOST ? VERDICT_LOST : VERDICT_FAILED;
	if (!is_worse(v, g->verdict))
		return;
	g->verdict = v;
	g->dimension = why->dimension;
	g->retry_after_ms = failed ? failed->retry_after_ms : -1;
	snprintf(g->words, sizeof(g->words), "%s", failed ? (failed->server[0] ? failed->server : failed->text) : "");
}

/* --- one request --- */

static int token_fetch(struct graph *g, struct err *err)
{
	struct secret *refused = g->token, *fresh = NULL;
	int rc = token_get(g->conf->token, refused, g->stop, &fresh, err);
	secret_free(&refused);
	g->token = rc == 0 ? fresh : NULL;
	return rc;
}

static int address(const struct graph *g, const struct graph_request *r, struct buf *url, struct err *err)
{
	static const char *const none[] = {NULL};
	if (!r->link)
		return graph_url_format(url, g->conf->url, r->path, r->args ? r->args : none, err);
	buf_clear(url);
	if (!graph_url_is_ours(g->conf->url, r->link))
		return err_set(err, ERR_PROTOCOL, "Graph's list goes on at another server, which is not followed");
	return buf_add_str(url, r->link, err);
}

/* For Microsoft's support: which request it was. */
static void add_ids(struct err *err, const struct response *r)
{
	size_t n = strlen(err->text);
	if (r->request_id[0])
		snprintf(err->text + n, sizeof(err->text) - n, " (request-id %s, client-request-id %s)", r->request_id,
			r->client_request_id);
	else
		snprintf(err->text + n, sizeof(err->text) - n, " (client-request-id %s)", r->client_request_id);
}

static int judge(struct graph *g, int rc, struct response *r, struct graph_reply *out, struct err *err)
{
	struct graph_refusal why = {.maybe_done = rc ? r->body_sent : false, .dimension = DIM_NONE};
	out->status = rc ? 0 : r->status;
	if (rc == 0 && (r->status < 200 || r->status > 299))
		rc = graph_error_read(r->status, buf_str(&r->body), r->body.len, r->retry_after_ms, &why, err);
	/* An early answer, before the last octet of the body left: nothing can have been done. */
	out->maybe_done = rc != 0 && why.maybe_done && r->body_sent;
	note(g, r, rc ? err : NULL, &why);
	if (rc)
		add_ids(err, r);
	return rc;
}

/* Sends it once, under the permit that is held or one of its own. */
static int send_once(
	struct graph *g, const char *url, const struct graph_request *r, struct graph_reply *out, struct err *err)
{
	static const char *const headers[] = {"Prefer: IdType=\"ImmutableId\"", "Accept: application/json", NULL};
	static const char *const headers_raw[] = {"Prefer: IdType=\"ImmutableId\"", NULL};
	struct request q = {.method = r->method,
		.url = url,
		.headers = r->into ? headers_raw : headers,
		.bearer = g->token,
		.content_type = r->mime   ? "text/plain"
				: r->json ? "application/json"
					  : NULL,
		.body = r->json,
		.body_len = r->json ? strlen(r->json) : 0,
		.spool = r->mime,
		.base64 = r->mime != NULL,
		.answer_cap = GRAPH_PAGE_CAP,
		.into = r->into,
		.into_cap = r->into_cap};
	struct demand d = {.bytes = r->mime ? (spool_size(r->mime) + 2) / 3 * 4 : (uint64_t)q.body_len, .requests = 1};
	bool own = g->held.requests == 0;
	struct response answer;
	if (!g->permit && enter(g, own ? &d : &g->held, err))
		return -1;
	int rc = http_send(g->http, &q, g->permit, &answer, err);
	rc = judge(g, rc, &answer, out, err);
	out->body = answer.body; /* handed over */
	if (own)
		leave(g);
	return rc;
}

static bool only_reads(const struct graph_request *r)
{
	return !strcmp(r->method, "GET") && !r->into;
}

/* Is another try worth it? What only reads; and not when somebody wants us to stop. */
static bool go_again(const struct graph *g, const struct graph_request *r, unsigned tries, const struct err *err)
{
	enum err_action a = err_action(err->kind);
	bool passing = err->kind == ERR_THROTTLED || err->kind == ERR_BUSY || err->kind == ERR_LOST;
	return only_reads(r) && tries < READS && passing && (a == ACT_WAIT || a == ACT_RETRY) &&
	       !stop_is_asked(g->stop);
}

int graph_send(struct graph *g, const struct graph_request *r, struct graph_reply *out, struct err *err)
{
	struct buf url;
	bool renewed = false;
	*out = (struct graph_reply){0};
	buf_init(&url, GRAPH_URL_CAP);
	int rc = address(g, r, &url, err);
	if (rc == 0 && !g->token)
		rc = token_fetch(g, err);
	for (unsigned tries = 1; rc == 0; tries++) {
		rc = send_once(g, buf_str(&url), r, out, err);
		bool refused = rc && out->status == 401 && !renewed;
		if (rc == 0 || (!refused && !go_again(g, r, tries, err)))
			break;
		log_err(LOG_INFO, err, "target %s, mailbox %s: %s", g->conf->target, g->conf->mailbox,
			refused ? "the token is renewed" : "asked again");
		leave(g); /* what is held is taken anew: it went out twice */
		if (!refused)
			clock_sleep_ms(PAUSE_MS * tries, stop_fd(g->stop, STOP_DRAIN));
		graph_reply_done(out);
		*out = (struct graph_reply){0};
		err_clear(err);
		rc = refused ? token_fetch(g, err) : 0;
		renewed |= refused;
	}
	buf_done(&url);
	return rc ? err_wrap(err, "target %s, mailbox %s", g->conf->target, g->conf->mailbox) : 0;
}
