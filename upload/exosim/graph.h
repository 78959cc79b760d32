/* Microsoft Graph's mail, as far as spec/exchange-online.md sections 1, 3 and 4 know it: who may, the limits, the faults, and which file
   answers. Each request is one thread's. */
#ifndef NF_EXOSIM_GRAPH_H
#define NF_EXOSIM_GRAPH_H

#include "upload/exosim/graph_error.h"
#include "upload/exosim/graph_path.h"
#include "upload/exosim/graph_query.h"
#include "upload/exosim/graph_store.h"
#include "upload/exosim/graph_tree.h"
#include "upload/exosim/http.h"

/* X(KEY, node, "METHOD", "name for faults", roles of which one is needed, answers) */
#define GRAPH_KINDS(X) \
	X(USER, NODE_USER, "GET", "user", ROLE_BIT(USERS) | ROLE_BIT(DIRECTORY), graph_user_get) \
	X(SETTINGS, NODE_SETTINGS, "GET", "settings", ROLE_BIT(SETTINGS) | ROLE_BIT(FOLDERS) | ROLE_BIT(ITEMS), \
		graph_user_settings) \
	X(FOLDERS, NODE_FOLDERS, "GET", "folder_list", GRAPH_MAY_READ, graph_folder_list) \
	X(CHILDREN, NODE_CHILDREN, "GET", "folder_list", GRAPH_MAY_READ, graph_folder_list) \
	X(FOLDER, NODE_FOLDER, "GET", "folder_get", GRAPH_MAY_READ, graph_folder_get) \
	X(FOLDER_NEW, NODE_FOLDERS, "POST", "folder_create", ROLE_BIT(MAIL), graph_folder_create) \
	X(CHILD_NEW, NODE_CHILDREN, "POST", "folder_create", ROLE_BIT(MAIL), graph_folder_create) \
	X(FOLDER_DELETE, NODE_FOLDER, "DELETE", "folder_delete", ROLE_BIT(MAIL), graph_folder_delete) \
	X(LIST, NODE_MESSAGES, "GET", "list", GRAPH_MAY_READ, graph_list) \
	X(CREATE, NODE_MESSAGES, "POST", "create", ROLE_BIT(MAIL), graph_mime_create) \
	X(IMPORT, NODE_IMPORT, "POST", "import", ROLE_BIT(ADVANCED), graph_mime_create) \
	X(GET, NODE_MESSAGE, "GET", "get", GRAPH_MAY_READ, graph_message_get) \
	X(VALUE, NODE_VALUE, "GET", "value", GRAPH_MAY_READ, graph_message_value) \
	X(PATCH, NODE_MESSAGE, "PATCH", "patch", ROLE_BIT(MAIL) | ROLE_BIT(ADVANCED), graph_message_patch) \
	X(DELETE, NODE_MESSAGE, "DELETE", "delete", ROLE_BIT(MAIL) | ROLE_BIT(ADVANCED), graph_message_delete)
#define GRAPH_MAY_READ (ROLE_BIT(MAIL_READ) | ROLE_BIT(MAIL) | ROLE_BIT(ADVANCED))

enum graph_kind {
#define X(k, node, method, name, roles, answer) GK_##k,
	GRAPH_KINDS(X)
#undef X
		GRAPH_KINDS_END
};

struct graph_call {
	struct exosim *x;              /* borrowed */
	const struct http_request *in; /* borrowed; while it is answered */
	struct http_reply *out;        /* borrowed; likewise */
	struct graph_path path;
	struct graph_query query;
	enum graph_kind kind;
	struct bearer bearer;
	struct mailbox *box; /* borrowed; NULL: no such user */
	bool is_counted;     /* among those in flight */
	bool is_immutable;   /* Prefer: IdType="ImmutableId" */
	bool is_refused;     /* before the body was read: by this */
	enum graph_error refusal;
	char detail[200];
	int64_t retry_after_ms; /* -1: not stated */
	bool has_fault;
	struct fault_hit fault;
	struct link *link; /* owned: from the pool; NULL: none yet */
	bool is_link_lost;
};

extern const struct http_hooks
	graph_hooks; /* ctx: struct exosim. The token endpoint, too: both are on one port here. */

/* --- for those that answer */

/* graph_error_put, and always -1. */
int graph_refuse(struct graph_call *g, enum graph_error e, const char *detail);
/* What a failure at the backend is to Graph: refuses and returns -1. */
int graph_refuse_err(struct graph_call *g, const struct err *err);
/* A link to the backend, best with that folder open. */
int graph_link(struct graph_call *g, const char *folder);
/* The same, with that folder open and up to date; another link if the first one is lost by it. */
int graph_open(struct graph_call *g, const char *folder);
/* Fresh from the backend. */
int graph_tree(struct graph_call *g, struct tree *t);
/* The folder that the path names, or the request's default; must not be the root. */
int graph_place(struct graph_call *g, struct tree_place *place);
/* The folder and UID of the path's message; the link has that folder open. */
int graph_message(struct graph_call *g, struct tree_place *place, uint32_t *uid);
/* The body as a JSON object; yours. NULL: refused. */
json_t *graph_body(struct graph_call *g);
/* Takes j. */
void graph_reply(struct graph_call *g, unsigned status, json_t *j);
/* "https://HOST/v1.0/$metadata#users('…')" + rest. */
json_t *graph_context(const struct graph_call *g, const char *rest);
/* The request's address again, with another $skiptoken. */
json_t *graph_next_link(const struct graph_call *g, uint64_t skip);
bool graph_has_switch(const struct graph_call *g, enum rule_switch sw);

#define X(k, node, method, name, roles, answer) void answer(struct graph_call *g);
GRAPH_KINDS(X)
#undef X

#endif
