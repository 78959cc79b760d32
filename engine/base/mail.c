/* The value that travels: made, copied, freed. */
#include "engine/base/mail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mail *mail_new(uint32_t uid)
{
	struct mail *m = calloc(1, sizeof(*m));
	if (m)
		m->uid = uid;
	return m;
}

void mail_free(struct mail **m)
{
	if (!*m)
		return;
	free((*m)->keywords);
	fingerprint_done(&(*m)->print);
	spool_free(&(*m)->body);
	free(*m);
	*m = NULL;
}

static char *copy_string(const char *s)
{
	return strdup(s ? s : "");
}

int fingerprint_copy(struct fingerprint *to, const struct fingerprint *from, struct err *err)
{
	struct fingerprint f = {.size = from->size,
		.message_id = copy_string(from->message_id),
		.date = copy_string(from->date),
		.from = copy_string(from->from),
		.subject = copy_string(from->subject)};
	memcpy(f.sha256, from->sha256, sizeof(f.sha256));
	if (!f.message_id || !f.date || !f.from || !f.subject) {
		fingerprint_done(&f);
		return err_set(err, ERR_MEMORY, "out of memory for a fingerprint");
	}
	*to = f;
	return 0;
}

void fingerprint_done(struct fingerprint *f)
{
	free(f->message_id);
	free(f->date);
	free(f->from);
	free(f->subject);
	*f = (struct fingerprint){0};
}

const char *mail_flags_text(unsigned flags, char *out, size_t size)
{
	static const struct {
		unsigned bit;
		const char *name;
	} names[] = {{MAIL_SEEN, "\\Seen"}, {MAIL_ANSWERED, "\\Answered"}, {MAIL_FLAGGED, "\\Flagged"},
		{MAIL_DRAFT, "\\Draft"}, {MAIL_DELETED, "\\Deleted"}};
	size_t len = 0;
	if (size > 0)
		out[0] = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!(flags & names[i].bit) || len >= size)
			continue;
		len += (size_t)snprintf(out + len, size - len, "%s%s", len ? " " : "", names[i].name);
	}
	return out;
}
