/* Errors. The texts are cut at the struct's sizes, never in the middle of a UTF-8 character; what a peer
   said is made printable here and only here, so that no later printer has to think of it. */
#include "engine/base/err.h"

#include "engine/base/utf8.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	enum err_action action;
} kinds[] = {
#define X(k, n, a) [ERR_##k] = {n, ACT_##a},
	ERR_KINDS(X)
#undef X
};
_Static_assert(sizeof(kinds) / sizeof(kinds[0]) == ERR_KINDS_END, "one row a kind");

/* Cut to size, printable: one line of UTF-8 whatever came in. Blanks at both ends go. */
static void copy_printable(char *out, size_t size, const char *in, size_t n)
{
	size_t len = 0;
	for (size_t i = 0; i < n && len + 1 < size;) {
		const unsigned char *p = (const unsigned char *)in + i;
		size_t octets = utf8_length(in + i, n - i);
		bool control = *p < 0x20 || *p == 0x7f || (octets == 2 && p[0] == 0xc2 && p[1] < 0xa0);
		if (octets == 0 || control) {
			char c = control ? ' ' : '?';
			if (c != ' ' || len > 0)
				out[len++] = c;
			i += octets ? octets : 1;
			continue;
		}
		if (len + octets >= size)
			break;
		if (*p != ' ' || len > 0) {
			memcpy(out + len, p, octets);
			len += octets;
		}
		i += octets;
	}
	while (len > 0 && out[len - 1] == ' ')
		len--;
	out[len] = '\0';
}

void err_clear(struct err *err)
{
	err->kind = ERR_NONE;
	err->retry_after_ms = -1;
	err->text[0] = err->server[0] = err->hint[0] = '\0';
}

int err_set(struct err *err, enum err_kind kind, const char *fmt, ...)
{
	char text[sizeof(err->text)]; /* apart: the arguments may be the old *err's own strings */
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	utf8_trim(text);
	err_clear(err);
	err->kind = kind;
	memcpy(err->text, text, sizeof(text));
	return -1;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
	char text[sizeof(err->text)] = "";
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	size_t len = strlen(text);
	snprintf(text + len, sizeof(text) - len, ": %s", err->text);
	utf8_trim(text);
	memcpy(err->text, text, sizeof(text));
	return -1;
}

/* "beginning…end" of what is too long to be read anyway. */
static void shorten(const char *name, char *out, size_t size)
{
	enum { LONGEST = 120, HEAD = 80, TAIL = 32 };
	size_t n = strlen(name);
	if (n <= LONGEST) {
		snprintf(out, size, "%s", name);
		return;
	}
	char head[HEAD + 1];
	const char *tail = name + n - TAIL;
	snprintf(head, sizeof(head), "%s", name);
	utf8_trim(head);
	while (((unsigned char)*tail & 0xc0) == 0x80) /* not in the middle of a character */
		tail++;
	snprintf(out, size, "%s\xe2\x80\xa6%s", head, tail);
}

int err_wrap_name(struct err *err, const char *what, const char *name)
{
	char shown[160], words[256];
	shorten(name, shown, sizeof(shown));
	int n = snprintf(words, sizeof(words), "%s %s: ", what, shown);
	if (strncmp(err->text, words, (size_t)n) == 0)
		return -1;
	return err_wrap(err, "%s %s", what, shown);
}

void err_server(struct err *err, const char *words, size_t n)
{
	copy_printable(err->server, sizeof(err->server), words, n);
}

void err_hint(struct err *err, const char *fmt, ...)
{
	char hint[sizeof(err->hint)];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(hint, sizeof(hint), fmt, ap);
	va_end(ap);
	utf8_trim(hint);
	memcpy(err->hint, hint, sizeof(hint));
}

enum err_action err_action(enum err_kind kind)
{
	return (unsigned)kind < ERR_KINDS_END ? kinds[kind].action : ACT_STOP_MAILBOX;
}

bool err_asks_to_wait(const struct err *err)
{
	enum err_action act = err_action(err->kind);
	return act == ACT_WAIT || (act == ACT_RETRY && err->retry_after_ms > 0);
}

const char *err_kind_name(enum err_kind kind)
{
	return (unsigned)kind < ERR_KINDS_END ? kinds[kind].name : "internal";
}

enum err_kind err_kind_parse(const char *name)
{
	for (unsigned k = 0; k < ERR_KINDS_END; k++) {
		if (strcmp(kinds[k].name, name) == 0)
			return (enum err_kind)k;
	}
	return ERR_INTERNAL;
}

const char *err_line(const struct err *err, char *out, size_t size)
{
	char line[sizeof(err->text) + sizeof(err->server) + sizeof(err->hint) + 64];
	const char *text = err->text[0] ? err->text : err_kind_name(err->kind);
	int n = snprintf(line, sizeof(line), "%s", text);
	if (err->server[0])
		n += snprintf(line + n, sizeof(line) - (size_t)n, ": the server said \"%s\"", err->server);
	if (err->hint[0])
		snprintf(line + n, sizeof(line) - (size_t)n, "; %s", err->hint);
	copy_printable(out, size, line, strlen(line));
	return out;
}
