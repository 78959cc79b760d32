/* The digest of what a person sees. In: Subject, From, To, Cc, Date of the message and of messages inside it, the tree of parts, each
   part's type, file name and decoded content. Not in: Message-ID, Received, Bcc and X- fields, which a server may make, add or drop;
   boundaries, transfer encodings, charsets of text, folding, which it may choose anew. */
#include "upload/settle.h"

#include "engine/base/buf.h"
#include "upload/canon_scan.h"
#include "upload/canon_stream.h"
#include "upload/header.h"

#include <openssl/evp.h>

#define DEEPEST 100
#define MOST_PARTS 12000
#define FIELD_CAP ((size_t)4 * 1024 * 1024)

struct canon {
	EVP_MD_CTX *digest;
	size_t parts;
	bool beyond; /* a cap was passed: the structure cannot be used */
};

static void add(struct canon *c, char tag, const void *data, size_t n)
{
	unsigned char frame[9] = {(unsigned char)tag};
	for (int i = 0; i < 8; i++)
		frame[1 + i] = (unsigned char)((uint64_t)n >> (8 * i));
	EVP_DigestUpdate(c->digest, frame, sizeof(frame));
	EVP_DigestUpdate(c->digest, data, n);
}

enum field_kind { FIELD_TEXT, FIELD_ADDRESSES, FIELD_DATE };

static int add_field(struct canon *c, GMimeMessage *m, const char *name, enum field_kind kind, struct err *err)
{
	GMimeHeader *h = g_mime_header_list_get_header(g_mime_object_get_header_list(GMIME_OBJECT(m)), name);
	const char *raw = h ? g_mime_header_get_raw_value(h) : NULL;
	struct buf text;
	int rc = 0;
	buf_init(&text, FIELD_CAP);
	switch (kind) {
	case FIELD_TEXT:
		rc = header_add_text(&text, raw, 0, err);
		break;
	case FIELD_ADDRESSES:
		rc = header_add_addresses(&text, raw, 0, err);
		break;
	case FIELD_DATE:
		rc = header_add_date(&text, raw, err);
		break;
	}
	if (rc == 0)
		add(c, 'H', buf_str(&text), text.len);
	buf_done(&text);
	return rc;
}

/* Writes the decoded content into a sink, text in UTF-8 where its charset is known. */
static void digest_content(GMimePart *part, bool text, uint8_t out[32])
{
	GMimeDataWrapper *content = g_mime_part_get_content(part);
	GMimeStream *sink = canon_sink_new(text), *to = g_object_ref(sink);
	const char *charset = text ? g_mime_object_get_content_type_parameter(GMIME_OBJECT(part), "charset") : NULL;
	GMimeFilter *filter = charset ? g_mime_filter_charset_new(charset, "utf-8") : NULL;
	if (filter) {
		g_object_unref(to);
		to = g_mime_stream_filter_new(sink);
		g_mime_stream_filter_add(GMIME_STREAM_FILTER(to), filter);
		g_object_unref(filter);
	}
	if (content)
		g_mime_data_wrapper_write_to_stream(content, to);
	g_mime_stream_flush(to);
	canon_sink_finish(sink, out);
	g_object_unref(to);
	g_object_unref(sink);
}

static int add_part(struct canon *c, GMimePart *part, struct err *err)
{
	GMimeContentType *type = g_mime_object_get_content_type(GMIME_OBJECT(part));
	bool text = g_mime_content_type_is_type(type, "text", "*");
	const char *name = g_mime_part_get_filename(part);
	char *mime = g_mime_content_type_get_mime_type(type), *lower = g_ascii_strdown(mime ? mime : "", -1);
	uint8_t sha[32];
	struct buf file;
	buf_init(&file, FIELD_CAP);
	int rc = header_add_text(&file, name, 0, err);
	if (rc == 0) {
		digest_content(part, text, sha);
		add(c, 'P', lower, strlen(lower));
		add(c, 'N', buf_str(&file), file.len);
		add(c, 'C', sha, sizeof(sha));
	}
	buf_done(&file);
	g_free(lower);
	g_free(mime);
	return rc;
}

static int add_message(struct canon *c, GMimeMessage *m, int depth, struct err *err);

static int add_object(struct canon *c, GMimeObject *o, int depth, struct err *err)
{
	if (depth > DEEPEST || ++c->parts > MOST_PARTS) {
		c->beyond = true;
		return 0;
	}
	if (GMIME_IS_MULTIPART(o)) {
		GMimeMultipart *m = GMIME_MULTIPART(o);
		int n = g_mime_multipart_get_count(m);
		if (n == 1)
			return add_object(c, g_mime_multipart_get_part(m, 0), depth + 1, err);
		char *sub =
			g_ascii_strdown(g_mime_content_type_get_media_subtype(g_mime_object_get_content_type(o)), -1);
		add(c, '(', sub, strlen(sub));
		g_free(sub);
		for (int i = 0; i < n && !c->beyond; i++) {
			if (add_object(c, g_mime_multipart_get_part(m, i), depth + 1, err))
				return -1;
		}
		const char *prologue = n == 0 ? g_mime_multipart_get_prologue(m) : NULL;
		if (prologue) /* no delimiter was found: all the content is here */
			add(c, 'T', prologue, strlen(prologue));
		add(c, ')', "", 0);
		return 0;
	}
	if (GMIME_IS_MESSAGE_PART(o)) {
		GMimeMessage *inner = g_mime_message_part_get_message(GMIME_MESSAGE_PART(o));
		add(c, 'M', "", 0);
		return inner ? add_message(c, inner, depth + 1, err) : 0;
	}
	return GMIME_IS_PART(o) ? add_part(c, GMIME_PART(o), err) : 0;
}

static int add_message(struct canon *c, GMimeMessage *m, int depth, struct err *err)
{
	if (add_field(c, m, "Subject", FIELD_TEXT, err) || add_field(c, m, "From", FIELD_ADDRESSES, err) ||
		add_field(c, m, "To", FIELD_ADDRESSES, err) || add_field(c, m, "Cc", FIELD_ADDRESSES, err) ||
		add_field(c, m, "Date", FIELD_DATE, err))
		return -1;
	GMimeObject *body = g_mime_message_get_mime_part(m);
	return body ? add_object(c, body, depth, err) : 0;
}

/* 0 and c->beyond: the message cannot be read as MIME. */
static int digest_mime(struct canon *c, const struct spool *body, struct err *err)
{
	struct err failed = ERR_INIT;
	GMimeStream *stream = canon_source_new(body, &failed);
	GMimeParser *parser = g_mime_parser_new_with_stream(stream);
	g_mime_parser_set_persist_stream(parser, TRUE); /* content stays in the spool */
	GMimeMessage *m = g_mime_parser_construct_message(parser, NULL);
	int rc = 0;
	if (m)
		rc = add_message(c, m, 0, err);
	else
		c->beyond = true;
	if (rc == 0 && failed.kind != ERR_NONE) {
		*err = failed;
		rc = -1;
	}
	if (m)
		g_object_unref(m);
	g_object_unref(parser);
	g_object_unref(stream);
	return rc;
}

int canon_digest(const struct spool *body, uint8_t out[CANON_BYTES], struct err *err)
{
	uint8_t raw[32];
	bool tame;
	if (canon_scan(body, &tame, raw, err))
		return -1;
	struct canon c = {.digest = EVP_MD_CTX_new(), .beyond = !tame};
	int rc = 0;
	if (!c.digest || EVP_DigestInit_ex(c.digest, EVP_sha256(), NULL) != 1)
		rc = err_set(err, ERR_MEMORY, "no memory for a digest");
	else if (tame)
		rc = digest_mime(&c, body, err);
	if (rc == 0 && c.beyond) { /* only itself, octet by octet, is the same message */
		EVP_DigestInit_ex(c.digest, EVP_sha256(), NULL);
		add(&c, 'R', raw, sizeof(raw));
	}
	if (rc == 0 && EVP_DigestFinal_ex(c.digest, out, NULL) != 1)
		rc = err_set(err, ERR_INTERNAL, "a digest cannot be computed");
	EVP_MD_CTX_free(c.digest);
	return rc;
}
