#include "upload/exosim/admin.h"

#include <assert.h>

static void reply(struct http_reply *out, unsigned status, json_t *j)
{
	out->status = status;
	out->body = json_dumps(j, JSON_INDENT(1));
	json_decref(j);
}

static void reply_err(struct http_reply *out, const struct err *err)
{
	reply(out, 400, json_pack("{s:s}", "error", err->text));
}

static json_t *profile_json(struct profile *p)
{
	json_t *o = json_object();

	for (int i = 0; i < SWITCHES_END; i++)
		json_object_set_new(o, rule_row((enum rule_switch)i)->name,
			json_integer((json_int_t)profile_get(p, (enum rule_switch)i)));
	return o;
}

static void get_state(struct exosim *x, const json_t *body, struct http_reply *out)
{
	json_t *state = world_state(x->world);

	(void)body;
	json_object_set_new(state, "seed", json_integer((json_int_t)x->seed));
	json_object_set_new(state, "sessions", json_integer((json_int_t)atomic_load(&x->sessions)));
	json_object_set_new(state, "connections", json_integer((json_int_t)atomic_load(&x->connections)));
	json_object_set_new(state, "tokens", grants_state(x->grants));
	json_object_set_new(state, "faults", faults_list(x->faults));
	json_object_set_new(state, "profile", profile_json(&x->profile));
	reply(out, 200, state);
}

static void post_fault(struct exosim *x, const json_t *body, struct http_reply *out)
{
	struct err err = ERR_INIT;
	unsigned id;

	if (faults_add(x->faults, body, &id, &err) < 0)
		reply_err(out, &err);
	else
		reply(out, 200, json_pack("{s:i}", "id", (int)id));
}

/* {"id":n}, or nothing for all. */
static void delete_fault(struct exosim *x, const json_t *body, struct http_reply *out)
{
	bool found = faults_remove(x->faults, (unsigned)json_integer_value(json_object_get(body, "id")));

	reply(out, found ? 200 : 404, json_object());
}

/* {"profile":"kind"|"unkind", "switch":value, …} */
static void post_profile(struct exosim *x, const json_t *body, struct http_reply *out)
{
	struct err err = ERR_INIT;
	const char *key, *name = json_string_value(json_object_get(body, "profile"));
	json_t *v;

	if (name)
		profile_init(&x->profile, strcmp(name, "unkind") == 0);
	json_object_foreach((json_t *)(uintptr_t)body, key,
		v) if (strcmp(key, "profile") != 0 &&
		       profile_set(&x->profile, key, json_is_boolean(v) ? json_is_true(v) : json_integer_value(v),
			       &err) < 0)
	{
		reply_err(out, &err);
		return;
	}
	reply(out, 200, profile_json(&x->profile));
}

static void post_mailbox(struct exosim *x, const json_t *body, struct http_reply *out)
{
	struct err err = ERR_INIT;

	if (world_set_mailbox(x->world, body, &err) < 0)
		reply_err(out, &err);
	else
		reply(out, 200, json_object());
}

static void post_app(struct exosim *x, const json_t *body, struct http_reply *out)
{
	struct err err = ERR_INIT;

	if (world_set_app(x->world, body, &err) < 0)
		reply_err(out, &err);
	else
		reply(out, 200, json_object());
}

/* {"client":id}, or nothing for all: tokens issued so far are no longer good. */
static void post_revoke(struct exosim *x, const json_t *body, struct http_reply *out)
{
	bool found = world_revoke(x->world, json_string_value(json_object_get(body, "client")));

	reply(out, found ? 200 : 404, json_object());
}

static const struct {
	const char *method, *path;
	void (*run)(struct exosim *x, const json_t *body, struct http_reply *out);
} table[] = {
	{"GET", "/state", get_state},
	{"POST", "/fault", post_fault},
	{"DELETE", "/fault", delete_fault},
	{"POST", "/profile", post_profile},
	{"POST", "/mailbox", post_mailbox},
	{"POST", "/app", post_app},
	{"POST", "/revoke", post_revoke},
};

void admin_handle(void *ctx, const struct http_request *in, struct http_reply *out)
{
	json_t *body = in->len ? json_loadb(in->body, in->len, JSON_REJECT_DUPLICATES, NULL) : json_object();

	for (size_t i = 0; i < sizeof(table) / sizeof(*table) && body; i++)
		if (strcmp(table[i].method, in->method) == 0 && strcmp(table[i].path, in->path) == 0) {
			table[i].run(ctx, body, out);
			json_decref(body);
			return;
		}
	reply(out, body ? 404 : 400, json_pack("{s:s}", "error", body ? "no such resource" : "the body is no JSON"));
	json_decref(body);
}
