#include "upload/canon_stream.h"

#include <openssl/evp.h>

/* --- source: a window [bound_start, bound_end) of a spool --- */

/* GObject's type macro wants these names */
typedef struct _CanonSource CanonSource;
typedef struct {
	GMimeStreamClass parent_class;
} CanonSourceClass;
struct _CanonSource {
	GMimeStream parent;
	const struct spool *spool; /* borrowed */
	struct err *failed;        /* borrowed */
};
static GType canon_source_get_type(void);
G_DEFINE_TYPE(CanonSource, canon_source, GMIME_TYPE_STREAM)

static CanonSource *canon_source_of(gpointer s)
{
	return G_TYPE_CHECK_INSTANCE_CAST(s, canon_source_get_type(), CanonSource);
}

static gint64 source_end(GMimeStream *s)
{
	gint64 size = (gint64)spool_size(canon_source_of(s)->spool);
	return s->bound_end >= 0 && s->bound_end < size ? s->bound_end : size;
}

static ssize_t source_read(GMimeStream *s, char *out, size_t n)
{
	CanonSource *c = canon_source_of(s);
	gint64 end = source_end(s);
	size_t got = 0;
	if (s->position >= end)
		return s->bound_end >= 0 ? -1 : 0;
	if ((gint64)n > end - s->position)
		n = (size_t)(end - s->position);
	if (spool_read(c->spool, (uint64_t)s->position, out, n, &got, c->failed))
		return -1;
	s->position += (gint64)got;
	return (ssize_t)got;
}

static ssize_t source_write(GMimeStream *s, const char *data, size_t n)
{
	(void)s, (void)data, (void)n;
	return -1;
}

static int stream_nothing(GMimeStream *s)
{
	(void)s;
	return 0;
}

static gboolean source_eos(GMimeStream *s)
{
	return s->position >= source_end(s);
}

static int source_reset(GMimeStream *s)
{
	s->position = s->bound_start;
	return 0;
}

static gint64 source_seek(GMimeStream *s, gint64 offset, GMimeSeekWhence whence)
{
	gint64 base = whence == GMIME_STREAM_SEEK_SET   ? 0
		      : whence == GMIME_STREAM_SEEK_CUR ? s->position
							: source_end(s);
	gint64 to;
	if (__builtin_add_overflow(base, offset, &to) || to < s->bound_start || to > source_end(s))
		return -1;
	s->position = to;
	return to;
}

static gint64 source_tell(GMimeStream *s)
{
	return s->position;
}

static gint64 source_length(GMimeStream *s)
{
	return source_end(s) - s->bound_start;
}

static GMimeStream *source_make(const struct spool *spool, struct err *failed, gint64 start, gint64 end)
{
	CanonSource *c = g_object_new(canon_source_get_type(), NULL);
	g_mime_stream_construct(GMIME_STREAM(c), start, end);
	c->spool = spool;
	c->failed = failed;
	return GMIME_STREAM(c);
}

static GMimeStream *source_substream(GMimeStream *s, gint64 start, gint64 end)
{
	return source_make(canon_source_of(s)->spool, canon_source_of(s)->failed, start, end);
}

static void canon_source_init(CanonSource *c)
{
	c->spool = NULL;
}

static void canon_source_class_init(CanonSourceClass *class)
{
	GMimeStreamClass *k = GMIME_STREAM_CLASS(class);
	k->read = source_read;
	k->write = source_write;
	k->flush = k->close = stream_nothing;
	k->eos = source_eos;
	k->reset = source_reset;
	k->seek = source_seek;
	k->tell = source_tell;
	k->length = source_length;
	k->substream = source_substream;
}

GMimeStream *canon_source_new(const struct spool *spool, struct err *failed)
{
	return source_make(spool, failed, 0, -1);
}

/* --- sink --- */

/* GObject's type macro wants these names */
typedef struct _CanonSink CanonSink;
typedef struct {
	GMimeStreamClass parent_class;
} CanonSinkClass;
struct _CanonSink {
	GMimeStream parent;
	EVP_MD_CTX *digest; /* owned; NULL once finished */
	bool text, after_cr;
	uint64_t blanks, lines; /* held back: dropped unless something visible follows */
	size_t n;
	unsigned char room[4096];
};
static GType canon_sink_get_type(void);
G_DEFINE_TYPE(CanonSink, canon_sink, GMIME_TYPE_STREAM)

static CanonSink *canon_sink_of(gpointer s)
{
	return G_TYPE_CHECK_INSTANCE_CAST(s, canon_sink_get_type(), CanonSink);
}

static void sink_put(CanonSink *c, unsigned char octet)
{
	if (c->n == sizeof(c->room)) {
		EVP_DigestUpdate(c->digest, c->room, c->n);
		c->n = 0;
	}
	c->room[c->n++] = octet;
}

static void sink_text(CanonSink *c, const char *data, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char o = (unsigned char)data[i];
		bool pair = c->after_cr && o == '\n';
		c->after_cr = o == '\r';
		if (pair)
			continue;
		if (o == '\r' || o == '\n') {
			c->lines++;
			c->blanks = 0;
		} else if (o == ' ' || o == '\t') {
			c->blanks++; /* a tab counts as a blank: only the number is kept */
		} else {
			for (; c->lines > 0; c->lines--)
				sink_put(c, '\n');
			for (; c->blanks > 0; c->blanks--)
				sink_put(c, ' ');
			sink_put(c, o);
		}
	}
}

static ssize_t sink_write(GMimeStream *s, const char *data, size_t n)
{
	CanonSink *c = canon_sink_of(s);
	if (!c->digest)
		return -1;
	if (c->text)
		sink_text(c, data, n);
	else
		EVP_DigestUpdate(c->digest, data, n);
	s->position += (gint64)n;
	return (ssize_t)n;
}

static ssize_t sink_read(GMimeStream *s, char *out, size_t n)
{
	(void)s, (void)out, (void)n;
	return -1;
}

static gboolean sink_eos(GMimeStream *s)
{
	(void)s;
	return TRUE;
}

static gint64 sink_seek(GMimeStream *s, gint64 offset, GMimeSeekWhence whence)
{
	(void)s, (void)offset, (void)whence;
	return -1;
}

static gint64 sink_unknown(GMimeStream *s)
{
	(void)s;
	return -1;
}

static GMimeStream *sink_substream(GMimeStream *s, gint64 start, gint64 end)
{
	(void)s, (void)start, (void)end;
	return NULL;
}

static void sink_finalize(GObject *o)
{
	EVP_MD_CTX_free(canon_sink_of(o)->digest);
	G_OBJECT_CLASS(canon_sink_parent_class)->finalize(o);
}

static void canon_sink_init(CanonSink *c)
{
	c->digest = EVP_MD_CTX_new();
}

static void canon_sink_class_init(CanonSinkClass *class)
{
	GMimeStreamClass *k = GMIME_STREAM_CLASS(class);
	G_OBJECT_CLASS(class)->finalize = sink_finalize;
	k->read = sink_read;
	k->write = sink_write;
	k->flush = k->close = k->reset = stream_nothing;
	k->eos = sink_eos;
	k->seek = sink_seek;
	k->tell = k->length = sink_unknown;
	k->substream = sink_substream;
}

GMimeStream *canon_sink_new(bool text)
{
	CanonSink *c = g_object_new(canon_sink_get_type(), NULL);
	g_mime_stream_construct(GMIME_STREAM(c), 0, -1);
	if (!c->digest || EVP_DigestInit_ex(c->digest, EVP_sha256(), NULL) != 1)
		g_error("no memory for a digest");
	c->text = text;
	return GMIME_STREAM(c);
}

void canon_sink_finish(GMimeStream *s, uint8_t out[32])
{
	CanonSink *c = canon_sink_of(s);
	EVP_DigestUpdate(c->digest, c->room, c->n);
	EVP_DigestFinal_ex(c->digest, out, NULL);
	EVP_MD_CTX_free(c->digest);
	c->digest = NULL;
}
