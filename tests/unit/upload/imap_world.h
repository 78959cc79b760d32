/* An imap/ of the tests' own, with a folder in memory: linked in place of conn, append, mailbox and folder (and of upload/token). */
#ifndef NF_TESTS_IMAP_WORLD_H
#define NF_TESTS_IMAP_WORLD_H

#include "upload/target_imap.h"
#include "upload/token.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MOST_MAILS 400

static struct {
	bool no_uidplus, no_appenduid, dead;
	bool recodes;                 /* what is stored has other octets, and a Message-ID if it had none */
	unsigned opens, refuse_opens; /* so many sign-ins are refused first */
	unsigned tokens;              /* given out */
	char refused_token[32];
	/* APPEND: what the item with this UID at the source comes to; NONE: placed. */
	enum err_kind kind_of[MOST_MAILS + 1];
	uint32_t twice;   /* this item is delivered by somebody else too */
	uint32_t lost_at; /* the connection breaks at this item: it is in doubt */
	unsigned calls, largest_group, appended;
	uint64_t largest_bytes;
	char last_flags[FLAGS_TEXT];
	/* the folder */
	struct mailbox_entry stored[MOST_MAILS];
	const struct mail *mails[MOST_MAILS]; /* borrowed, as stored */
	unsigned n_stored;
	bool flag_does_not_stay;
	enum err_kind store_fails;
	unsigned stores, selects, reads;
	char store_set[4096];
	/* folders */
	char created[8][64];
	unsigned n_created;
	const char *refuse_create; /* a name that is refused */
	const char *(*listed)[2];  /* raw name, name; NULL-terminated */
	char separator;
} world;

static int a_connection;

int conn_open(struct conn **out, const struct conn_conf *conf, struct stop *stop, enum conn_step *reached,
	struct conn_facts *facts, struct err *err)
{
	(void)stop, (void)reached, (void)facts;
	world.opens++;
	assert_non_null(conf->secret);
	if (world.refuse_opens > 0) {
		world.refuse_opens--;
		return err_set(err, ERR_CREDENTIALS, "refused");
	}
	world.dead = false;
	*out = (struct conn *)(void *)&a_connection;
	return 0;
}
void conn_close(struct conn **c)
{
	*c = NULL;
}
bool conn_is_dead(const struct conn *c)
{
	(void)c;
	return world.dead;
}
bool conn_has_capability(const struct conn *c, const char *name)
{
	(void)c;
	return !strcmp(name, "UIDPLUS") && !world.no_uidplus;
}
void conn_counts(const struct conn *c, uint64_t *received, uint64_t *sent)
{
	(void)c;
	*received = 0;
	*sent = (uint64_t)world.appended * 10;
}

int token_get(struct token *t, const struct secret *refused, struct stop *stop, struct secret **out, struct err *err)
{
	(void)t, (void)stop, (void)err;
	char text[16];
	if (refused)
		snprintf(world.refused_token, sizeof(world.refused_token), "%s", secret_bytes(refused));
	snprintf(text, sizeof(text), "token-%u", ++world.tokens);
	*out = secret_new(text, strlen(text));
	return 0;
}

static int lose(size_t i, struct append_item *v, size_t n, struct err *err)
{
	world.dead = true;
	err_set(err, ERR_LOST, "broken");
	v[i].result = APPEND_IN_DOUBT;
	for (; i < n; i++)
		v[i].err = *err;
	return -1;
}

int append_mails(struct conn *c, const char *mailbox, struct append_item *v, size_t n, uint64_t window_bytes,
	size_t window_items, struct err *err)
{
	(void)c, (void)mailbox, (void)window_bytes, (void)window_items;
	uint64_t bytes = 0;
	bool halted = false;
	world.calls++;
	for (size_t i = 0; i < n; i++) {
		uint32_t uid = v[i].mail->uid;
		bytes += spool_size(v[i].mail->body);
		if (halted) {
			v[i].err = v[i - 1].err;
			continue;
		}
		world.appended++;
		if (uid == world.lost_at)
			return lose(i, v, n, err);
		enum err_kind kind = world.kind_of[uid];
		snprintf(world.last_flags, sizeof(world.last_flags), "%s", v[i].flags);
		if (kind == ERR_NONE) {
			if (uid == world.twice) {
				world.mails[world.n_stored] = v[i].mail;
				world.stored[world.n_stored] = (struct mailbox_entry){
					.uid = 1000 + world.n_stored, .size = v[i].mail->print.size};
				assert_int_equal(
					fingerprint_copy(&world.stored[world.n_stored++].print, &v[i].mail->print, err),
					0);
			}
			struct mailbox_entry *e = &world.stored[world.n_stored];
			*e = (struct mailbox_entry){.uid = 1000 + world.n_stored++, .size = v[i].mail->print.size};
			assert_int_equal(fingerprint_copy(&e->print, &v[i].mail->print, err), 0);
			world.mails[world.n_stored - 1] = v[i].mail;
			if (world.recodes) {
				e->size = e->print.size += 7;
				e->print.sha256[5] = 1;
				if (!e->print.message_id[0]) {
					free(e->print.message_id);
					e->print.message_id = strdup("<made@server>");
				}
			}
			e->flags = strstr(v[i].flags, "\\Flagged") ? MAIL_FLAGGED : 0;
			v[i].result = APPEND_PLACED;
			v[i].uidvalidity = world.no_uidplus || world.no_appenduid ? 0 : 7;
			v[i].uid = world.no_uidplus || world.no_appenduid ? 0 : e->uid;
			continue;
		}
		err_set(&v[i].err, kind, "as the test wants");
		err_server(&v[i].err, "IncomingBytes", 13);
		v[i].err.retry_after_ms = kind == ERR_THROTTLED ? 60000 : -1;
		v[i].result = kind == ERR_THROTTLED ? APPEND_NOT_SENT : APPEND_REFUSED;
		halted = err_action(kind) != ACT_SKIP_MESSAGE;
	}
	if (n > world.largest_group)
		world.largest_group = (unsigned)n;
	if (bytes > world.largest_bytes)
		world.largest_bytes = bytes;
	return 0;
}

int mailbox_select(struct conn *c, const char *encoded, uint32_t *uidvalidity, uint32_t *uidnext, uint32_t *exists,
	struct err *err)
{
	(void)c;
	world.selects++;
	if (!strcmp(encoded, "Refused"))
		return err_set(err, ERR_FOLDER, "refused");
	*uidvalidity = 7;
	*uidnext = 1000 + world.n_stored;
	*exists = world.n_stored;
	return 0;
}
int mailbox_create(struct conn *c, const char *encoded, struct err *err)
{
	(void)c;
	if (world.refuse_create && !strcmp(encoded, world.refuse_create))
		return err_set(err, ERR_RIGHTS, "refused");
	snprintf(world.created[world.n_created++], sizeof(world.created[0]), "%s", encoded);
	return 0;
}
int mailbox_list(struct conn *c, uint32_t from, struct mailbox_entry *out, size_t cap, size_t *n, struct err *err)
{
	(void)c;
	*n = 0;
	for (unsigned i = 0; i < world.n_stored && *n < cap; i++) {
		if (world.stored[i].uid < from)
			continue;
		out[*n] = world.stored[i];
		assert_int_equal(fingerprint_copy(&out[*n].print, &world.stored[i].print, err), 0);
		++*n;
	}
	return 0;
}
int mailbox_read(struct conn *c, uint32_t uid, const char *spool_dir, struct spool **out, struct fingerprint *print,
	struct err *err)
{
	(void)c;
	const struct mail *m = world.mails[uid - 1000];
	world.reads++;
	assert_int_equal(spool_new(out, spool_dir, 10, err), 0);
	assert_int_equal(spool_write(*out, spool_memory(m->body), spool_size(m->body), err), 0);
	return fingerprint_copy(print, &world.stored[uid - 1000].print, err);
}
int mailbox_flags(struct conn *c, uint32_t uid, unsigned *flags, struct err *err)
{
	(void)c;
	if (uid < 1000 || uid >= 1000 + world.n_stored)
		return err_set(err, ERR_GONE, "gone");
	*flags = world.stored[uid - 1000].flags;
	return 0;
}
int mailbox_store(struct conn *c, const char *uid_set, bool add, const char *flags, struct err *err)
{
	(void)c;
	assert_true(add);
	assert_string_equal(flags, "(\\Flagged)");
	world.stores++;
	snprintf(world.store_set, sizeof(world.store_set), "%s", uid_set);
	if (world.store_fails != ERR_NONE)
		return err_set(err, world.store_fails, "as the test wants");
	for (const char *p = uid_set; *p && !world.flag_does_not_stay; p += *p == ',') {
		char *end;
		world.stored[strtoul(p, &end, 10) - 1000].flags |= MAIL_FLAGGED;
		p = end;
	}
	return 0;
}
int mailbox_keywords(struct conn *c, uint32_t uid, char *out, size_t size, struct err *err)
{
	(void)c, (void)uid, (void)size, (void)err;
	out[0] = 0;
	return 0;
}
int mailbox_remove_probe(struct conn *c, const char *encoded, uint32_t uid, struct err *err)
{
	(void)c, (void)encoded, (void)uid, (void)err;
	return 0;
}

int folder_list(struct conn *c, const char *root, struct folder_list *out, unsigned *odd, struct err *err)
{
	(void)c, (void)root, (void)odd, (void)err;
	*out = (struct folder_list){.v = calloc(16, sizeof(*out->v))};
	for (; world.listed && world.listed[out->n][0]; out->n++) {
		struct folder *f = &out->v[out->n];
		char *name = strdup(world.listed[out->n][1]), *save = NULL, slash[2] = {'/', '\0'};
		*f = (struct folder){.raw = strdup(world.listed[out->n][0]),
			.separator = world.separator,
			.can_select = true,
			.is_mail = true,
			.parts = calloc(8, sizeof(char *))};
		for (char *p = strtok_r(name, slash, &save); p; p = strtok_r(NULL, slash, &save))
			f->parts[f->n_parts++] = strdup(p);
		free(name);
	}
	return 0;
}
void folder_list_done(struct folder_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		for (size_t k = 0; k < l->v[i].n_parts; k++)
			free(l->v[i].parts[k]);
		free(l->v[i].parts);
		free(l->v[i].raw);
	}
	free(l->v);
}

#endif
