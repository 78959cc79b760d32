/* The user and the mailbox behind a name: whether it exists, and by which id. */
#include "upload/exosim/graph.h"

#include <strings.h>

static json_t *all_properties(const struct mailbox *m)
{
	const char *at = strchr(m->address, '@');
	char name[256];

	snprintf(name, sizeof(name), "%.*s", at ? (int)(at - m->address) : (int)strlen(m->address), m->address);
	return json_pack("{s:s, s:s, s:s, s:s, s:n, s:n, s:n, s:n, s:n, s:n, s:[]}", "id", m->id, "userPrincipalName",
		m->upn ? m->upn : m->address, "mail", m->address, "displayName", name, "givenName", "jobTitle",
		"mobilePhone", "officeLocation", "preferredLanguage", "surname", "businessPhones");
}

void graph_user_get(struct graph_call *g)
{
	json_t *all = all_properties(g->box), *some, *v;
	const char *at = g->query.raw_select;

	json_object_set_new(all, "accountEnabled", json_true());
	json_object_set_new(all, "userType", json_string("Member"));
	if (!at) {
		json_object_del(all, "accountEnabled");
		json_object_del(all, "userType");
		some = json_incref(all);
	} else {
		some = json_object();
	}
	json_object_set_new(some, "@odata.context",
		json_sprintf(
			"https://graph.microsoft.com/%s/$metadata#users/$entity", g->path.is_beta ? "beta" : "v1.0"));
	while (at) {
		size_t n = strcspn(at, ",");
		char name[80];

		snprintf(name, sizeof(name), "%.*s", (int)(n < sizeof(name) ? n : sizeof(name) - 1), at);
		v = json_object_get(all, name);
		if (!v) {
			graph_error_put_text(
				g->out, 400, "Request_BadRequest", "Could not find a property that was selected.");
			json_decref(some);
			json_decref(all);
			return;
		}
		json_object_set(some, name, v);
		at = at[n] ? at + n + 1 : NULL;
	}
	json_decref(all);
	graph_reply(g, 200, some);
}

void graph_user_settings(struct graph_call *g)
{
	char tenant[40];

	graph_id_of_user(tenant, "tenant");
	graph_reply(g, 200,
		json_pack("{s:o, s:o}", "@odata.context", graph_context(g, "/settings/exchange"), "primaryMailboxId",
			json_sprintf("MBX:%s@%s", g->box->id, tenant)));
}
