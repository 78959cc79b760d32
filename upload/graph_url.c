#include "upload/graph_url.h"

#include <string.h>
#include <strings.h>

#define LONGEST_LINK ((size_t)8192)

static int add_escaped(struct buf *out, const char *text, bool quoted, struct err *err)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	for (const char *p = text; *p; p++) {
		int rc = strchr(plain, *p) ? buf_add_char(out, *p, err)
					   : buf_printf(out, err, "%%%02X", (unsigned)(unsigned char)*p);
		if (rc == 0 && quoted && *p == '\'') /* OData writes a quote in a string twice */
			rc = buf_add_str(out, "%27", err);
		if (rc)
			return -1;
	}
	return 0;
}

static int add_segment(struct buf *out, const char *arg, struct err *err)
{
	if (!*arg || !strcmp(arg, ".") || !strcmp(arg, ".."))
		return err_set(err, ERR_PROTOCOL, "\"%s\" cannot be an id of Graph", arg);
	return add_escaped(out, arg, false, err);
}

static int add_string(struct buf *out, const char *arg, struct err *err)
{
	return buf_add_str(out, "%27", err) || add_escaped(out, arg, true, err) || buf_add_str(out, "%27", err) ? -1
														: 0;
}

int graph_url_format(struct buf *out, const char *base, const char *template, const char *const *args, struct err *err)
{
	buf_clear(out);
	int rc = buf_add_str(out, base, err);
	for (const char *p = template; rc == 0 && *p;) {
		size_t n = strcspn(p, "{");
		rc = buf_add(out, p, n, err);
		p += n;
		if (rc || !*p)
			break;
		bool quoted = !strncmp(p, "{q}", 3);
		if (!*args)
			return err_set(err, ERR_INTERNAL, "an address of Graph lacks a part: %s", template);
		rc = quoted ? add_string(out, *args, err) : add_segment(out, *args, err);
		args++;
		p += quoted ? 3 : 2;
	}
	return rc;
}

bool graph_url_is_ours(const char *base, const char *link)
{
	size_t n = strlen(base);
	if (strlen(link) > LONGEST_LINK || strncasecmp(link, base, n) != 0)
		return false;
	const char *rest = link + n, *host = strstr(base, "://");
	bool has_port = host && strchr(host + 3, ':');
	if (!has_port && !strncmp(rest, ":443/", 5))
		rest += 4;
	if (*rest != '/')
		return false;
	for (const char *p = rest; *p; p++) {
		if (*p <= ' ' || *p >= 127 || *p == '#' || *p == '\\')
			return false;
	}
	return true;
}
