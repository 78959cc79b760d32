/* The line and literal filter alone. What comes out must not depend on how the wire cut it, and must keep the promises that libetpan
   relies on: text lines end with CR LF and hold no control characters. First octet: how the input is cut. */
#include "imap/filter.h"

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
	return 0;
}
