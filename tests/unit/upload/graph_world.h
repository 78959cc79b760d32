/* A scripted Graph on 127.0.0.1 with a token endpoint of its own: what it answers, step by step, and what it was asked. Included by tests. */
#ifndef NF_TESTS_GRAPH_WORLD_H
#define NF_TESTS_GRAPH_WORLD_H

#include "tests/unit/upload/tls_server.h"

#include "upload/target.h"
#include "upload/token.h"

struct step {
	const char *asked; /* must stand in the request's head; NULL: whatever */
	int status;
	const char *body;   /* "%s" in it is the server's URL; NULL: none */
	const char *header; /* "Retry-After: 1\r\n"; NULL: none */
	enum then then;
	const char *holds; /* must stand in the request's body; NULL: whatever */
	unsigned cut;      /* octets of the body that are promised and never come */
};

struct graph_world {
	struct tls_server s;
	const struct step *steps;
	size_t n;
	_Atomic size_t at;
	atomic_uint tokens;
	struct token *token;
	struct target_conf conf;
	struct target *target;
	struct throttle *throttle; /* without a pace */
	struct scope *scope;
	struct gate *gate;
	char complaint[400]; /* the first request that was not as the script has it */
	char last_head[8192];
	char last_body[4096];
	char text[64 * 1024];
};

static inline struct reply world_token(struct graph_world *w)
{
	char json[120];
	snprintf(json, sizeof(json), "{\"token_type\":\"Bearer\",\"expires_in\":3600,\"access_token\":\"token-%u\"}",
		atomic_fetch_add(&w->tokens, 1) + 1);
	snprintf(w->text, sizeof(w->text), "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
		strlen(json), json);
	return (struct reply){w->text, THEN_CLOSE};
}

static inline struct reply world_answer(struct tls_server *s, const struct seen *r)
{
	struct graph_world *w = s->arg;
	if (strstr(r->head, "/oauth2/"))
		return world_token(w);
	size_t i = atomic_fetch_add(&w->at, 1);
	const struct step *step = i < w->n ? &w->steps[i] : NULL;
	memcpy(w->last_head, r->head, sizeof(w->last_head));
	snprintf(w->last_body, sizeof(w->last_body), "%s", r->body);
	if (!w->complaint[0] && (!step || (step->asked && !strstr(r->head, step->asked)) ||
					(step->holds && !strstr(r->body, step->holds))))
		snprintf(w->complaint, sizeof(w->complaint), "request %zu, not %s: %.200s %.100s", i,
			step && step->asked ? step->asked : "expected", r->head, r->body);
	if (!step)
		return (struct reply){"HTTP/1.1 418 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", THEN_CLOSE};
	char body[60 * 1024] = "";
	const char *hole = step->body ? strstr(step->body, "%s") : NULL;
	if (hole)
		snprintf(body, sizeof(body), "%.*s%s%s", (int)(hole - step->body), step->body, s->url, hole + 2);
	else if (step->body)
		snprintf(body, sizeof(body), "%s", step->body);
	snprintf(w->text, sizeof(w->text), "HTTP/1.1 %d Because\r\n%s%sContent-Length: %zu\r\n\r\n%s", step->status,
		step->header ? step->header : "", step->then == THEN_KEEP ? "" : "Connection: close\r\n",
		strlen(body) + step->cut, body);
	return (struct reply){w->text, step->then};
}

static inline struct graph_world *world_new(void)
{
	struct graph_world *w = calloc(1, sizeof(*w));
	struct err e = ERR_INIT;
	w->s.handler = world_answer;
	w->s.arg = w;
	tls_server_start(&w->s, "IP:127.0.0.1");
	struct scope_limits limits = {.in_flight = 4};
	w->throttle = throttle_new();
	w->scope = scope_open(w->throttle, NULL, "mailbox", &limits);
	struct secret *secret = secret_new("secret", 6);
	struct token_conf tc = {.login_url = w->s.url,
		.tenant = "contoso.example",
		.client_id = "app-1",
		.scope = "https://graph.microsoft.com/.default",
		.client_secret = secret,
		.ca_file = w->s.ca_path};
	assert_int_equal(token_new(&w->token, &tc, &e), 0);
	secret_free(&secret);
	w->conf = (struct target_conf){.kind = TARGET_EXCHANGE,
		.name = "contoso",
		.ca_file = w->s.ca_path,
		.mailbox = "ann@contoso.example",
		.graph_url = w->s.url,
		.graph_token = w->token,
		.spool_dir = "/tmp"};
	return w;
}

static inline void world_script(struct graph_world *w, const struct step *steps, size_t n)
{
	w->steps = steps;
	w->n = n;
	atomic_store(&w->at, 0);
	w->complaint[0] = '\0';
}

/* The way in for one thread. */
static inline struct gate *world_gate(struct graph_world *w, struct stop *stop)
{
	if (!w->gate)
		w->gate = gate_new(w->scope, stop);
	return w->gate;
}

/* The script was followed to its end. */
static inline void world_check(struct graph_world *w)
{
	if (w->complaint[0])
		fail_msg("%s", w->complaint);
	if (atomic_load(&w->at) != w->n)
		fail_msg("%zu requests, not %zu", atomic_load(&w->at), w->n);
}

static inline void world_free(struct graph_world **w)
{
	if ((*w)->target)
		target_graph_mime_ops.close(&(*w)->target);
	gate_free(&(*w)->gate);
	scope_close(&(*w)->scope);
	throttle_free(&(*w)->throttle);
	token_free(&(*w)->token);
	tls_server_stop(&(*w)->s);
	free(*w);
	*w = NULL;
}

#endif
