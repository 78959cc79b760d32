#define _GNU_SOURCE
/* strcasestr */
#include "upload/exosim/graph.h"

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "upload/exosim/graph_fault.h"
#include "upload/exosim/graph_limit.h"
#include "upload/exosim/graph_trace.h"
#include "upload/exosim/jwt.h"
#include "upload/exosim/login.h"

#include <assert.h>
#include <strings.h>

static const struct {
	enum graph_node node;
	const char *method, *name;
	unsigned roles;
	void (*answer)(struct graph_call *g);
} kinds[GRAPH_KINDS_END] = {
#define X(k, node_, method_, name_, roles_, answer_) [GK_##k] = {node_, method_, name_, roles_, answer_},
	GRAPH_KINDS(X)
#undef X
};

bool graph_has_switch(const struct graph_call *g, enum rule_switch sw)
{
	return profile_get(&g->x->profile, sw) != 0;
}

int graph_refuse(struct graph_call *g, enum graph_error e, const char *detail)
{
	graph_error_put(g->out, e, detail);
	return -1;
}

int graph_refuse_err(struct graph_call *g, const struct err *err)
{
	char line[1600];

	if (err->kind == ERR_LOST)
		g->is_link_lost = true;
	if (err->kind == ERR_FOLDER || err->kind == ERR_GONE)
		return graph_refuse(g, GE_ITEM_GONE, NULL);
	if (err->kind == ERR_QUOTA)
		return graph_refuse(g, GE_QUOTA, NULL);
	if (err->kind == ERR_CONFLICT)
		return graph_refuse(g, GE_FOLDER_EXISTS, NULL);
	log_line(LOG_ERROR, "graph %s: %s", g->box ? g->box->address : "", err_line(err, line, sizeof(line)));
	return graph_refuse(g, GE_INTERNAL, NULL);
}

/* --- before the body is there */

static void refuse_early(struct graph_call *g, enum graph_error e, const char *detail)
{
	g->is_refused = true;
	g->refusal = e;
	snprintf(g->detail, sizeof(g->detail), "%s", detail ? detail : "");
}

static bool check_token(struct graph_call *g, const struct http_request *in)
{
	static const enum graph_error faults[] = {[TOKEN_BAD] = GE_TOKEN_BAD,
		[TOKEN_OLD] = GE_TOKEN_OLD,
		[TOKEN_AUDIENCE] = GE_TOKEN_AUDIENCE,
		[TOKEN_REVOKED] = GE_TOKEN_REVOKED};
	const char *auth = http_header(in, "Authorization");
	enum token_fault fault;

	if (!auth || strncasecmp(auth, "Bearer ", 7) != 0 || !auth[7]) {
		refuse_early(g, GE_TOKEN_EMPTY, NULL);
		return false;
	}
	fault = grants_examine(g->x->grants, auth + 7, RESOURCE_GRAPH, clock_wall_s(), &g->bearer);
	if (fault != TOKEN_GOOD)
		refuse_early(g, faults[fault], NULL);
	return fault == TOKEN_GOOD;
}

static bool find_kind(struct graph_call *g, const char *method)
{
	for (int i = 0; i < GRAPH_KINDS_END; i++)
		if (kinds[i].node == g->path.node && strcmp(kinds[i].method, method) == 0) {
			g->kind = (enum graph_kind)i;
			return true;
		}
	refuse_early(g, GE_METHOD, method);
	return false;
}

/* Who may do that, in the order in which the service finds out (I). */
static bool check_rights(struct graph_call *g)
{
	bool is_directory = g->kind == GK_USER, permitted = false, enabled = false;

	if (g->box) {
		pthread_mutex_lock(&g->box->lock);
		permitted = g->box->graph_permitted;
		enabled = g->box->rest_enabled;
		pthread_mutex_unlock(&g->box->lock);
	}
	if (!(kinds[g->kind].roles & g->bearer.roles))
		refuse_early(g, is_directory ? GE_DIRECTORY_DENIED : GE_DENIED, NULL);
	else if (!g->box)
		refuse_early(g, is_directory ? GE_USER_GONE : GE_USER_INVALID, g->path.user);
	else if (is_directory)
		return true;
	else if (!permitted)
		refuse_early(g, GE_DENIED, NULL);
	else if (!enabled)
		refuse_early(g, GE_NO_REST, NULL);
	return !g->is_refused;
}

static uint64_t announced(const struct http_request *in)
{
	const char *length = http_header(in, "Content-Length");

	return length ? strtoull(length, NULL, 10) : 0;
}

static bool is_upload(const char *method)
{
	return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;
}

static bool check_limits(struct graph_call *g, const struct http_request *in)
{
	enum limit_kind why;

	if (!g->box)
		return true;
	why = graph_limit_begin(g->box, g->bearer.app, &g->x->profile, clock_mono_ms(),
		is_upload(in->method) ? announced(in) : 0, &g->retry_after_ms);
	g->is_counted = why == LIMIT_NONE;
	if (why != LIMIT_NONE)
		refuse_early(g, GE_THROTTLED, limit_name(why));
	return g->is_counted;
}

static void *begin(void *ctx, const struct http_request *in, size_t *body_cap)
{
	struct exosim *x = ctx;
	struct graph_call *g;
	enum graph_path_fault fault;
	const char *prefer = http_header(in, "Prefer");

	if (!graph_path_is_graph(in->path)) {
		*body_cap = LOGIN_BODY_MAX;
		return NULL;
	}
	g = calloc(1, sizeof(*g));
	assert(g);
	g->x = x;
	g->retry_after_ms = -1;
	g->is_immutable = prefer && strcasestr(prefer, "IdType=\"ImmutableId\"");
	*body_cap = (size_t)profile_get(&x->profile, SW_GRAPH_REQUEST_MAX);
	fault = graph_path_parse(&g->path, in->path);
	if (!check_token(g, in))
		return g;
	if (fault != PATH_GOOD) {
		refuse_early(g, GE_SEGMENT, g->path.unknown);
		return g;
	}
	g->box = world_user(x->world, g->path.user, graph_has_switch(g, SW_GRAPH_ALIAS));
	if (find_kind(g, in->method) && check_limits(g, in))
		check_rights(g);
	return g;
}

static void leave(struct graph_call *g)
{
	if (g->is_counted)
		graph_limit_end(g->box, g->bearer.app);
	g->is_counted = false;
}

static void end(void *ctx, void *state)
{
	struct graph_call *g = state;

	(void)ctx;
	if (!g)
		return;
	leave(g);
	graph_path_done(&g->path);
	graph_query_done(&g->query);
	free(g);
}

/* --- once it is */

static bool take_option(void *ctx, const char *name, const char *value)
{
	return graph_query_take(ctx, name, value);
}

static int check_query(struct graph_call *g)
{
	struct graph_query *q = &g->query;
	bool is_list = g->kind == GK_LIST || g->kind == GK_FOLDERS || g->kind == GK_CHILDREN;

	q->is_message = g->path.node == NODE_MESSAGES || g->path.node == NODE_MESSAGE;
	http_each_query(g->in, take_option, q);
	switch (q->fault) {
	case QUERY_OPTION:
		return graph_refuse(g, GE_QUERY, q->detail);
	case QUERY_VALUE:
		return graph_refuse(g, GE_QUERY_VALUE, q->detail);
	case QUERY_PROPERTY:
		return graph_refuse(g, GE_PROPERTY, q->detail);
	case QUERY_FILTER:
		return graph_refuse(g, GE_FILTER, NULL);
	case QUERY_GOOD:
		break;
	}
	if (!is_list && (q->has_top || q->skip || q->wants_count || q->filter.n || q->raw_filter || q->has_order))
		return graph_refuse(g, GE_QUERY, "of lists");
	return 0;
}

static int check_size(struct graph_call *g)
{
	int64_t max = profile_get(&g->x->profile, SW_GRAPH_REQUEST_MAX),
		how = profile_get(&g->x->profile, SW_GRAPH_TOO_BIG);

	if (!announced(g->in) && g->in->received && is_upload(g->in->method))
		graph_limit_use(g->box, g->bearer.app, clock_mono_ms(), g->in->received);
	if (!g->in->too_big && g->in->len <= (size_t)max)
		return 0;
	if (how == 2 && g->kind != GK_PATCH) {
		graph_error_put_text(g->out, 200, NULL, NULL);
		return -1;
	}
	return graph_refuse(g, how == 1 ? GE_TOO_LARGE_400 : GE_TOO_LARGE, NULL);
}

/* The folder that a fault may name: as IMAP shows it. NULL: none, or not known yet. */
static char *folder_for_faults(struct graph_call *g)
{
	struct tree_place place = {0};
	struct graph_id id;
	const char *text = g->path.message ? g->path.message : g->path.folder;

	if (!text || !faults_exist(g->x->faults))
		return NULL;
	if (tree_is_well_known_name(text))
		tree_cached(g->box, text, NULL, &place);
	else if (graph_id_parse(&id, g->box->address, text))
		tree_cached(g->box, NULL, id.guid, &place);
	return place.raw;
}

static void answer(struct graph_call *g)
{
	char *folder;

	if (g->is_refused) {
		graph_refuse(g, g->refusal, g->detail);
		return;
	}
	folder = folder_for_faults(g);
	g->has_fault = faults_check(g->x->faults, HOOK_GRAPH, g->box->address, folder, kinds[g->kind].name, &g->fault);
	if ((!g->has_fault || !graph_fault_before(g, folder)) && check_size(g) == 0 && check_query(g) == 0)
		kinds[g->kind].answer(g);
	free(folder);
	pool_give(g->box, &g->link, g->is_link_lost);
	if (g->has_fault)
		graph_fault_after(g);
}

static void put_headers(struct graph_call *g)
{
	const char *id = http_header(g->in, "client-request-id");
	char text[40];

	jwt_guid(text, sizeof(text));
	http_reply_header(g->out, "request-id", text);
	http_reply_header(g->out, "client-request-id", id ? id : text);
	if (g->is_immutable)
		http_reply_header(g->out, "Preference-Applied", "IdType=\"ImmutableId\"");
	if (g->out->status == 401)
		http_reply_header(g->out, "WWW-Authenticate",
			"Bearer realm=\"\", "
			"authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\"");
	if (g->retry_after_ms > 0) {
		snprintf(text, sizeof(text), "%lld", (long long)((g->retry_after_ms + 999) / 1000));
		http_reply_header(g->out, "Retry-After", text);
	}
}

static void handle(void *ctx, const struct http_request *in, struct http_reply *out)
{
	struct graph_call *g = in->state;

	if (!g) {
		login_handle(ctx, in, out);
		return;
	}
	g->in = in;
	g->out = out;
	answer(g);
	put_headers(g);
	if (g->box && out->status >= 400)
		MAILBOX_COUNT(g->box, graph_errors, 1);
	if (g->box && out->drop)
		MAILBOX_COUNT(g->box, graph_dropped, 1);
	graph_trace_write(g->x->trace, in, out, g->has_fault ? fault_name(g->fault.kind) : NULL);
	log_line(LOG_DEBUG, "graph %s %s: %u", in->method, in->path, out->status);
	/* Before the answer leaves: a client that has it may send its next at once. */
	leave(g);
}

const struct http_hooks graph_hooks = {.handle = handle, .begin = begin, .end = end};

/* --- for those that answer */

int graph_link(struct graph_call *g, const char *folder)
{
	struct err err = ERR_INIT;

	if (g->link || pool_take(g->x, g->box, folder, &g->link, &err) == 0)
		return 0;
	return graph_refuse_err(g, &err);
}

int graph_open(struct graph_call *g, const char *folder)
{
	struct err err = ERR_INIT;

	for (int tries = 0;; tries++) {
		if (graph_link(g, folder) < 0)
			return -1;
		if (store_open(g->link, folder, &err) == 0)
			return 0;
		if (err.kind != ERR_LOST || tries)
			break;
		pool_give(g->box, &g->link, true);
	}
	folders_forget(g->box->folders);
	return graph_refuse_err(g, &err);
}

int graph_tree(struct graph_call *g, struct tree *t)
{
	struct err err = ERR_INIT;

	*t = (struct tree){0};
	if (graph_link(g, NULL) < 0)
		return -1;
	return tree_load(t, g->x, g->box, g->link, &err) < 0 ? graph_refuse_err(g, &err) : 0;
}

/* By name or id: out of what is known, else out of what the backend has now. */
static int find_place(
	struct graph_call *g, const char *well_known, const unsigned char guid[16], struct tree_place *place)
{
	struct tree t;
	long i;

	if (tree_cached(g->box, well_known, guid, place))
		return 0;
	if (graph_tree(g, &t) < 0)
		return -1;
	i = well_known ? tree_find_well_known(&t, well_known) : tree_find_guid(&t, guid);
	if (i >= 0)
		tree_place_of(&t, i, place);
	tree_done(&t);
	return i >= 0 ? 0 : graph_refuse(g, GE_ITEM_GONE, NULL);
}

int graph_place(struct graph_call *g, struct tree_place *place)
{
	const char *text = g->path.folder ? g->path.folder : "drafts";
	struct graph_id id;

	*place = (struct tree_place){0};
	if (tree_is_well_known_name(text))
		return find_place(g, text, NULL, place);
	if (!graph_id_parse(&id, g->box->address, text) || id.is_message)
		return graph_refuse(g, GE_ID_MALFORMED, NULL);
	return find_place(g, NULL, id.guid, place);
}

int graph_message(struct graph_call *g, struct tree_place *place, uint32_t *uid)
{
	struct graph_id id;

	*place = (struct tree_place){0};
	if (!graph_id_parse(&id, g->box->address, g->path.message) || !id.is_message)
		return graph_refuse(g, GE_ID_MALFORMED, NULL);
	if (find_place(g, NULL, id.guid, place) < 0 || graph_open(g, place->raw) < 0)
		return -1;
	if (g->link->uidvalidity != id.uidvalidity)
		return graph_refuse(g, GE_ITEM_GONE, NULL);
	*uid = id.uid;
	return 0;
}

json_t *graph_body(struct graph_call *g)
{
	const char *type = http_header(g->in, "Content-Type");
	json_t *j;

	if (!type || strncasecmp(type, "application/json", 16) != 0) {
		graph_refuse(g, GE_CONTENT_TYPE, type ? type : "");
		return NULL;
	}
	j = json_loadb(g->in->body, g->in->len, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(j)) {
		json_decref(j);
		graph_refuse(g, GE_BODY_JSON, NULL);
		return NULL;
	}
	return j;
}

void graph_reply(struct graph_call *g, unsigned status, json_t *j)
{
	g->out->status = status;
	g->out->body = json_dumps(j, JSON_COMPACT);
	assert(g->out->body);
	g->out->type =
		"application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8";
	json_decref(j);
}
