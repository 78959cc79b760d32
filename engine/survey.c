/* Folders are counted one by one, and a folder's figures count only when it was read to its end. */
#include "engine/survey.h"

#include "engine/budget_day.h"
#include "engine/provider.h"
#include "engine/survey_parts.h"
#include "engine/wanted.h"
#include "imap/pull.h"

#include <stdlib.h>
#include <string.h>

#define RANGE 1000
#define FOLDER_TRIES 3 /* connections lost at one folder */

struct survey *survey_new(const struct survey_conf *conf, const struct user *u)
{
	struct survey *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->conf = *conf;
	snprintf(s->user, sizeof s->user, "%s", u->source_user);
	snprintf(s->root, sizeof s->root, "%s", u->user_root);
	return s;
}

void survey_free(struct survey **s)
{
	if (!*s)
		return;
	map_done(&(*s)->mappings, (*s)->list.n);
	folder_list_done(&(*s)->list);
	free((*s)->folders);
	free(*s);
	*s = NULL;
}

static int list_folders(struct survey *s, struct conn *source, struct err *err)
{
	if (folder_list(source, s->root[0] ? s->root : NULL, &s->list, &s->odd, err))
		return err_wrap(err, "listing the folders");
	if (!s->list.n)
		return err_set(err, ERR_MAILBOX, "the source lists no folder at all, not even the INBOX");
	s->folders = calloc(s->list.n, sizeof *s->folders);
	if (!s->folders)
		return err_set(err, ERR_MEMORY, "no memory for %zu folders", s->list.n);
	s->quirks = conn_facts(source)->quirks;
	return map_folders(&s->list, &s->conf.rules, &s->mappings, err);
}

/* As the run does: majority vote over the minutes of the received dates. */
static void vote_date(struct survey_folder *f, const struct pull_meta *m)
{
	int64_t minute = m->received.at / 60;
	if (!f->cluster_votes) {
		f->cluster_at = minute;
		f->cluster_votes = 1;
	} else if (minute == f->cluster_at) {
		f->cluster_votes++;
	} else {
		f->cluster_votes--;
	}
}

static void count_too_big(struct survey *s, struct survey_folder *f, const struct pull_meta *m)
{
	struct err why = ERR_INIT;
	if (!m->size || !destination_refuses(s->conf.destination, m->uid, m->size, &why))
		return;
	f->too_big++;
	f->too_big_bytes += m->size;
	if (m->size > f->too_big_largest) {
		f->too_big_largest = m->size;
		f->too_big_uid = m->uid;
		f->too_big_date = m->received;
		snprintf(f->too_big_hint, sizeof f->too_big_hint, "%s", why.hint);
	}
}

static void count_message(struct survey *s, struct survey_folder *f, const struct pull_meta *m)
{
	f->listed++;
	vote_date(f, m);
	if (m->flags & MAIL_DELETED) {
		f->deleted++;
		if (!s->conf.batch->copy_deleted)
			return;
	}
	f->messages++;
	f->bytes += m->size;
	f->drafts += (m->flags & MAIL_DRAFT) != 0;
	f->sizeless += m->size == 0;
	f->dateless += !m->received.known;
	if (m->size > f->largest)
		f->largest = m->size;
	count_too_big(s, f, m);
}

static int count_messages(struct survey *s, struct survey_folder *f, struct conn *source, struct pull *pull,
	struct pull_meta *page, struct err *err)
{
	uint32_t last = 0;
	size_t n = 0;
	int rc;
	while (!(rc = budget_day_list(s->conf.work->store, s->conf.endpoint->id, s->user, source, pull, f->listed, page,
			 RANGE, &n, err)) &&
		n) {
		for (size_t i = 0; i < n; i++) /* after an expunge messages may come twice */
			if (page[i].uid > last)
				count_message(s, f, &page[i]);
		last = page[n - 1].uid > last ? page[n - 1].uid : last;
		if (stop_is_asked(s->conf.stop))
			return err_set(err, ERR_STOPPED, "stopped");
	}
	f->exists = pull_exists(pull);
	return rc;
}

/* 0: counted, or set aside with its error. -1: the connection is lost, or all must end. */
static int count_folder(struct survey *s, size_t at, struct conn *source, struct pull_meta *page, struct err *err)
{
	struct survey_folder *f = &s->folders[at], fresh = {.tries = f->tries + 1};
	struct pull_conf conf = {
		.spool_dir = s->conf.work->spool_dir, .memory = s->conf.work->memory, .stop = s->conf.stop};
	struct folder_state state = {0};
	struct pull *pull = NULL;
	*f = fresh;
	int rc = pull_open(&pull, source, s->list.v[at].raw, &conf, &state, err);
	if (!rc) {
		f->uidvalidity = state.uidvalidity;
		f->uidnext = state.uidnext;
		rc = count_messages(s, f, source, pull, page, err);
	}
	pull_close(&pull);
	if (!rc) {
		f->done = true;
		return 0;
	}
	enum err_action act = err_action(err->kind);
	bool lost = conn_is_dead(source);
	bool folders_own = act == ACT_SKIP_FOLDER || act == ACT_SKIP_MESSAGE || (lost && f->tries >= FOLDER_TRIES);
	if (!folders_own)
		return -1;
	*f = (struct survey_folder){.done = true, .failed = true, .tries = f->tries};
	err_line(err, f->error, sizeof f->error);
	return lost ? -1 : 0;
}

int survey_go_on(struct survey *s, struct conn *source, struct err *err)
{
	if (!s->folders && list_folders(s, source, err)) {
		folder_list_done(&s->list);
		free(s->folders);
		s->folders = NULL;
		return -1;
	}
	struct pull_meta *page = calloc(RANGE, sizeof *page);
	if (!page)
		return err_set(err, ERR_MEMORY, "no memory for a range of messages");
	int rc = 0;
	for (size_t i = 0; i < s->list.n && !rc; i++) {
		if (s->folders[i].done || !wanted_folder(s->conf.batch, &s->list.v[i], &s->mappings[i]))
			continue;
		if (stop_is_asked(s->conf.stop))
			rc = err_set(err, ERR_STOPPED, "stopped");
		else
			rc = count_folder(s, i, source, page, err);
	}
	free(page);
	return rc;
}
