#include "upload/exosim/graph_path.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SEGMENTS_MAX 8

bool graph_path_is_graph(const char *path)
{
	return strncmp(path, "/v1.0/", 6) == 0 || strncmp(path, "/beta/", 6) == 0;
}

void graph_path_done(struct graph_path *p)
{
	free(p->user);
	free(p->folder);
	free(p->message);
	free(p->unknown);
	*p = (struct graph_path){0};
}

/* Cuts at the slashes, in place. The number of segments; too many, or an empty one: 0. */
static size_t split(char *text, char **segment)
{
	size_t n = 0;

	for (char *at = text; at; n++) {
		char *slash = strchr(at, '/');

		if (n == SEGMENTS_MAX || at == slash || !*at)
			return 0;
		if (slash)
			*slash = '\0';
		segment[n] = at;
		at = slash ? slash + 1 : NULL;
	}
	return n;
}

static void keep(char **to, const char *text)
{
	*to = strdup(text);
	assert(*to);
}

static enum graph_path_fault no_resource(struct graph_path *p, const char *segment)
{
	keep(&p->unknown, segment);
	return PATH_SEGMENT;
}

/* What follows "mailFolders/{f}". */
static enum graph_path_fault below_folder(struct graph_path *p, char **segment, size_t n)
{
	static const struct {
		const char *name;
		enum graph_node node;
	} below[] = {{"childFolders", NODE_CHILDREN}, {"messages", NODE_MESSAGES}, {"importMime", NODE_IMPORT}};

	if (n == 0) {
		p->node = NODE_FOLDER;
		return PATH_GOOD;
	}
	for (size_t i = 0; i < sizeof(below) / sizeof(*below); i++)
		if (strcasecmp(segment[0], below[i].name) == 0 && (below[i].node != NODE_IMPORT || p->is_beta)) {
			p->node = below[i].node;
			return n == 1 ? PATH_GOOD : no_resource(p, segment[1]);
		}
	return no_resource(p, segment[0]);
}

/* What follows "messages". */
static enum graph_path_fault below_messages(struct graph_path *p, char **segment, size_t n)
{
	if (n == 0) {
		p->node = NODE_MESSAGES;
		return PATH_GOOD;
	}
	keep(&p->message, segment[0]);
	p->node = NODE_MESSAGE;
	if (n == 1)
		return PATH_GOOD;
	p->node = NODE_VALUE;
	return n == 2 && strcmp(segment[1], "$value") == 0 ? PATH_GOOD : no_resource(p, segment[1]);
}

/* What follows "users/{u}". */
static enum graph_path_fault below_user(struct graph_path *p, char **segment, size_t n)
{
	if (n == 0) {
		p->node = NODE_USER;
		return PATH_GOOD;
	}
	if (strcasecmp(segment[0], "messages") == 0)
		return below_messages(p, segment + 1, n - 1);
	if (strcasecmp(segment[0], "settings") == 0) {
		p->node = NODE_SETTINGS;
		return n == 2 && strcasecmp(segment[1], "exchange") == 0 ? PATH_GOOD : no_resource(p, segment[n > 1]);
	}
	if (strcasecmp(segment[0], "mailFolders") != 0)
		return no_resource(p, segment[0]);
	if (n == 1) {
		p->node = NODE_FOLDERS;
		return PATH_GOOD;
	}
	keep(&p->folder, segment[1]);
	return below_folder(p, segment + 2, n - 2);
}

enum graph_path_fault graph_path_parse(struct graph_path *p, const char *path)
{
	char *copy, *segment[SEGMENTS_MAX];
	enum graph_path_fault fault;
	size_t n;

	*p = (struct graph_path){0};
	if (!graph_path_is_graph(path))
		return PATH_NOT_GRAPH;
	p->is_beta = path[1] == 'b';
	copy = strdup(path + 6);
	assert(copy);
	n = split(copy, segment);
	if (n == 0)
		fault = no_resource(p, "");
	else if (n == 1 || strcasecmp(segment[0], "users") != 0)
		fault = no_resource(p, segment[0]);
	else {
		keep(&p->user, segment[1]);
		fault = below_user(p, segment + 2, n - 2);
	}
	free(copy);
	return fault;
}
