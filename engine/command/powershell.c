#include "engine/command/powershell.h"

#include "engine/base/utf8.h"

#include <string.h>

static int fail(const char *what, struct err *err)
{
	err_set(err, ERR_USAGE, "%s holds a control character or is no text: it is not put into a script", what);
	err_hint(err, "correct it where it came from: the CSV of the batch, or the target's settings");
	return -1;
}

/* One character: inside the quotation marks, or between two strings. */
static int add_character(struct buf *out, uint32_t c, struct err *err)
{
	char ascii = (char)c;
	if (c == '\'')
		return buf_add_str(out, "''", err);
	if (c < 0x7f)
		return buf_add(out, &ascii, 1, err);
	return c < 0x10000 ? buf_printf(out, err, "' + [char]0x%x + '", (unsigned)c)
			   : buf_printf(out, err, "' + [char]::ConvertFromUtf32(0x%x) + '", (unsigned)c);
}

int powershell_add_string(struct buf *out, const char *what, const char *text, struct err *err)
{
	size_t n = strlen(text);
	uint32_t c;
	bool plain = true;
	for (size_t i = 0; i < n;) {
		size_t length = utf8_decode(text + i, n - i, &c);
		if (length == 0 || c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029)
			return fail(what, err);
		plain &= c < 0x7f;
		i += length;
	}
	if (buf_add_str(out, plain ? "'" : "('", err))
		return -1;
	for (size_t i = 0; i < n; i += utf8_decode(text + i, n - i, &c)) {
		utf8_decode(text + i, n - i, &c);
		if (add_character(out, c, err))
			return -1;
	}
	return buf_add_str(out, plain ? "'" : "')", err);
}

int powershell_add_comment(struct buf *out, const char *text, struct err *err)
{
	bool first = true;
	for (const char *p = text; *p; p++) {
		char c = *p == '\n' || (*p >= 0x20 && *p < 0x7f) ? *p : '?';
		if (first && buf_add_str(out, "# ", err))
			return -1;
		first = c == '\n';
		if (buf_add_char(out, c, err))
			return -1;
	}
	return first ? 0 : buf_add_char(out, '\n', err);
}
