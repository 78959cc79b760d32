/* What became of the probe messages. A route that loses what a person would miss cannot carry mail; the rest is told. */
#include "upload/prove_parts.h"

#include "engine/base/clock.h"

static enum prove_outcome fail(struct prove_line *line, const char *hint)
{
	err_set(&line->err, ERR_PROTOCOL, "%s", line->text);
	err_hint(&line->err, "%s", hint);
	return PROVE_FAILED;
}

static enum prove_outcome fail_with(struct prove_line *line, const struct err *why)
{
	line->err = *why;
	return PROVE_FAILED;
}

enum prove_outcome prove_draft(struct prove *p, struct prove_line *line)
{
	for (size_t i = 0; i < PROBES; i++)
		if (p->found[i].flags & MAIL_DRAFT) {
			snprintf(line->text, sizeof(line->text), "the probe message became a draft");
			return fail(line, "this way into the mailbox makes drafts of all mail: use another route");
		}
	snprintf(line->text, sizeof(line->text), "no draft");
	return PROVE_OK;
}

enum prove_outcome prove_date(struct prove *p, struct prove_line *line)
{
	char want[CLOCK_TEXT], have[CLOCK_TEXT];
	const struct mail_date *found = &p->found[PROBE_MIXED].received;
	enum probe_date d = probe_mail_date(p->mails[PROBE_MIXED], found, p->now);
	p->facts.date_kept = d == PROBE_DATE_KEPT;
	clock_format(p->mails[PROBE_MIXED]->received.at, want, sizeof(want));
	if (found->known)
		clock_format(found->at, have, sizeof(have));
	else
		snprintf(have, sizeof(have), "none");
	if (d == PROBE_DATE_KEPT) {
		snprintf(line->text, sizeof(line->text), "the received date is kept (%s)", want);
		return PROVE_OK;
	}
	bool gives = p->conf->ops->gives_date;
	snprintf(line->text, sizeof(line->text), "the received date is not kept: %s %s, found %s, %s",
		gives ? "wrote" : "the message was received", want, have, probe_date_text(d));
	if (!gives)
		return PROVE_NOTE; /* it could not be given; mail that shows another date is known from here on */
	return fail(line, "all mail would show a wrong date: use another route, or another host");
}

enum prove_outcome prove_flags(struct prove *p, struct prove_line *line)
{
	unsigned read = p->found[PROBE_MIXED].flags, unread = p->found[PROBE_SIGNED].flags;
	const struct err *why = &p->items[PROBE_MIXED].err;
	if (!(read & MAIL_SEEN) || (unread & MAIL_SEEN)) {
		snprintf(line->text, sizeof(line->text), "the read state is not kept: %s",
			read & MAIL_SEEN ? "an unread message is read" : "a read message is unread");
		return fail(line, "all mail would arrive so: use another route");
	}
	if (!(read & MAIL_FLAGGED) || (unread & MAIL_FLAGGED)) {
		snprintf(line->text, sizeof(line->text), "read state kept; the flag for follow-up is not%s%s",
			why->kind != ERR_NONE ? ": " : "", why->kind != ERR_NONE ? why->text : "");
		return PROVE_NOTE;
	}
	p->facts.flags_kept = true;
	snprintf(line->text, sizeof(line->text), "read state and the flag for follow-up are kept");
	return PROVE_OK;
}

enum prove_outcome prove_sender(struct prove *p, struct prove_line *line)
{
	for (size_t i = 0; i < PROBES; i++)
		if (!probe_mail_sender_kept(p->mails[i], &p->prints[i])) {
			snprintf(line->text, sizeof(line->text), "the sender is not kept: found %.200s",
				p->prints[i].from ? p->prints[i].from : "none");
			return fail(line, "all mail would seem to be from somebody else: use another route");
		}
	snprintf(line->text, sizeof(line->text), "kept");
	return PROVE_OK;
}

enum prove_outcome prove_content(struct prove *p, struct prove_line *line)
{
	bool same = true;
	for (size_t i = 0; i < PROBES; i++) {
		if (probe_mail_is_same(p->mails[i], &p->prints[i]))
			continue;
		same = false;
		if (probe_mail_means_same(p->mails[i], p->bodies[i]))
			continue;
		snprintf(line->text, sizeof(line->text), "the content of a probe message is not kept");
		return fail(line, "mail would arrive altered: use another route");
	}
	p->facts.content_kept = same;
	snprintf(line->text, sizeof(line->text), "%s",
		same ? "kept, octet for octet" : "kept in all that a person sees; the service writes it anew");
	return same ? PROVE_OK : PROVE_NOTE;
}

enum prove_outcome prove_headers(struct prove *p, struct prove_line *line)
{
	unsigned n, lost;
	char names[256];
	struct err err = ERR_INIT;
	if (probe_mail_headers(p->mails[PROBE_MIXED], p->bodies[PROBE_MIXED], &n, &lost, names, sizeof(names), &err))
		return fail_with(line, &err);
	if (lost)
		snprintf(line->text, sizeof(line->text), "%u of %u fields are lost or changed: %s", lost, n, names);
	else
		snprintf(line->text, sizeof(line->text), "all %u fields are kept, the unusual ones too", n);
	return lost ? PROVE_NOTE : PROVE_OK;
}

enum prove_outcome prove_attachment(struct prove *p, struct prove_line *line)
{
	bool kept;
	struct err err = ERR_INIT;
	if (probe_mail_attachment(p->bodies[PROBE_MIXED], &kept, &err))
		return fail_with(line, &err);
	snprintf(line->text, sizeof(line->text),
		kept ? "kept, octet for octet" : "the attachment's content is not kept");
	return kept ? PROVE_OK : fail(line, "attachments would arrive damaged: use another route");
}

enum prove_outcome prove_signature(struct prove *p, struct prove_line *line)
{
	bool kept;
	struct err err = ERR_INIT;
	if (probe_mail_signature(p->mails[PROBE_SIGNED], p->bodies[PROBE_SIGNED], &kept, &err))
		return fail_with(line, &err);
	snprintf(line->text, sizeof(line->text),
		kept ? "a signed part is kept as it was signed"
		     : "a signed part is written anew: signatures of signed mail will not be valid any more");
	return kept ? PROVE_OK : PROVE_NOTE;
}

enum prove_outcome prove_categories(struct prove *p, struct prove_line *line)
{
	const struct target_ops *ops = p->conf->ops;
	char words[512], *save = NULL;
	struct err err = ERR_INIT;
	if (!ops->get_keywords)
		return PROVE_SILENT;
	if (ops->get_keywords(p->target, &p->folder, p->items[PROBE_MIXED].receipt.id, words, sizeof(words), &err))
		return fail_with(line, &err);
	for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
		p->facts.categories_kept |= !strcmp(w, PROBE_KEYWORD);
	snprintf(line->text, sizeof(line->text),
		p->facts.categories_kept ? "kept" : "categories (keywords) are not kept");
	return p->facts.categories_kept ? PROVE_OK : PROVE_NOTE;
}
