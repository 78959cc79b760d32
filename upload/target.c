#include "upload/target.h"

#include "upload/http.h"

#include <gmime/gmime.h>

void upload_init(void)
{
	http_init();
	g_mime_init();
}

void folder_ref_done(struct folder_ref *f)
{
	free(f->path);
	free(f->id);
	free(f->generation);
	free(f->mark);
	*f = (struct folder_ref){0};
}

const struct target_ops *const *target_routes(void)
{
	static const struct target_ops *const routes[] = {&target_imap_ops, &target_graph_mime_ops, NULL};
	return routes;
}

const struct target_ops *target_route(const char *name)
{
	for (const struct target_ops *const *r = target_routes(); *r; r++) {
		if (!strcmp((*r)->name, name))
			return *r;
	}
	return NULL;
}

/* --- what will be refused --- */

#define EXCHANGE_LONGEST_LINE 10000                       /* seen to fail from 10,239 on (spec, section 2) */
#define EXCHANGE_MOST_BYTES ((uint64_t)150 * 1024 * 1024) /* no mailbox can be set to take more */
/* A request to Graph may have 4 MB, of base64 here; which megabyte is meant is not known, nor whether the limit is another one (spec, section 1:
   probe). The target's test finds the largest that arrives. */
#define MIME_CAUTIOUS_BYTES ((uint64_t)2990000)

struct check_input {
	const struct target_conf *conf;
	const struct mail *mail;
	uint64_t size;
};

/* Each returns true if the message breaks the rule. */
static bool is_empty(const struct check_input *in)
{
	return in->size == 0;
}
static bool is_over_limit(const struct check_input *in)
{
	return in->conf->max_message_bytes > 0 && in->size > in->conf->max_message_bytes;
}
static bool is_over_150_mb(const struct check_input *in)
{
	return in->size > EXCHANGE_MOST_BYTES;
}
static bool is_over_mime(const struct check_input *in)
{
	return in->size > (in->conf->max_mime_bytes > 0 ? in->conf->max_mime_bytes : MIME_CAUTIOUS_BYTES);
}
static bool has_nul(const struct check_input *in)
{
	return in->mail->defects.nul || in->mail->defects.nul_header;
}
static bool has_long_line(const struct check_input *in)
{
	return in->mail->defects.longest_line > EXCHANGE_LONGEST_LINE;
}
static bool has_raw_header(const struct check_input *in)
{
	return in->mail->defects.eight_bit_header;
}

#define ON_EXCHANGE (1u << TARGET_EXCHANGE)
#define ON_IMAP (1u << TARGET_IMAP)

struct check_rule {
	unsigned kinds;
	bool (*broken)(const struct check_input *);
	enum err_kind kind;
	const char *text, *hint;
};

static const struct check_rule imap_rules[] = {
	{ON_EXCHANGE | ON_IMAP, is_empty, ERR_MESSAGE, "the message is empty",
		"the source holds no octet of it; a broken entry there, nothing is lost"},
	{ON_EXCHANGE, is_over_150_mb, ERR_TOO_BIG,
		"the message is larger than the 150 MB that Exchange Online can be set to take",
		"save it from the source by other means"},
	{ON_EXCHANGE, is_over_limit, ERR_TOO_BIG, "the message is larger than the destination mailbox takes",
		"Set-Mailbox MAILBOX -MaxReceiveSize 150MB, set the target's limit to it, and start again"},
	{ON_IMAP, is_over_limit, ERR_TOO_BIG, "the message is larger than the destination takes",
		"raise the limit there and on the target, and start again"},
	{ON_EXCHANGE | ON_IMAP, has_nul, ERR_MESSAGE,
		"the message holds NUL octets, which IMAP does not carry (RFC 3501, section 9)",
		"it was damaged where it was stored; save it from the source by other means"},
	{ON_EXCHANGE, has_raw_header, ERR_MESSAGE,
		"the header holds raw 8-bit characters, which Exchange refuses (Message contains invalid header)",
		"the message is not altered; forward it as an attachment at the source, or save it by other means"},
	{ON_EXCHANGE, has_long_line, ERR_MESSAGE, "a line is longer than the 10,000 octets that Exchange takes",
		"the message is not altered; forward it as an attachment at the source, or save it by other means"},
};

/* NUL, long lines and raw 8-bit headers travel in base64 like anything else; whether Exchange's MIME reader takes them there is not known (?),
   so it is asked, and its refusal is final for this route. */
static const struct check_rule mime_rules[] = {
	{ON_EXCHANGE, is_empty, ERR_MESSAGE, "the message is empty",
		"the source holds no octet of it; a broken entry there, nothing is lost"},
	{ON_EXCHANGE, is_over_limit, ERR_TOO_BIG, "the message is larger than the destination mailbox takes",
		"Set-Mailbox MAILBOX -MaxReceiveSize 150MB, set the target's limit to it, and start again"},
	{ON_EXCHANGE, is_over_mime, ERR_TOO_BIG, "the message is larger than Graph takes in one request",
		"let it go by the route imap: nightferry target set NAME --routes imap,mime"},
};

int target_check(const struct target_ops *ops, const struct target_conf *conf, const struct mail *mail, struct err *err)
{
	struct check_input in = {conf, mail, mail->body ? spool_size(mail->body) : mail->announced};
	bool by_imap = ops == &target_imap_ops;
	const struct check_rule *rules = by_imap ? imap_rules : mime_rules;
	size_t n = by_imap ? sizeof(imap_rules) / sizeof(imap_rules[0]) : sizeof(mime_rules) / sizeof(mime_rules[0]);
	for (size_t i = 0; i < n; i++) {
		const struct check_rule *r = &rules[i];
		if ((r->kinds & 1u << conf->kind) && r->broken(&in)) {
			err_set(err, r->kind, "%s (%llu octets, longest line %llu)", r->text,
				(unsigned long long)in.size, (unsigned long long)mail->defects.longest_line);
			err_hint(err, "%s", r->hint);
			return -1;
		}
	}
	return 0;
}
