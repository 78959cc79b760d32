/* The nouns: their names, and what they own. */
#include "engine/store/model.h"

#include <stdlib.h>
#include <string.h>

void item_done(struct item *i)
{
	fingerprint_done(&i->print);
}

void generation_done(struct generation *g)
{
	free(g->raw);
	*g = (struct generation){0};
}

void dest_folder_done(struct dest_folder *f)
{
	free(f->path);
	*f = (struct dest_folder){0};
}

#define NAME_OF(names, at) ((unsigned)(at) < sizeof(names) / sizeof((names)[0]) ? (names)[at] : "?")

const char *batch_state_name(enum batch_state s)
{
	static const char *const names[] = {
#define X(k, n) n,
		BATCH_STATES(X)
#undef X
	};
	return NAME_OF(names, s);
}

const char *user_state_name(enum user_state s)
{
	static const char *const names[] = {
#define X(k, n) n,
		USER_STATES(X)
#undef X
	};
	return NAME_OF(names, s);
}

const char *item_state_name(enum item_state s)
{
	static const char *const names[] = {
#define X(k, n) n,
		ITEM_STATES(X)
#undef X
	};
	return NAME_OF(names, s);
}

const char *binding_name(enum binding b)
{
	static const char *const names[] = {
#define X(k, n) n,
		BINDINGS(X)
#undef X
	};
	return NAME_OF(names, b);
}

static const char *const tls_modes[] = {[TLS_IMPLICIT] = "implicit", [TLS_STARTTLS] = "starttls", [TLS_NONE] = "none"};
static const char *const auth_methods[] = {[AUTH_ANY] = "any",
	[AUTH_SCRAM_SHA_256] = "scram-sha-256",
	[AUTH_PLAIN] = "plain",
	[AUTH_LOGIN] = "login",
	[AUTH_XOAUTH2] = "xoauth2"};

static int find_name(const char *const *names, size_t n, const char *s)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(names[i], s) == 0)
			return (int)i;
	}
	return -1;
}

const char *tls_mode_name(enum tls_mode m)
{
	return NAME_OF(tls_modes, m);
}

int tls_mode_parse(const char *s)
{
	return find_name(tls_modes, sizeof(tls_modes) / sizeof(tls_modes[0]), s);
}

const char *auth_method_name(enum auth_method m)
{
	return NAME_OF(auth_methods, m);
}

int auth_method_parse(const char *s)
{
	return find_name(auth_methods, sizeof(auth_methods) / sizeof(auth_methods[0]), s);
}

bool routes_at(const char *routes, size_t i, char *out, size_t size)
{
	for (; i > 0 && *routes; i--) {
		routes += strcspn(routes, ",");
		routes += *routes == ',';
	}
	size_t n = strcspn(routes, ",");
	if (n == 0 || n >= size)
		return false;
	memcpy(out, routes, n);
	out[n] = 0;
	return true;
}

bool routes_have(const char *routes, const char *name)
{
	char one[16];
	for (size_t i = 0; routes_at(routes, i, one, sizeof(one)); i++)
		if (!strcmp(one, name))
			return true;
	return false;
}
