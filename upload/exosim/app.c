#include "upload/exosim/app.h"

#include "upload/exosim/jwt.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

void app_free(struct app **pa)
{
	struct app *a = *pa;

	if (!a)
		return;
	free(a->id);
	secret_free(&a->secret);
	free(a->certificate);
	free(a->thumbprint);
	free(a);
	*pa = NULL;
}

static int read_pem(struct app *a, const char *path, struct err *err)
{
	FILE *f = fopen(path, "re");
	char text[16384];
	size_t n;

	if (!f)
		return err_set(err, ERR_USAGE, "certificate %s: %s", path, strerror(errno));
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	a->certificate = strdup(text);
	a->thumbprint = jwt_thumbprint(text);
	return a->thumbprint ? 0 : err_set(err, ERR_USAGE, "%s holds no certificate", path);
}

const char *role_name(enum role r)
{
	static const char *const names[] = {
#define X(k, n) n,
		ROLES(X)
#undef X
	};
	return names[r];
}

static int read_roles(const json_t *list, unsigned *roles, struct err *err)
{
	const json_t *v;
	size_t i;

	*roles = 0;
	if (!json_is_array(list))
		return err_set(err, ERR_USAGE, "app: roles are an array");
	json_array_foreach(list, i, v)
	{
		const char *name = json_string_value(v);
		int r = 0;

		while (r < ROLES_END && (!name || strcmp(role_name((enum role)r), name) != 0))
			r++;
		if (r == ROLES_END)
			return err_set(err, ERR_USAGE, "app: there is no role '%s'", name ? name : "");
		*roles |= 1u << r;
	}
	return 0;
}

static int fill(struct app *a, const json_t *spec, struct err *err)
{
	const char *id = NULL, *secret = NULL, *secret_file = NULL, *certificate = NULL;
	const json_t *list = NULL;
	unsigned roles = (1u << ROLES_END) - 1;
	int expired = 0;
	json_error_t je;

	if (json_unpack_ex((json_t *)(uintptr_t)spec, &je, JSON_STRICT, "{s:s, s?s, s?s, s?s, s?b, s?o}", "id", &id,
		    "secret", &secret, "secret_file", &secret_file, "certificate", &certificate, "secret_expired",
		    &expired, "roles", &list) < 0)
		return err_set(err, ERR_USAGE, "app: %s", je.text);
	if (list && read_roles(list, &roles, err) < 0)
		return -1;
	atomic_init(&a->roles, roles);
	a->id = strdup(id);
	a->secret_expired = expired;
	if (secret)
		a->secret = secret_new(secret, strlen(secret));
	else if (secret_file && secret_read_file(&a->secret, secret_file, err) < 0)
		return -1;
	return certificate ? read_pem(a, certificate, err) : 0;
}

struct app *app_new(const json_t *spec, unsigned index, struct err *err)
{
	struct app *a = calloc(1, sizeof(*a));

	assert(a);
	a->index = index;
	if (fill(a, spec, err) < 0)
		app_free(&a);
	return a;
}

int app_set(struct app *a, const json_t *spec, struct err *err)
{
	unsigned roles;

	if (read_roles(json_object_get(spec, "roles"), &roles, err) < 0)
		return -1;
	atomic_store(&a->roles, roles);
	return 0;
}
