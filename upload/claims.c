#include "upload/claims.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST ((size_t)32 * 1024)

static int digit(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const char *at = c ? strchr(digits, c) : NULL;
	return at ? (int)(at - digits) : -1;
}

/* base64url without padding, n digits, into out (room for n * 3 / 4 octets). False for anything else. */
static bool decode(const char *text, size_t n, char *out, size_t *n_out)
{
	unsigned bits = 0, have = 0;
	*n_out = 0;
	for (size_t i = 0; i < n; i++) {
		int d = digit(text[i]);
		if (d < 0)
			return false;
		bits = (bits << 6 | (unsigned)d) & 0xffff;
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[(*n_out)++] = (char)(bits >> have);
		}
	}
	return n % 4 != 1;
}

bool claims_roles(const struct secret *token, char *out, size_t size)
{
	const char *text = secret_bytes(token), *from = strchr(text, '.'), *to = from ? strchr(from + 1, '.') : NULL;
	size_t n = to ? (size_t)(to - from - 1) : 0, n_json = 0, used = 0;
	char *json = n > 0 && n <= LONGEST ? malloc(n) : NULL;
	json_t *root = json && decode(from + 1, n, json, &n_json) ? json_loadb(json, n_json, 0, NULL) : NULL, *role;
	size_t i;
	out[0] = 0;
	bool readable = json_is_object(root);
	json_array_foreach(json_object_get(root, "roles"), i, role)
	{
		if (json_is_string(role) && used < size)
			used += (size_t)snprintf(
				out + used, size - used, "%s%.80s", used ? " " : "", json_string_value(role));
	}
	json_decref(root);
	if (json)
		secret_wipe(json, n);
	free(json);
	return readable;
}
