#include "upload/probe_mail.h"

#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "imap/scan.h"
#include "upload/canon_scan.h"
#include "upload/canon_stream.h"
#include "upload/header.h"
#include "upload/http.h"
#include "upload/settle.h"

#include <inttypes.h>
#include <strings.h>

#define TEN_YEARS_S ((int64_t)3652 * 24 * 3600)
/* All four differ, so that what is found tells where it comes from. */
#define RECEIVED_BEFORE_S 600
#define RELAYED_BEFORE_S 1800
#define WRITTEN_BEFORE_S 3600
#define MOST_BACK_BYTES ((size_t)1024 * 1024)
#define DOMAIN_OURS "@probe.nightferry.invalid"
#define SIGNED_BOUNDARY "nightferry-signed-part"
#define ATTACHMENT_BYTES 3000

/* --- making --- */

static const char *mail_time(int64_t at, char out[48])
{
	static const char *const months[] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	static const char *const days[] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
	struct clock_fields d;
	clock_split(at, &d);
	snprintf(out, 48, "%s, %02d %s %" PRId64 " %02d:%02d:%02d +0000", days[(at / 86400 % 7 + 7) % 7], d.day,
		months[d.month - 1], d.year, d.hour, d.minute, d.second);
	return out;
}

/* The fields that every probe has. */
static int add_head(struct buf *b, const char *what, int64_t at, struct err *err)
{
	char guid[HTTP_GUID], written[48], relayed[48], received[48];
	http_guid(guid);
	return buf_printf(b, err,
		"Return-Path: <bounces@probe.nightferry.invalid>\r\n"
		"Received: from relay.nightferry.invalid (relay.nightferry.invalid [192.0.2.1])\r\n"
		"\tby mx.nightferry.invalid with ESMTPS id 0123456789abcdef;\r\n\t%s\r\n"
		"Received: from client (unknown [192.0.2.2]) by relay.nightferry.invalid; %s\r\n"
		"Date: %s\r\nFrom: =?utf-8?q?N=C3=A4chtliche_F=C3=A4hre?= <sender@probe.nightferry.invalid>\r\n"
		"To: \"Probe, the\" <probe@probe.nightferry.invalid>\r\nSubject: nightferry probe: %s %.8s\r\n"
		"Message-ID: <%s" DOMAIN_OURS ">\r\nMIME-Version: 1.0\r\n",
		mail_time(at - RECEIVED_BEFORE_S, received), mail_time(at - RELAYED_BEFORE_S, relayed),
		mail_time(at - WRITTEN_BEFORE_S, written), what, guid, guid);
}

static int add_odd_headers(struct buf *b, struct err *err)
{
	if (buf_add_str(b,
		    "Cc: copy@probe.nightferry.invalid\r\nReply-To: answers@probe.nightferry.invalid\r\n"
		    "Sender: secretary@probe.nightferry.invalid\r\nIn-Reply-To: <first@probe.nightferry.invalid>\r\n"
		    "References: <first@probe.nightferry.invalid>\r\n <second.with.a.long.name.0123456789@probe."
		    "nightferry.invalid>\r\n <third@probe.nightferry.invalid>\r\n"
		    "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=nightferry.invalid; s=probe;\r\n"
		    "\th=from:to:subject:date; bh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=;\r\n\tb=AAAA\r\n"
		    "List-Id: Night ferries <list.nightferry.invalid>\r\n"
		    "List-Unsubscribe: <https://nightferry.invalid/?a=1&b=%20>\r\n"
		    "Keywords: ferry, night\r\nX-Priority: 1 (Highest)\r\nx-odd-CASE: kept as it is\r\n"
		    "X-Encoded: =?iso-8859-1?q?Gr=FC=DFe?= and =?utf-8?b?w4TDlsOc?=\r\n",
		    err))
		return -1;
	for (int i = 1; i <= 7; i++)
		if (buf_printf(b, err, "X-Nightferry-Probe-%d: value %d\r\n", i, i))
			return -1;
	return 0;
}

/* Octet i of the attachment: every value, no pattern that an encoder could trip over unseen. */
static unsigned char attached(size_t i)
{
	return (unsigned char)(i * 167 + (i >> 8) * 13 + 11);
}

static int add_base64(struct buf *b, size_t n, struct err *err)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t i = 0; i < n; i += 3) {
		unsigned v = (unsigned)attached(i) << 16 | (unsigned)attached(i + 1) << 8 | attached(i + 2);
		char four[4] = {digits[v >> 18], digits[v >> 12 & 63], digits[v >> 6 & 63], digits[v & 63]};
		if (buf_add(b, four, 4, err) || ((i + 3) % 57 == 0 && buf_add_str(b, "\r\n", err)))
			return -1;
	}
	return buf_add_str(b, "\r\n", err);
}
_Static_assert(ATTACHMENT_BYTES % 3 == 0, "no padding");

static int add_mixed(struct buf *b, struct err *err)
{
	return add_odd_headers(b, err) ||
			       buf_add_str(b,
				       "Content-Type: multipart/mixed; boundary=\"nightferry-mixed\"\r\n\r\n"
				       "Text before the first part.\r\n--nightferry-mixed\r\n"
				       "Content-Type: text/plain; charset=utf-8; format=flowed\r\n"
				       "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
				       "nightferry made this message to see what becomes of it, and removes it at "
				       "once.\r\n"
				       "From the line start, a lone dot:\r\n.\r\n..\r\nGr=C3=BC=C3=9Fe=20\r\n"
				       "--nightferry-mixed\r\nContent-Type: application/octet-stream; name=\"every "
				       "octet.bin\"\r\n"
				       "Content-Disposition: attachment; filename*=utf-8''jedes%20%C3%96ktett.bin\r\n"
				       "Content-Transfer-Encoding: base64\r\n\r\n",
				       err) ||
			       add_base64(b, ATTACHMENT_BYTES, err) ||
			       buf_add_str(b, "--nightferry-mixed--\r\nText after the last part.\r\n", err)
		       ? -1
		       : 0;
}

static int add_signed(struct buf *b, struct err *err)
{
	return buf_add_str(b,
		       "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256;\r\n"
		       "\tboundary=\"" SIGNED_BOUNDARY "\"\r\n\r\nThis is a signed message.\r\n--" SIGNED_BOUNDARY
		       "\r\n"
		       "Content-Type:   text/plain;\r\n\tcharset=\"us-ascii\"\r\nContent-Transfer-Encoding: "
		       "7bit\r\n\r\n"
		       "What is signed is these octets, with two blanks at the end of this line:  \r\n"
		       "\tand a tab at the start.\r\n\r\n--" SIGNED_BOUNDARY "\r\n"
		       "Content-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\n"
		       "Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; "
		       "filename=smime.p7s\r\n\r\n",
		       err) || add_base64(b, 600, err) ||
			       buf_add_str(b, "--" SIGNED_BOUNDARY "--\r\n", err)
		       ? -1
		       : 0;
}

/* A message whose octets follow. */
static int begin(const char *spool_dir, uint64_t bytes, int64_t now, struct mail **out, struct err *err)
{
	struct mail *m = *out = mail_new(1);
	if (!m)
		return err_set(err, ERR_MEMORY, "no memory for a probe message");
	m->received = (struct mail_date){.at = now - TEN_YEARS_S, .zone_min = 0, .known = true};
	m->announced = bytes;
	return spool_new(&m->body, spool_dir, bytes, err);
}

static int give(struct mail *m, struct scan *scan, const void *data, size_t n, struct err *err)
{
	scan_feed(scan, data, n);
	return spool_write(m->body, data, n, err);
}

int probe_mail_make(enum probe_kind kind, const char *spool_dir, int64_t now, struct mail **out, struct err *err)
{
	bool mixed = kind == PROBE_MIXED;
	struct buf text;
	struct scan *scan = scan_new();
	int rc = -1;
	*out = NULL;
	buf_init(&text, 64 * 1024);
	if (!scan)
		err_set(err, ERR_MEMORY, "no memory for a probe message");
	else if (add_head(&text, mixed ? "message" : "signed", now - TEN_YEARS_S, err) == 0 &&
		 (mixed ? add_mixed(&text, err) : add_signed(&text, err)) == 0 &&
		 begin(spool_dir, text.len, now, out, err) == 0 && give(*out, scan, text.data, text.len, err) == 0)
		rc = scan_finish(scan, &(*out)->print, &(*out)->defects, err);
	if (rc == 0 && mixed) {
		(*out)->flags = MAIL_SEEN | MAIL_FLAGGED;
		(*out)->keywords = strdup(PROBE_KEYWORD);
	}
	scan_free(&scan);
	buf_done(&text);
	if (rc)
		mail_free(out);
	return rc;
}

/* Lines of 76 octets and their end, as an attachment has them. */
static int fill(struct mail *m, struct scan *scan, uint64_t bytes, struct err *err)
{
	char lines[78 * 512];
	for (size_t i = 0; i < sizeof(lines); i++)
		lines[i] = (char)('A' + (i * 7 + i / 78) % 26);
	for (size_t i = 76; i < sizeof(lines); i += 78)
		memcpy(lines + i, "\r\n", 2);
	while (bytes > sizeof(lines)) {
		if (give(m, scan, lines, sizeof(lines) - 78, err))
			return -1;
		bytes -= sizeof(lines) - 78;
	}
	memcpy(lines + bytes - 2, "\r\n", 2);
	if (lines[bytes - 3] == '\r') /* "\r\r\n" is no line end */
		lines[bytes - 3] = 'A';
	return give(m, scan, lines, (size_t)bytes, err);
}

int probe_mail_make_size(uint64_t bytes, const char *spool_dir, int64_t now, struct mail **out, struct err *err)
{
	struct buf text;
	struct scan *scan = scan_new();
	int rc = -1;
	*out = NULL;
	buf_init(&text, PROBE_LEAST_BYTES);
	if (!scan)
		err_set(err, ERR_MEMORY, "no memory for a probe message");
	else if (bytes < PROBE_LEAST_BYTES)
		err_set(err, ERR_INTERNAL, "a probe of %" PRIu64 " octets", bytes);
	else if (add_head(&text, "size", now - TEN_YEARS_S, err) == 0 &&
		 buf_add_str(&text, "Content-Type: text/plain; charset=us-ascii\r\n\r\n", err) == 0 &&
		 begin(spool_dir, bytes, now, out, err) == 0 && give(*out, scan, text.data, text.len, err) == 0 &&
		 fill(*out, scan, bytes - text.len, err) == 0)
		rc = scan_finish(scan, &(*out)->print, &(*out)->defects, err);
	if (rc == 0)
		(*out)->flags = MAIL_SEEN;
	scan_free(&scan);
	buf_done(&text);
	if (rc)
		mail_free(out);
	return rc;
}

bool probe_mail_is_ours(const struct fingerprint *print)
{
	const char *id = print->message_id ? print->message_id : "", *at = strstr(id, DOMAIN_OURS ">");
	return at && print->subject && !strncmp(print->subject, "nightferry probe", 16);
}

/* --- comparing --- */

enum probe_date probe_mail_date(const struct mail *sent, const struct mail_date *found, int64_t now)
{
	if (!found->known)
		return PROBE_DATE_OTHER;
	if (found->at == sent->received.at)
		return PROBE_DATE_KEPT;
	if (found->at == sent->received.at - RECEIVED_BEFORE_S)
		return PROBE_DATE_RECEIVED;
	if (found->at == sent->received.at - WRITTEN_BEFORE_S)
		return PROBE_DATE_HEADER;
	return found->at > now - 86400 && found->at < now + 86400 ? PROBE_DATE_NOW : PROBE_DATE_OTHER;
}

const char *probe_date_text(enum probe_date d)
{
	static const char *const texts[] = {
		[PROBE_DATE_KEPT] = "the received date",
		[PROBE_DATE_RECEIVED] = "the date of the first Received field",
		[PROBE_DATE_HEADER] = "the date of the Date field",
		[PROBE_DATE_NOW] = "the time of arrival",
		[PROBE_DATE_OTHER] = "some other date",
	};
	return texts[d];
}

bool probe_mail_is_same(const struct mail *sent, const struct fingerprint *print)
{
	return !memcmp(sent->print.sha256, print->sha256, sizeof(print->sha256));
}

bool probe_mail_means_same(const struct mail *sent, const struct spool *back)
{
	uint8_t a[CANON_BYTES], b[CANON_BYTES];
	struct err ignored = ERR_INIT;
	return canon_digest(sent->body, a, &ignored) == 0 && canon_digest(back, b, &ignored) == 0 &&
	       !memcmp(a, b, sizeof(a));
}

bool probe_mail_sender_kept(const struct mail *sent, const struct fingerprint *print)
{
	struct buf a, b;
	struct err ignored = ERR_INIT;
	buf_init(&a, 8192);
	buf_init(&b, 8192);
	bool same = header_add_addresses(&a, sent->print.from, 0, &ignored) == 0 &&
		    header_add_addresses(&b, print->from, 0, &ignored) == 0 && !strcmp(buf_str(&a), buf_str(&b));
	buf_done(&a);
	buf_done(&b);
	return same;
}

/* All octets of a message that is small; yours to free. */
static int load(const struct spool *s, char **out, size_t *n, struct err *err)
{
	size_t got = 0, size = (size_t)spool_size(s);
	*out = NULL;
	*n = 0;
	if (spool_size(s) > MOST_BACK_BYTES)
		return err_set(err, ERR_PROTOCOL, "the probe message came back with %" PRIu64 " octets", spool_size(s));
	char *v = malloc(size + 1);
	if (!v)
		return err_set(err, ERR_MEMORY, "no memory for a probe message");
	while (*n < size) {
		if (spool_read(s, *n, v + *n, size - *n, &got, err) || got == 0) {
			free(v);
			return got == 0 && err->kind == ERR_NONE ? err_set(err, ERR_DISK, "a spooled message is cut")
								 : -1;
		}
		*n += got;
	}
	v[size] = 0;
	*out = v;
	return 0;
}

/* One field of a header; next moves on. Octets of *text are changed: name and value end with NUL. */
struct field {
	const char *name, *value;
};

static bool next_field(char **text, struct field *out)
{
	char *p = *text, *colon = strchr(p, ':');
	size_t line = strcspn(p, "\r\n");
	if (line == 0 || !colon || (size_t)(colon - p) >= line)
		return false;
	char *end = p;
	for (;;) { /* up to a line end that no white space follows */
		end += strcspn(end, "\n");
		if (!*end || (end[1] != ' ' && end[1] != '\t'))
			break;
		end++;
	}
	*text = *end ? end + 1 : end;
	*end = 0;
	*colon = 0;
	*out = (struct field){p, colon + 1};
	return true;
}

/* Is that field among those of `back`, by what a person reads? */
static bool has_field(const struct field *back, size_t n, const struct field *f)
{
	bool found = false;
	struct buf want, have;
	struct err ignored = ERR_INIT;
	buf_init(&want, MOST_BACK_BYTES);
	buf_init(&have, MOST_BACK_BYTES);
	header_add_text(&want, f->value, 0, &ignored);
	for (size_t i = 0; i < n && !found; i++) {
		if (strcasecmp(back[i].name, f->name) != 0)
			continue;
		buf_clear(&have);
		header_add_text(&have, back[i].value, 0, &ignored);
		found = !strcmp(buf_str(&want), buf_str(&have));
	}
	buf_done(&want);
	buf_done(&have);
	return found;
}

#define MOST_FIELDS 1000

int probe_mail_headers(const struct mail *sent, const struct spool *back, unsigned *n, unsigned *lost, char *names,
	size_t size, struct err *err)
{
	char *a = NULL, *b = NULL;
	size_t n_a, n_b, n_fields = 0, used = 0;
	struct field *fields = calloc(MOST_FIELDS, sizeof(*fields)), f;
	*n = *lost = 0;
	names[0] = 0;
	int rc = fields ? 0 : err_set(err, ERR_MEMORY, "no memory for a header");
	if (rc == 0)
		rc = load(sent->body, &a, &n_a, err) || load(back, &b, &n_b, err) ? -1 : 0;
	char *at = b;
	while (rc == 0 && n_fields < MOST_FIELDS && next_field(&at, &fields[n_fields]))
		n_fields++;
	at = a;
	while (rc == 0 && next_field(&at, &f)) {
		++*n;
		if (has_field(fields, n_fields, &f))
			continue;
		if (used < size)
			used += (size_t)snprintf(names + used, size - used, "%s%s", *lost ? ", " : "", f.name);
		++*lost;
	}
	free(fields);
	free(a);
	free(b);
	return rc;
}

struct attachment {
	bool found, kept;
};

static void on_part(GMimeObject *parent, GMimeObject *part, gpointer data)
{
	struct attachment *a = data;
	(void)parent;
	if (!GMIME_IS_PART(part) ||
		!g_mime_content_type_is_type(g_mime_object_get_content_type(part), "application", "octet-stream"))
		return;
	GMimeDataWrapper *content = g_mime_part_get_content(GMIME_PART(part));
	GMimeStream *mem = g_mime_stream_mem_new();
	if (content)
		g_mime_data_wrapper_write_to_stream(content, mem);
	GByteArray *octets = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(mem));
	a->found = true;
	a->kept = octets->len == ATTACHMENT_BYTES;
	for (size_t i = 0; a->kept && i < octets->len; i++)
		a->kept = octets->data[i] == attached(i);
	g_object_unref(mem);
}

int probe_mail_attachment(const struct spool *back, bool *kept, struct err *err)
{
	bool tame;
	struct err failed = ERR_INIT;
	struct attachment a = {0};
	*kept = false;
	if (spool_size(back) > MOST_BACK_BYTES || canon_scan(back, &tame, NULL, err))
		return spool_size(back) > MOST_BACK_BYTES ? 0 : -1;
	if (!tame)
		return 0;
	GMimeStream *stream = canon_source_new(back, &failed);
	GMimeParser *parser = g_mime_parser_new_with_stream(stream);
	GMimeMessage *m = g_mime_parser_construct_message(parser, NULL);
	if (m) {
		g_mime_message_foreach(m, on_part, &a);
		g_object_unref(m);
	}
	g_object_unref(parser);
	g_object_unref(stream);
	*kept = a.found && a.kept;
	if (failed.kind == ERR_NONE)
		return 0;
	*err = failed;
	return -1;
}

static const char *find(const char *in, size_t n, const char *what, size_t n_what)
{
	for (size_t i = 0; n_what <= n && i <= n - n_what; i++)
		if (in[i] == what[0] && !memcmp(in + i, what, n_what))
			return in + i;
	return NULL;
}

/* What is signed: the first part, from behind its delimiter line to the line end before the next. */
int probe_mail_signature(const struct mail *sent, const struct spool *back, bool *kept, struct err *err)
{
	static const char delimiter[] = "\r\n--" SIGNED_BOUNDARY "\r\n";
	size_t n_delimiter = sizeof(delimiter) - 1;
	char *a = NULL, *b = NULL;
	size_t n_a, n_b;
	*kept = false;
	int rc = load(sent->body, &a, &n_a, err) || load(back, &b, &n_b, err) ? -1 : 0;
	if (rc == 0) {
		const char *at = find(a, n_a, delimiter, n_delimiter), *from = at ? at + n_delimiter : NULL;
		const char *to = from ? find(from, n_a - (size_t)(from - a), delimiter, n_delimiter) : NULL;
		*kept = to && find(b, n_b, from, (size_t)(to - from));
	}
	free(a);
	free(b);
	return rc;
}
