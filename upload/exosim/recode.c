#include "upload/exosim/recode.h"

#include "upload/exosim/jwt.h"

#include <assert.h>
#include <gmime/gmime.h>

void recode_init(void)
{
	g_mime_init();
}

static bool is_sealed(GMimeObject *o)
{
	return GMIME_IS_MULTIPART_SIGNED(o) || GMIME_IS_MULTIPART_ENCRYPTED(o) || GMIME_IS_APPLICATION_PKCS7_MIME(o);
}

static void change_part(GMimeObject *o)
{
	if (is_sealed(o))
		return;
	if (GMIME_IS_MULTIPART(o)) {
		GMimeMultipart *m = GMIME_MULTIPART(o);

		for (int i = 0; i < g_mime_multipart_get_count(m); i++)
			change_part(g_mime_multipart_get_part(m, i));
	} else if (GMIME_IS_TEXT_PART(o)) {
		GMimePart *p = GMIME_PART(o);
		GMimeContentEncoding now = g_mime_part_get_content_encoding(p);

		if (g_mime_part_get_content(p))
			g_mime_part_set_content_encoding(p, now == GMIME_CONTENT_ENCODING_BASE64
								    ? GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE
								    : GMIME_CONTENT_ENCODING_BASE64);
	}
}

static void copy(const char *data, size_t n, char **out, size_t *out_n)
{
	*out = malloc(n + 1);
	assert(*out);
	memcpy(*out, data, n);
	*out_n = n;
}

bool recode_mime(const char *data, size_t n, char **out, size_t *out_n)
{
	GMimeStream *in = g_mime_stream_mem_new_with_buffer(data, n), *to = g_mime_stream_mem_new();
	GMimeParser *parser = g_mime_parser_new_with_stream(in);
	GMimeMessage *m = g_mime_parser_construct_message(parser, NULL);
	bool ok = m && g_mime_message_get_mime_part(m);

	if (ok) {
		GMimeFormatOptions *how = g_mime_format_options_new();
		const char *subject = g_mime_message_get_subject(m);
		GByteArray *bytes;

		if (subject && !is_sealed(g_mime_message_get_mime_part(m))) {
			char *again = g_strdup(subject);

			g_mime_message_set_subject(m, again, "utf-8");
			g_free(again);
		}
		change_part(g_mime_message_get_mime_part(m));
		g_mime_format_options_set_newline_format(how, GMIME_NEWLINE_FORMAT_DOS);
		g_mime_object_write_to_stream(GMIME_OBJECT(m), how, to);
		bytes = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(to));
		copy((const char *)bytes->data, bytes->len, out, out_n);
		g_mime_format_options_free(how);
	} else {
		copy(data, n, out, out_n);
	}
	if (m)
		g_object_unref(m);
	g_object_unref(parser);
	g_object_unref(in);
	g_object_unref(to);
	return ok;
}

void recode_add_message_id(const char *data, size_t n, char **out, size_t *out_n)
{
	char guid[40], line[100];
	int len;

	jwt_guid(guid, sizeof(guid));
	len = snprintf(line, sizeof(line), "Message-ID: <%s@exosim.invalid>\r\n", guid);
	*out = malloc((size_t)len + n + 1);
	assert(*out);
	memcpy(*out, line, (size_t)len);
	memcpy(*out + len, data, n);
	*out_n = (size_t)len + n;
}
