#include "upload/http_body.h"

#define STAGE_RAW 12288 /* octets of a spool taken at a time; a multiple of three for base64 */
#define STAGE_ROOM (STAGE_RAW / 3 * 4)

void http_body_init(struct http_body *b, const struct request *r)
{
	*b = (struct http_body){.request = r, .err = ERR_INIT};
	if (!r->content_type)
		return;
	b->total = r->spool ? spool_size(r->spool) : r->body_len;
	if (r->spool && r->base64)
		b->total = (b->total + 2) / 3 * 4;
}

void http_body_done(struct http_body *b)
{
	free(b->stage);
	b->stage = NULL;
}

void http_body_rewind(struct http_body *b)
{
	b->handed = b->raw_read = 0;
	b->stage_len = b->stage_at = 0;
}

static size_t base64_fill(const unsigned char *in, size_t n, char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *o = out;
	for (; n >= 3; n -= 3, in += 3) {
		*o++ = digits[in[0] >> 2];
		*o++ = digits[(in[0] & 3) << 4 | in[1] >> 4];
		*o++ = digits[(in[1] & 15) << 2 | in[2] >> 6];
		*o++ = digits[in[2] & 63];
	}
	if (n > 0) {
		unsigned second = n > 1 ? in[1] : 0;
		*o++ = digits[in[0] >> 2];
		*o++ = digits[(in[0] & 3u) << 4 | second >> 4];
		*o++ = n > 1 ? digits[(second & 15) << 2] : '=';
		*o++ = '=';
	}
	return (size_t)(o - out);
}

/* Takes the next piece of the spool into the stage. */
static int stage_fill(struct http_body *b)
{
	unsigned char raw[STAGE_RAW];
	size_t have = 0;
	if (!b->stage && !(b->stage = malloc(STAGE_ROOM)))
		return err_set(&b->err, ERR_MEMORY, "no memory for a message on its way");
	while (have < sizeof(raw)) {
		size_t got;
		if (spool_read(b->request->spool, b->raw_read + have, raw + have, sizeof(raw) - have, &got, &b->err))
			return -1;
		if (got == 0)
			break;
		have += got;
	}
	b->raw_read += have;
	b->stage_at = 0;
	if (b->request->base64) {
		b->stage_len = base64_fill(raw, have, b->stage);
	} else {
		memcpy(b->stage, raw, have);
		b->stage_len = have;
	}
	return have > 0 ? 0 : err_set(&b->err, ERR_INTERNAL, "the message ends before its length");
}

bool http_body_read(struct http_body *b, char *to, size_t room, size_t *got)
{
	*got = 0;
	if (room > b->total - b->handed)
		room = (size_t)(b->total - b->handed);
	if (!b->request->spool && room > 0) {
		memcpy(to, (const char *)b->request->body + b->handed, room);
		*got = room;
	}
	while (*got < room) {
		if (b->stage_at == b->stage_len && stage_fill(b)) {
			b->failed = true;
			return false;
		}
		size_t n = b->stage_len - b->stage_at;
		if (n > room - *got)
			n = room - *got;
		memcpy(to + *got, b->stage + b->stage_at, n);
		b->stage_at += n;
		*got += n;
	}
	b->handed += *got;
	return true;
}
