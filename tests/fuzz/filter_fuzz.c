/* The line and literal filter alone. What comes out must not depend on how the wire cut it, and must keep the promises that libetpan
   relies on: text lines end with CR LF and hold no control characters, quotes are closed, and "{n}" stands outside of them only where a
   literal follows. First octet: how the input is cut. */
#include "imap/filter.h"

#include <ctype.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OUT_MAX ((size_t)1 << 20)

struct run {
	char *out;
	size_t n;
	bool broke;
};

static void collect(struct run *run, const uint8_t *data, size_t size, size_t step, size_t read)
{
	struct filter *f = filter_new();
	char piece[8192];
	size_t at = 0;

	run->n = 0;
	run->broke = false;
	filter_begin(f, true);
	for (;;) {
		ssize_t r = filter_give(f, piece, read);
		if (r < 0) {
			run->broke = true;
			break;
		}
		if (r > 0) {
			if ((size_t)r > read)
				abort();
			if (run->n + (size_t)r > OUT_MAX)
				break;
			memcpy(run->out + run->n, piece, (size_t)r);
			run->n += (size_t)r;
			continue;
		}
		if (at == size)
			break;
		uint64_t direct = filter_direct(f);
		size_t n = size - at < step ? size - at : step, room;
		if (direct) {
			n = n < direct ? n : (size_t)direct;
			if (run->n + n > OUT_MAX)
				break;
			memcpy(run->out + run->n, data + at, n);
			run->n += n;
			filter_skipped(f, n);
			at += n;
			continue;
		}
		struct repair_status words;
		if (at % 64 == 0)
			filter_peek_words(f, &words);
		char *input = filter_room(f, &room, true);
		if (!room)
			abort();
		n = n < room ? n : room;
		memcpy(input, data + at, n);
		filter_filled(f, n);
		at += n;
	}
	if (run->broke != (filter_error(f) != NULL))
		abort();
	filter_free(&f);
	if (f)
		abort();
}

/* "{n}" as libetpan reads it; its end, NULL: none. */
static const char *announcement(const char *p, const char *end, uint64_t *size)
{
	while (++p < end && strchr(" \t-", *p))
		;
	const char *digits = p;
	for (*size = 0; p < end && isdigit((unsigned char)*p); p++)
		*size = *size > OUT_MAX ? *size : *size * 10 + (uint64_t)(*p - '0');
	if (p == digits)
		return NULL;
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	return p < end && *p == '}' ? p + 1 : NULL;
}

/* Octets of the literal that follows the line; -1: none does. */
static int64_t check_line(const char *line, const char *end, bool quotes)
{
	uint64_t size;

	for (const char *p = line; p < end; p++) {
		if ((unsigned char)*p < 32 && *p != '\t')
			abort();
		if (*p == '"' && quotes) {
			for (p++; p < end && *p != '"'; p++)
				p += *p == '\\';
			if (p >= end)
				abort();
		}
		const char *behind = *p == '{' ? announcement(p, end, &size) : NULL;
		if (behind && behind == end && quotes)
			return (int64_t)size;
		if (behind)
			abort();
	}
	return -1;
}

static void check_output(const char *p, const char *end)
{
	bool continued = false, status = false;

	while (p < end) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		if (!newline)
			return;
		if (newline == p || newline[-1] != '\r')
			abort();
		if (!continued)
			status = repair_classify(p, (size_t)(newline - 1 - p)) == REPAIR_STATUS;
		int64_t literal = check_line(p, newline - 1, !status);
		if (literal > end - newline - 1)
			return;
		continued = literal >= 0;
		p = newline + 1 + (continued ? literal : 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char a[OUT_MAX], b[OUT_MAX];
	struct run whole = {.out = a}, cut = {.out = b};

	if (size < 1)
		return 0;
	collect(&whole, data + 1, size - 1, size, 8192);
	collect(&cut, data + 1, size - 1, (size_t)(data[0] & 15) + 1 + size / 256,
		(size_t)(data[0] >> 4) + 1 + size / 256);
	if (whole.n != cut.n || whole.broke != cut.broke || memcmp(a, b, whole.n))
		abort();
	check_output(a, a + whole.n);
	return 0;
}
