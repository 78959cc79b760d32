/* What a Graph request names: version, user, folder, message, and which of the resources below them. Pure. */
#ifndef NF_EXOSIM_GRAPH_PATH_H
#define NF_EXOSIM_GRAPH_PATH_H

#include <stdbool.h>

enum graph_node {
	NODE_USER,     /* /users/{u} */
	NODE_SETTINGS, /* /users/{u}/settings/exchange */
	NODE_FOLDERS,  /* …/mailFolders */
	NODE_FOLDER,   /* …/mailFolders/{f} */
	NODE_CHILDREN, /* …/mailFolders/{f}/childFolders */
	NODE_MESSAGES, /* …/mailFolders/{f}/messages, or …/messages (folder NULL) */
	NODE_IMPORT,   /* …/mailFolders/{f}/importMime; beta only */
	NODE_MESSAGE,  /* …/messages/{m} */
	NODE_VALUE     /* …/messages/{m}/$value */
};

enum graph_path_fault { PATH_GOOD, PATH_NOT_GRAPH, PATH_SEGMENT };

struct graph_path {
	bool is_beta;
	enum graph_node node;
	char *user, *folder, *message; /* owned; NULL: not in this path */
	char *unknown;                 /* owned: the segment there is no resource for (PATH_SEGMENT) */
};

/* path: escapes are taken out already, so an id with a slash in it is none. Call graph_path_done either way. */
enum graph_path_fault graph_path_parse(struct graph_path *p, const char *path);
void graph_path_done(struct graph_path *p);
/* "/v1.0/…" or "/beta/…"? */
bool graph_path_is_graph(const char *path);

#endif
