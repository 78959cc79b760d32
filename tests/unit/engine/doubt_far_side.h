/* A destination folder of doubt_test.c that two made-up routes look at, each with ids of its own. */
#ifndef NF_TEST_ENGINE_DOUBT_FAR_SIDE_H
#define NF_TEST_ENGINE_DOUBT_FAR_SIDE_H

#include "upload/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>

#define COPIES 200

enum kind { IMAP, MIME, KINDS };

static struct copy { /* one message at the destination; its place is its number */
	unsigned content;
	bool ours, there, late; /* late: the far side has not committed it yet */
} copies[COPIES];
static unsigned n_copies;
static bool dead[KINDS]; /* the route's rights are lost */

/* In a storm any answer may be a request to wait, or a row of them and then a connection that breaks: all of that passes. */
static struct {
	bool blows;
	uint64_t state; /* of a generator of its own */
	unsigned left;  /* of the row at hand */
	unsigned waits, rows;
} storm;

#define STORM_ROW 7 /* more than a job tries what fails */

static unsigned storm_roll(unsigned n)
{
	storm.state = storm.state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(storm.state >> 33) % n;
}

static int weather(struct err *err)
{
	if (!storm.blows || (!storm.left && storm_roll(20)))
		return 0;
	if (!storm.left) {
		storm.left = storm_roll(20) ? 1 : STORM_ROW;
		storm.rows += storm.left > 1;
	}
	storm.left--;
	storm.waits++;
	if (!storm.left && storm_roll(2))
		return err_set(err, ERR_LOST, "hung up on");
	err_set(err, storm_roll(2) ? ERR_THROTTLED : ERR_BUSY, "not now");
	err->retry_after_ms = err->kind == ERR_BUSY || storm_roll(2) ? 1 : -1;
	return -1;
}

static void text_of(unsigned content, char *out, size_t size)
{
	char id[64] = "";
	if (content > 0) /* the first has no Message-ID */
		snprintf(id, sizeof id, "Message-ID: <%u@x>\r\n", content);
	snprintf(out, size, "%sDate: 1 Jul 2002 08:00:00 GMT\r\nFrom: a@b\r\nSubject: s%u\r\n\r\nbody %u\r\n", id,
		content, content);
}

static void print_of(unsigned content, struct fingerprint *p)
{
	char text[256], id[32] = "", subject[16];
	text_of(content, text, sizeof text);
	if (content > 0)
		snprintf(id, sizeof id, "<%u@x>", content);
	snprintf(subject, sizeof subject, "s%u", content);
	*p = (struct fingerprint){.size = strlen(text),
		.message_id = strdup(id),
		.date = strdup("1 Jul 2002 08:00:00 GMT"),
		.from = strdup("a@b"),
		.subject = strdup(subject)};
	EVP_Digest(text, strlen(text), p->sha256, NULL, EVP_sha256(), NULL);
}

static const struct target_ops fake_ops[KINDS];
static struct target fake_targets[KINDS] = {{&fake_ops[IMAP]}, {&fake_ops[MIME]}};

static enum kind kind_of_ops(const struct target_ops *ops)
{
	return ops == &fake_ops[IMAP] ? IMAP : MIME;
}

static enum kind kind_of(const struct target *t)
{
	return kind_of_ops(t->ops);
}

/* In IMAP's list a copy's number is its UID; Graph's ids say nothing of an order. */
static void id_of(enum kind k, unsigned n, char *out, size_t size)
{
	if (k == IMAP)
		snprintf(out, size, "7:%u", n + 1);
	else
		snprintf(out, size, "g%02u-%u", (n * 37 + 11) % 100, n);
}

static unsigned copy_of(const char *id)
{
	return id[0] == 'g' ? (unsigned)strtoul(strchr(id, '-') + 1, NULL, 10)
			    : (unsigned)strtoul(id + 2, NULL, 10) - 1;
}

static bool is_shown(unsigned n)
{
	return copies[n].there && !copies[n].late;
}

static int fake_open(
	struct target **out, const struct target_conf *conf, struct gate *gate, struct stop *stop, struct err *err)
{
	(void)conf, (void)gate, (void)stop, (void)out;
	return err_set(err, ERR_RIGHTS, "as the test wants");
}

static int open_imap(
	struct target **out, const struct target_conf *conf, struct gate *gate, struct stop *stop, struct err *err)
{
	if (weather(err))
		return -1;
	*out = &fake_targets[IMAP];
	return dead[IMAP] ? fake_open(out, conf, gate, stop, err) : 0;
}

static int open_mime(
	struct target **out, const struct target_conf *conf, struct gate *gate, struct stop *stop, struct err *err)
{
	if (weather(err))
		return -1;
	*out = &fake_targets[MIME];
	return dead[MIME] ? fake_open(out, conf, gate, stop, err) : 0;
}

static void fake_close(struct target **t)
{
	*t = NULL;
}

static int fake_folder(struct target *t, const char *path, struct folder_ref *out, struct err *err)
{
	char mark[16];
	if (weather(err))
		return -1;
	*out = (struct folder_ref){.path = strdup(path), .id = strdup(path)};
	snprintf(mark, sizeof mark, "%u", n_copies + 1);
	out->generation = strdup(kind_of(t) == IMAP ? "7" : "");
	out->mark = strdup(kind_of(t) == IMAP ? mark : "");
	for (unsigned i = 0; i < n_copies; i++)
		out->existing += is_shown(i);
	return 0;
}

static int fake_find(struct target *t, const char *path, struct folder_ref *out, bool *found, struct err *err)
{
	*found = true;
	return fake_folder(t, path, out, err);
}

/* Pages of two. Graph's come backwards. */
static int fake_list(struct target *t, const struct folder_ref *ref, const char *cursor, struct remote_mail *out,
	size_t cap, size_t *n, struct err *err)
{
	enum kind k = kind_of(t);
	unsigned from = 0;
	(void)ref;
	*n = 0;
	if (weather(err))
		return -1;
	if (cursor && *cursor)
		from = k == MIME             ? n_copies - copy_of(cursor)
		       : strchr(cursor, ':') ? copy_of(cursor) + 1
					     : (unsigned)strtoul(cursor, NULL, 10) - 1;
	for (unsigned i = from; i < n_copies && *n < cap && *n < 2; i++) {
		unsigned at = k == MIME ? n_copies - 1 - i : i;
		if (!is_shown(at))
			continue;
		struct remote_mail *m = &out[(*n)++];
		*m = (struct remote_mail){.size = 1};
		id_of(k, at, m->id, sizeof m->id);
		print_of(copies[at].content, &m->print);
		memset(m->print.sha256, 0, sizeof m->print.sha256);
	}
	return 0;
}

static int look_up(struct target *t, const char *id, struct err *err)
{
	assert_int_equal(id[0] == 'g', kind_of(t) == MIME); /* a route is never given another's id */
	unsigned n = copy_of(id);
	assert_true(n < n_copies);
	if (weather(err))
		return -1;
	return is_shown(n) ? 0 : err_set(err, ERR_GONE, "gone");
}

static int fake_read(struct target *t, const struct folder_ref *ref, const char *id, struct spool **out,
	struct fingerprint *print, struct err *err)
{
	char text[256];
	(void)ref;
	if (look_up(t, id, err))
		return -1;
	text_of(copies[copy_of(id)].content, text, sizeof text);
	if (print)
		print_of(copies[copy_of(id)].content, print);
	return spool_new(out, "/tmp", strlen(text), err) || spool_write(*out, text, strlen(text), err) ? -1 : 0;
}

static int fake_get_flags(
	struct target *t, const struct folder_ref *ref, const char *id, unsigned *flags, struct err *err)
{
	(void)ref;
	*flags = 0;
	return look_up(t, id, err);
}

static int fake_set_flags(
	struct target *t, const struct folder_ref *ref, const char *id, unsigned flags, struct err *err)
{
	(void)ref, (void)flags;
	return look_up(t, id, err);
}

#define COMMON \
	.folder = fake_folder, .find = fake_find, .list = fake_list, .read = fake_read, .get_flags = fake_get_flags, \
	.set_flags = fake_set_flags, .close = fake_close
static const struct target_ops fake_ops[KINDS] = {
	{.name = "imap", .max_batch = 4, .open = open_imap, COMMON},
	{.name = "mime", .max_batch = 1, .marks_by_ids = true, .open = open_mime, COMMON},
};

static unsigned deliver(unsigned content, bool ours, bool late)
{
	assert_true(n_copies < COPIES);
	copies[n_copies] = (struct copy){content, ours, true, late};
	return n_copies++;
}

#endif
