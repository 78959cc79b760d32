#include "upload/exosim/form.h"

#include <assert.h>

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* NULL: not valid. */
static char *decode(const char *s, size_t n)
{
	char *out = malloc(n + 1);
	size_t o = 0;

	assert(out);
	for (size_t i = 0; i < n; i++) {
		int c = (unsigned char)s[i];

		if (c == '+') {
			c = ' ';
		} else if (c == '%') {
			c = i + 2 < n && hex(s[i + 1]) >= 0 && hex(s[i + 2]) >= 0 ? hex(s[i + 1]) * 16 + hex(s[i + 2])
										  : 0;
			i += 2;
		} else if (c <= 32 || c > 126) {
			c = 0;
		}
		if (c == 0) {
			free(out);
			return NULL;
		}
		out[o++] = (char)c;
	}
	out[o] = '\0';
	return out;
}

int form_parse(struct form *f, const char *body, size_t len)
{
	const char *at = body, *end = body + len;

	*f = (struct form){.n = 0};
	while (at < end) {
		const char *amp = memchr(at, '&', (size_t)(end - at)), *stop = amp ? amp : end;
		const char *eq = memchr(at, '=', (size_t)(stop - at));
		char *name = decode(at, (size_t)((eq ? eq : stop) - at));
		char *value = eq ? decode(eq + 1, (size_t)(stop - eq - 1)) : NULL;

		if (!name || !*name || !value || f->n == FORM_FIELDS || form_get(f, name)) {
			free(name);
			free(value);
			return -1;
		}
		f->name[f->n] = name;
		f->value[f->n++] = value;
		at = amp ? amp + 1 : end;
	}
	return 0;
}

const char *form_get(const struct form *f, const char *name)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->name[i], name) == 0)
			return f->value[i];
	return NULL;
}

void form_done(struct form *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->name[i]);
		free(f->value[i]);
	}
	f->n = 0;
}
