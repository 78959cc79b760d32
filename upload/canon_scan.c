/* GMime holds every header of a message and what stands around the parts of a multipart in memory, makes an object for each part and compares each line that begins with "--" with all
   boundaries that are open. It caps only the depth. What a hostile message can make of that is bounded here, by counts that do not
   depend on time, so that source and destination come to the same verdict. */
#include "upload/canon_scan.h"

#include <openssl/evp.h>

#define MOST_BOUNDARIES 300
#define MOST_DELIMITERS 10000
#define MOST_HEADER ((uint64_t)1024 * 1024) /* octets of header-like lines without an empty line between */
#define MOST_MARGIN \
	((uint64_t)4 * 1024 * 1024) /* octets before the first and after the last delimiter: GMime keeps them */
#define NAME_LOOK 80                /* a header's name ends within so many octets */

struct scan_state {
	uint64_t at, first_delimiter, last_delimiter; /* offsets; first: 0 if there is none */
	uint64_t boundaries, delimiters, run, longest_run;
	size_t match; /* octets of "boundary" just seen */
	uint64_t line;
	bool dashes;   /* the line begins with '-' so far */
	bool headerly; /* it begins as a header or a continuation does */
	bool decided;
};

static void line_end(struct scan_state *s)
{
	if (s->line == 0 || !s->headerly)
		s->run = 0;
	s->line = 0;
	s->headerly = s->decided = s->dashes = false;
}

static void feed(struct scan_state *s, unsigned char c)
{
	static const char word[] = "boundary";
	s->at++;
	unsigned char low = c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
	s->match = low == (unsigned char)word[s->match] ? s->match + 1 : low == 'b';
	if (s->match == sizeof(word) - 1) {
		s->boundaries++;
		s->match = 0;
	}
	if (c == '\n') {
		line_end(s);
		return;
	}
	if (c == '\r')
		return;
	if (s->line == 0) {
		s->dashes = c == '-';
		s->decided = s->headerly = c == ' ' || c == '\t';
	} else if (s->line == 1 && s->dashes && c == '-') {
		s->delimiters++;
		s->last_delimiter = s->at;
		if (s->delimiters == 1)
			s->first_delimiter = s->at;
	}
	s->line++;
	if (!s->decided && (c == ':' || c <= ' ' || s->line > NAME_LOOK)) {
		s->decided = true;
		s->headerly = c == ':';
	}
	if (s->decided && !s->headerly)
		s->run = 0;
	else if (++s->run > s->longest_run)
		s->longest_run = s->run;
}

static bool is_tame(const struct scan_state *s)
{
	bool margins = (s->delimiters > 0 ? s->first_delimiter : s->at) > MOST_MARGIN ||
		       s->at - s->last_delimiter > MOST_MARGIN;
	return s->boundaries <= MOST_BOUNDARIES && s->delimiters <= MOST_DELIMITERS && s->longest_run <= MOST_HEADER &&
	       (s->boundaries == 0 || !margins);
}

int canon_scan(const struct spool *body, bool *tame, uint8_t sha256[32], struct err *err)
{
	struct scan_state s = {0};
	unsigned char chunk[16384];
	size_t got = 0;
	uint64_t at = 0;
	int rc = -1;
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	if (!digest || EVP_DigestInit_ex(digest, EVP_sha256(), NULL) != 1) {
		err_set(err, ERR_MEMORY, "no memory for a digest");
		goto out;
	}
	for (;;) {
		if (spool_read(body, at, chunk, sizeof(chunk), &got, err))
			goto out;
		if (got == 0)
			break;
		at += got;
		EVP_DigestUpdate(digest, chunk, got);
		for (size_t i = 0; i < got; i++)
			feed(&s, chunk[i]);
	}
	if (sha256)
		EVP_DigestFinal_ex(digest, sha256, NULL);
	*tame = is_tame(&s);
	rc = 0;
out:
	EVP_MD_CTX_free(digest);
	return rc;
}
