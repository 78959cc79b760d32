/* The key of a message in an index: what stays of the four header values when a server folds, encodes and cuts them its own way. */
#include "upload/settle.h"

#include "engine/base/buf.h"
#include "upload/header.h"

#include <gmime/gmime.h>
#include <openssl/evp.h>
#include <pthread.h>

/* A fingerprint holds the first thousand octets of a raw value. Encoded, sixty characters always fit there, whatever the alphabet; and
   Exchange cuts a subject at 255 characters. */
#define SUBJECT_CHARS 60
#define KEY_TEXT_CAP ((size_t)16 * 1024)

/* Fetched once for the process: a fetch costs more than the digest of so few octets. NULL: by name, each time. */
static pthread_once_t fetched = PTHREAD_ONCE_INIT;
static EVP_MD *sha256;

static void fetch_sha256(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

void print_key(const struct fingerprint *p, uint8_t out[PRINT_KEY_BYTES])
{
	struct buf text;
	struct err ignored = ERR_INIT;
	unsigned char digest[EVP_MAX_MD_SIZE];
	buf_init(&text, KEY_TEXT_CAP);
	/* the cap is beyond what four cut values decode to; were it reached, the key would only be shorter */
	bool fine = header_add_id(&text, p->message_id, &ignored) == 0 && buf_add_char(&text, '\n', &ignored) == 0 &&
		    header_add_date(&text, p->date, &ignored) == 0 && buf_add_char(&text, '\n', &ignored) == 0 &&
		    header_add_addresses(&text, p->from, 1, &ignored) == 0 &&
		    buf_add_char(&text, '\n', &ignored) == 0 &&
		    header_add_text(&text, p->subject, SUBJECT_CHARS, &ignored) == 0;
	(void)fine;
	pthread_once(&fetched, fetch_sha256);
	EVP_Digest(buf_str(&text), text.len, digest, NULL, sha256 ? sha256 : EVP_sha256(), NULL);
	memcpy(out, digest, PRINT_KEY_BYTES);
	buf_done(&text);
}

int print_date(const struct fingerprint *p, struct mail_date *out)
{
	GDateTime *t = p->date && p->date[0] ? g_mime_utils_header_decode_date(p->date) : NULL;
	if (!t)
		return -1;
	*out = (struct mail_date){.at = g_date_time_to_unix(t),
		.zone_min = (int)(g_date_time_get_utc_offset(t) / G_TIME_SPAN_MINUTE),
		.known = true};
	g_date_time_unref(t);
	return 0;
}

const char *print_show(const char *raw, char *out, size_t size)
{
	char *decoded = raw && raw[0] ? g_mime_utils_header_decode_text(NULL, raw) : NULL;
	char *valid = g_utf8_make_valid(decoded ? decoded : "", -1);
	size_t n = 0;
	for (const char *p = valid; *p;) {
		size_t len = (size_t)g_utf8_skip[(unsigned char)*p];
		if (n + len >= size)
			break;
		bool control = (unsigned char)*p < 32 || *p == 127;
		memcpy(out + n, control ? " " : p, len);
		n += len;
		p += len;
	}
	out[n] = 0;
	g_free(valid);
	g_free(decoded);
	return out;
}
