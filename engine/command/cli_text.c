/* Times, columns and amounts as a person reads them on a terminal. */
#define _GNU_SOURCE
#include "engine/command/cli.h"

#include "engine/base/clock.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>

const char *cli_time(int64_t wall_s, char *out, size_t size)
{
	if (wall_s)
		return clock_format(wall_s, out, size);
	snprintf(out, size, "never");
	return out;
}

const char *cli_column(const char *text, int columns, char *out, size_t size)
{
	size_t n = 0;
	int used = 0;
	mbstate_t state = {0};
	while (*text) {
		wchar_t c;
		size_t len = mbrtowc(&c, text, MB_CUR_MAX, &state);
		int width = len == (size_t)-1 || len == (size_t)-2 || !len ? -1 : wcwidth(c);
		if (width < 0) { /* not text of this locale, or a control */
			len = 1;
			width = 1;
			state = (mbstate_t){0};
		}
		if (used + width > columns || n + len + (size_t)columns >= size)
			break;
		memcpy(out + n, width == 1 && len == 1 && (unsigned char)*text < 32 ? "?" : text, len);
		n += len;
		used += width;
		text += len;
	}
	while (used++ < columns && n + 1 < size)
		out[n++] = ' ';
	out[n] = 0;
	return out;
}

const char *cli_pad(const char *text, int columns, char *out, size_t size)
{
	return strncmp(cli_column(text, columns, out, size), text, strlen(text)) ? text : out;
}

const char *cli_word(const char *name, char *out, size_t size)
{
	snprintf(out, size, strpbrk(name, " &;()#!") ? "\"%s\"" : "%s", name);
	return out;
}

const char *cli_bytes(uint64_t n, char *out, size_t size)
{
	static const char *const unit[] = {"B", "kB", "MB", "GB", "TB"};
	double v = (double)n;
	size_t u = 0;
	while (v >= 1000 && u < 4) {
		v /= 1000;
		u++;
	}
	snprintf(out, size, u ? "%.1f %s" : "%.0f %s", v, unit[u]);
	return out;
}
