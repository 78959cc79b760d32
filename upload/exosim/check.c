/* A memchr for each line and one for NULs: nothing is looked at octet by octet but the header. */
#include "upload/exosim/check.h"

#include <strings.h>

void check_init(struct check *c)
{
	*c = (struct check){0};
}

static void feed_header(struct check *c, const char *data, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)data[i] > 127 || data[i] == '\0')
			c->bad_header = true;
	for (size_t i = 0; i < n && c->line + i < sizeof(c->start) - 1; i++)
		c->start[c->line + i] = data[i];
}

static void end_line(struct check *c)
{
	uint64_t len = c->line - (c->line && c->last == '\r');

	if (len > c->longest_line)
		c->longest_line = len;
	if (!c->in_body) {
		if (len == 0)
			c->in_body = true;
		else if (strncasecmp(c->start, "message-id:", 11) == 0)
			c->has_message_id = true;
		memset(c->start, 0, sizeof(c->start));
	}
	c->line = 0;
}

void check_feed(struct check *c, const char *data, size_t n)
{
	if (!c->nul && memchr(data, '\0', n))
		c->nul = true;
	while (n) {
		const char *nl = memchr(data, '\n', n);
		size_t part = nl ? (size_t)(nl - data) : n;

		if (!c->in_body)
			feed_header(c, data, part);
		c->line += part;
		if (part)
			c->last = data[part - 1];
		if (!nl)
			return;
		end_line(c);
		data += part + 1;
		n -= part + 1;
	}
}

void check_end(struct check *c)
{
	if (c->line)
		end_line(c);
}
