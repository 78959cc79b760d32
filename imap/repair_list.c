#include "imap/repair.h"

#include <ctype.h>

/* "* LIST (flags) separator name [extended data]" in the strict form that libetpan reads. Seen at servers: flags without a
   backslash, a separator of "", names with blanks and no quotes, quotes inside quotes, ("CHILDINFO" ...) behind the name. */

struct cursor {
	const char *p, *end;
};

static void skip(struct cursor *c)
{
	while (c->p < c->end && *c->p == ' ')
		c->p++;
}

static int add_flags(struct buf *out, struct cursor *c, struct err *err)
{
	bool first = true;

	if (c->p == c->end || *c->p != '(')
		return 0;
	c->p++;
	while (c->p < c->end && *c->p != ')') {
		skip(c);
		const char *flag = c->p;
		while (c->p < c->end && *c->p != ' ' && *c->p != ')')
			c->p++;
		size_t n = (size_t)(c->p - flag);
		if (!n)
			break;
		if (memchr(flag, '"', n) || memchr(flag, '{', n) || flag[0] == '(' || (n == 1 && flag[0] == '\\'))
			continue;
		if ((!first && buf_add_char(out, ' ', err)) || (flag[0] != '\\' && buf_add_char(out, '\\', err)) ||
			buf_add(out, flag, n, err))
			return -1;
		first = false;
	}
	if (c->p < c->end)
		c->p++;
	return 0;
}

static int add_separator(struct buf *out, struct cursor *c, struct err *err)
{
	char separator = 0;

	skip(c);
	if (c->p == c->end || *c->p != '"') {
		while (c->p < c->end && *c->p != ' ')
			c->p++;
		return buf_add_str(out, "NIL", err);
	}
	c->p++;
	if (c->p + 1 < c->end && *c->p == '\\') {
		separator = c->p[1];
		c->p += 2;
	} else if (c->p < c->end && *c->p != '"') {
		separator = *c->p++;
	}
	while (c->p < c->end && *c->p != '"')
		c->p++;
	if (c->p < c->end)
		c->p++;
	if (!separator)
		return buf_add_str(out, "NIL", err);
	return buf_printf(out, err, separator == '"' || separator == '\\' ? "\"\\%c\"" : "\"%c\"", separator);
}

/* The quote that really ends the name: NULL when quotes stand unescaped inside it. */
static const char *closing_quote(const char *p, const char *end)
{
	for (; p < end; p++) {
		if (*p == '\\')
			p++;
		else if (*p == '"')
			return p + 1 == end || p[1] == ' ' ? p : NULL;
	}
	return NULL;
}

static int add_quoted(struct buf *out, const char *p, const char *end, bool escaped, struct err *err)
{
	if (buf_add_char(out, '"', err))
		return -1;
	for (; p < end; p++) {
		if (escaped && *p == '\\' && p + 1 < end) {
			if (buf_add(out, p, 2, err))
				return -1;
			p++;
			continue;
		}
		if ((*p == '"' || *p == '\\') && buf_add_char(out, '\\', err))
			return -1;
		if (buf_add_char(out, *p, err))
			return -1;
	}
	return buf_add_char(out, '"', err);
}

static int add_name(struct buf *out, struct cursor *c, bool *literal, struct err *err)
{
	skip(c);
	while (c->end > c->p && c->end[-1] == ' ')
		c->end--;
	if (*literal && c->p < c->end && *c->p == '{' && !memchr(c->p + 1, '{', (size_t)(c->end - c->p - 1)))
		return buf_add(out, c->p, (size_t)(c->end - c->p), err);
	*literal = false;
	if (c->p == c->end || *c->p != '"')
		return add_quoted(out, c->p, c->end, false, err);
	const char *start = c->p + 1, *close = closing_quote(start, c->end);
	if (close)
		return add_quoted(out, start, close, true, err);
	/* Take all up to the last quote as the name, as it stands. */
	close = c->end;
	while (close > start && close[-1] != '"')
		close--;
	return add_quoted(out, start, close > start ? close - 1 : c->end, false, err);
}

int repair_list(struct buf *line, const char *verb, size_t arguments_at, bool *literal)
{
	struct buf out;
	struct err err = ERR_INIT;
	struct cursor c = {line->data + arguments_at, line->data + line->len};
	int result = -1;

	buf_init(&out, line->len * 2 + 64);
	skip(&c);
	if (buf_printf(&out, &err, "* %s (", verb) || add_flags(&out, &c, &err) || buf_add_str(&out, ") ", &err) ||
		add_separator(&out, &c, &err) || buf_add_char(&out, ' ', &err) || add_name(&out, &c, literal, &err))
		goto out;
	result = repair_splice(line, 0, line->len, out.data, out.len);
out:
	buf_done(&out);
	return result;
}
