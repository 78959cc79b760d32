/* A proof on a route of the test's own: a folder in memory that keeps, loses or alters what it is given. */
#include "upload/prove.h"

#include "upload/claims.h"
#include "upload/permission.h"
#include "upload/probe_mail.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MOST 32

static struct {
	bool draft, no_date, no_seen, no_flag, other_sender, other_text, no_headers, vanishes, no_keywords, foreign;
	uint64_t cap;
	enum err_kind put_fails, folder_fails, open_fails;
	bool dies; /* the session breaks at a message over the cap */
	bool dead;
	unsigned opens;
	bool folder_there;
	struct {
		char id[16];
		struct spool *body;
		struct fingerprint print;
		unsigned flags;
		struct mail_date received;
		bool keyword;
	} v[MOST];
	size_t n;
	unsigned ids, puts;
} box;

static void box_empty(void)
{
	while (box.n > 0) {
		spool_free(&box.v[--box.n].body);
		fingerprint_done(&box.v[box.n].print);
	}
	memset(&box, 0, sizeof(box));
}

static int box_open(
	struct target **out, const struct target_conf *conf, struct gate *gate, struct stop *stop, struct err *err)
{
	(void)conf, (void)gate, (void)stop;
	extern const struct target_ops box_ops;
	box.opens++;
	if (box.open_fails != ERR_NONE)
		return err_set(err, box.open_fails, "as the test wants");
	box.dead = false;
	*out = calloc(1, sizeof(**out));
	(*out)->ops = &box_ops;
	return 0;
}

static void box_close(struct target **t)
{
	free(*t);
	*t = NULL;
}

static int box_folder(struct target *t, const char *path, struct folder_ref *out, struct err *err)
{
	(void)t;
	if (box.folder_fails != ERR_NONE)
		return err_set(err, box.folder_fails, "as the test wants");
	bool first = !strcmp(path, "nightferry probe");
	if (!first && !box.foreign)
		fail_msg("another folder: %s", path);
	box.folder_there = true;
	*out = (struct folder_ref){
		.path = strdup(path), .id = strdup("F"), .generation = strdup(""), .mark = strdup("")};
	out->existing = first ? box.n : 0;
	return 0;
}

static char *altered(const struct spool *body, size_t *n)
{
	*n = (size_t)spool_size(body);
	char *text = malloc(*n + 1);
	size_t got;
	struct err err = ERR_INIT;
	assert_int_equal(spool_read(body, 0, text, *n, &got, &err), 0);
	text[*n] = 0;
	char *at;
	if (box.no_headers && (at = strstr(text, "X-Nightferry-Probe-7")))
		memcpy(at, "X-Nightferry-Probe-8", 20);
	if (box.other_text && (at = strstr(text, "to see what becomes")))
		memcpy(at, "TO", 2);
	return text;
}

static int box_put(struct target *t, const struct folder_ref *f, struct put_item *v, size_t n, struct err *err)
{
	(void)t, (void)f;
	assert_int_equal(n, 1);
	uint64_t size = spool_size(v->mail->body);
	box.puts++;
	if (box.put_fails != ERR_NONE) {
		v->result = PUT_NOT_SENT;
		return err_set(&v->err, box.put_fails, "as the test wants"), 0;
	}
	if (box.cap && size > box.cap && box.dies) {
		v->result = PUT_IN_DOUBT;
		box.dead = true;
		return err_set(err, ERR_LOST, "broken");
	}
	if (box.cap && size > box.cap && !box.vanishes) {
		v->result = PUT_REFUSED;
		return err_set(&v->err, ERR_TOO_BIG, "too big"), 0;
	}
	v->result = PUT_PLACED;
	snprintf(v->receipt.id, sizeof(v->receipt.id), "id%u", ++box.ids);
	if (box.cap && size > box.cap) {
		v->receipt.id[0] = 0;
		return 0;
	}
	assert_true(box.n < MOST);
	size_t length;
	char *text = altered(v->mail->body, &length);
	snprintf(box.v[box.n].id, sizeof(box.v[0].id), "%s", v->receipt.id);
	assert_int_equal(spool_new(&box.v[box.n].body, "/tmp", length, err), 0);
	assert_int_equal(spool_write(box.v[box.n].body, text, length, err), 0);
	free(text);
	assert_int_equal(fingerprint_copy(&box.v[box.n].print, &v->mail->print, err), 0);
	if (box.other_sender) {
		free(box.v[box.n].print.from);
		box.v[box.n].print.from = strdup("app@contoso.example");
	}
	if (box.no_headers || box.other_text)
		box.v[box.n].print.sha256[0] ^= 1;
	box.v[box.n].flags = v->mail->flags | (box.draft ? MAIL_DRAFT : 0);
	if (box.no_seen)
		box.v[box.n].flags &= ~(unsigned)MAIL_SEEN;
	if (box.no_flag)
		box.v[box.n].flags &= ~(unsigned)MAIL_FLAGGED;
	box.v[box.n].received = v->mail->received;
	if (box.no_date)
		box.v[box.n].received.at -= 600;
	box.v[box.n++].keyword = v->mail->keywords && !box.no_keywords;
	return 0;
}

static int box_list(struct target *t, const struct folder_ref *f, const char *cursor, struct remote_mail *out,
	size_t cap, size_t *n, struct err *err)
{
	(void)t, (void)f;
	size_t i = 0;
	*n = 0;
	if (box.dead)
		return err_set(err, ERR_LOST, "the session has ended");
	for (; *cursor && i < box.n && strcmp(box.v[i].id, cursor) != 0; i++)
		;
	for (i += *cursor != 0; i < box.n && *n < cap; i++, ++*n) {
		out[*n] = (struct remote_mail){
			.size = spool_size(box.v[i].body), .flags = box.v[i].flags, .received = box.v[i].received};
		snprintf(out[*n].id, sizeof(out[*n].id), "%s", box.v[i].id);
		assert_int_equal(fingerprint_copy(&out[*n].print, &box.v[i].print, err), 0);
	}
	return 0;
}

static size_t box_at(const char *id)
{
	size_t i = 0;
	while (i < box.n && strcmp(box.v[i].id, id) != 0)
		i++;
	return i;
}

static int box_read(struct target *t, const struct folder_ref *f, const char *id, struct spool **out,
	struct fingerprint *print, struct err *err)
{
	(void)t, (void)f;
	size_t i = box_at(id), length;
	assert_true(i < box.n);
	char *text = altered(box.v[i].body, &length);
	assert_int_equal(spool_new(out, "/tmp", length, err), 0);
	assert_int_equal(spool_write(*out, text, length, err), 0);
	free(text);
	return fingerprint_copy(print, &box.v[i].print, err);
}

static int box_keywords(
	struct target *t, const struct folder_ref *f, const char *id, char *out, size_t size, struct err *err)
{
	(void)t, (void)f, (void)err;
	snprintf(out, size, "other %s", box.v[box_at(id)].keyword ? PROBE_KEYWORD : "");
	return 0;
}

static int box_remove(struct target *t, const struct folder_ref *f, const char *id, struct err *err)
{
	(void)t, (void)f;
	size_t i = box_at(id);
	if (box.dead)
		return err_set(err, ERR_LOST, "the session has ended");
	if (!id[0])
		box.folder_there = box.n > 0;
	if (i < box.n) {
		spool_free(&box.v[i].body);
		fingerprint_done(&box.v[i].print);
		box.v[i] = box.v[--box.n];
	}
	return 0;
}

extern const struct target_ops box_ops;
const struct target_ops box_ops = {.name = "imap",
	.gives_date = true,
	.open = box_open,
	.folder = box_folder,
	.put = box_put,
	.list = box_list,
	.read = box_read,
	.get_keywords = box_keywords,
	.remove_probe = box_remove,
	.close = box_close};

static const struct target_conf conf = {.name = "t", .mailbox = "a@x", .imap_host = "h", .spool_dir = "/tmp"};

struct outcome {
	char steps[32][16], texts[32][600];
	enum prove_outcome outcomes[32];
	const char *blame; /* of the first failure */
	size_t n;
	struct prove_facts facts;
};

static void prove_with(const struct target_ops *ops, uint64_t most, struct outcome *out)
{
	struct prove_conf pc = {.ops = ops, .conf = &conf, .most_bytes = most};
	struct prove *p;
	struct prove_line line;
	struct err err = ERR_INIT;
	*out = (struct outcome){0};
	assert_int_equal(prove_new(&p, &pc, &err), 0);
	while (prove_next(p, &line)) {
		assert_true(out->n < 32);
		snprintf(out->steps[out->n], 16, "%s", line.step);
		snprintf(out->texts[out->n], 600, "%s", line.outcome == PROVE_FAILED ? line.err.text : line.text);
		out->outcomes[out->n++] = line.outcome;
		if (line.outcome == PROVE_FAILED && !out->blame)
			out->blame = line.blame;
	}
	out->facts = *prove_facts(p);
	prove_free(&p);
}

static enum prove_outcome of(const struct outcome *o, const char *step)
{
	for (size_t i = o->n; i-- > 0;)
		if (!strcmp(o->steps[i], step))
			return o->outcomes[i];
	fail_msg("no line %s", step);
	return PROVE_SKIPPED;
}

static void test_all_kept(void **unused)
{
	(void)unused;
	struct outcome o;
	box_empty();
	prove_with(&box_ops, 0, &o);
	for (size_t i = 0; i < o.n; i++)
		if (o.outcomes[i] != PROVE_OK)
			fail_msg("%s: %s", o.steps[i], o.texts[i]);
	assert_true(o.facts.passed && o.facts.date_kept && o.facts.flags_kept && o.facts.categories_kept &&
		    o.facts.content_kept);
	assert_int_equal(o.facts.refused, 0);
	assert_int_equal(o.facts.largest, 0); /* none was tried */
	assert_int_equal(box.n, 0);
	assert_false(box.folder_there);
}

static void test_what_is_lost(void **unused)
{
	(void)unused;
	static const struct {
		size_t knob; /* offset of a bool in box */
		const char *step;
		enum prove_outcome outcome;
		bool passed;
	} cases[] = {
		{offsetof(__typeof__(box), draft), "draft", PROVE_FAILED, false},
		{offsetof(__typeof__(box), no_date), "date", PROVE_FAILED, false},
		{offsetof(__typeof__(box), no_seen), "flags", PROVE_FAILED, false},
		{offsetof(__typeof__(box), no_flag), "flags", PROVE_NOTE, true},
		{offsetof(__typeof__(box), other_sender), "sender", PROVE_FAILED, false},
		{offsetof(__typeof__(box), other_text), "content", PROVE_FAILED, false},
		{offsetof(__typeof__(box), no_headers), "headers", PROVE_NOTE, true},
		{offsetof(__typeof__(box), no_keywords), "categories", PROVE_NOTE, true},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct outcome o;
		box_empty();
		*(bool *)((char *)&box + cases[i].knob) = true;
		prove_with(&box_ops, 50000, &o);
		if (of(&o, cases[i].step) != cases[i].outcome || o.facts.passed != cases[i].passed)
			fail_msg("case %zu: %s", i, cases[i].step);
		if (!cases[i].passed) {
			assert_string_equal(o.blame, "route");
			assert_int_equal(of(&o, "size"), PROVE_SKIPPED);
			assert_non_null(strstr(o.facts.text, cases[i].step));
		}
		assert_int_equal(of(&o, "clean-up"), PROVE_OK);
		assert_int_equal(box.n, 0);
		assert_false(box.folder_there);
	}
	/* a route that cannot give a date is not to blame for it */
	struct target_ops mime = box_ops;
	struct outcome o;
	mime.gives_date = false;
	box_empty();
	box.no_date = true;
	prove_with(&mime, 0, &o);
	assert_int_equal(of(&o, "date"), PROVE_NOTE);
	assert_true(o.facts.passed && !o.facts.date_kept);
}

static void test_failures(void **unused)
{
	(void)unused;
	struct outcome o;
	box_empty();
	box.open_fails = ERR_CREDENTIALS;
	prove_with(&box_ops, 0, &o);
	assert_string_equal(o.blame, "rights, IMAP disabled or mailbox");
	assert_int_equal(o.n, 2); /* the failure, and that nothing else was reached */
	box_empty();
	box.folder_fails = ERR_RIGHTS;
	prove_with(&box_ops, 0, &o);
	assert_string_equal(o.blame, "rights");
	box_empty();
	box.put_fails = ERR_QUOTA;
	prove_with(&box_ops, 0, &o);
	assert_string_equal(o.blame, "mailbox is full");
	assert_int_equal(of(&o, "clean-up"), PROVE_OK);
	assert_false(box.folder_there);
	box_empty();
	box.put_fails = ERR_FIREWALL;
	prove_with(&box_ops, 0, &o);
	assert_string_equal(o.blame, "network");
}

static void test_sizes(void **unused)
{
	(void)unused;
	static const uint64_t caps[] = {0, 3000000, 2999999, 1500000, 600000, 70000, 20000};
	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++)
		for (int vanishes = 0; vanishes < 2; vanishes++) {
			struct outcome o;
			box_empty();
			box.cap = caps[i];
			box.vanishes = vanishes;
			prove_with(&box_ops, 3000000, &o);
			assert_true(o.facts.passed);
			if (caps[i] == 0 || caps[i] == 3000000) {
				assert_int_equal(o.facts.largest, 3000000);
				assert_int_equal(o.facts.refused, 0);
			} else {
				assert_true(o.facts.largest <= caps[i] && o.facts.refused > caps[i]);
				assert_true(o.facts.refused - o.facts.largest <= 3000000 / 64);
				assert_int_equal(of(&o, "size"), PROVE_NOTE);
			}
			assert_true(box.puts <= 2 + 10);
			assert_int_equal(box.n, 0);
		}
	box_empty(); /* a host that hangs up on a large message: the session is made again to clean up */
	box.cap = 100000;
	box.dies = true;
	struct outcome o;
	prove_with(&box_ops, 3000000, &o);
	assert_true(o.facts.passed);
	assert_int_equal(o.facts.refused, 0);
	assert_int_equal(box.opens, 2);
	assert_int_equal(box.n, 0);
	box_empty();
}

static void test_next_size(void **unused)
{
	(void)unused;
	assert_int_equal(prove_next_size(2000, 0, 4000000), 4000000);
	assert_int_equal(prove_next_size(4000000, 0, 4000000), 0);
	assert_int_equal(prove_next_size(2000, 4000000, 4000000), 2001000);
	assert_int_equal(prove_next_size(3990000, 4000000, 4000000), 0);
	assert_int_equal(prove_next_size(5000, 4000, 4000000), 0);
	assert_int_equal(prove_next_size(0, UINT64_MAX, UINT64_MAX), UINT64_MAX / 2);
}

/* Somebody else's mail in a folder of that name is left alone. */
static void test_folder_of_others(void **unused)
{
	(void)unused;
	struct outcome o;
	struct err err = ERR_INIT;
	box_empty();
	box.foreign = true;
	snprintf(box.v[0].id, sizeof(box.v[0].id), "theirs");
	assert_int_equal(spool_new(&box.v[0].body, "/tmp", 1, &err), 0);
	box.v[0].print = (struct fingerprint){.message_id = strdup("<a@b>"),
		.subject = strdup("nightferry probe"),
		.from = strdup(""),
		.date = strdup("")};
	box.n = 1;
	prove_with(&box_ops, 0, &o);
	assert_non_null(strstr(o.texts[1], "nightferry probe 2"));
	assert_int_equal(of(&o, "clean-up"), PROVE_NOTE); /* this box has one folder only, and theirs is still in it */
	assert_int_equal(box.n, 1);
	assert_string_equal(box.v[0].id, "theirs");
	box_empty();
}

static void test_probe_mail(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct mail *m;
	bool kept;
	for (uint64_t bytes = PROBE_LEAST_BYTES; bytes < 90000; bytes += 977) {
		assert_int_equal(probe_mail_make_size(bytes, "/tmp", 1700000000, &m, &err), 0);
		assert_int_equal(spool_size(m->body), bytes);
		assert_int_equal(m->defects.longest_line > 200, 0);
		assert_false(m->defects.bare_line_end);
		assert_true(probe_mail_is_ours(&m->print));
		mail_free(&m);
	}
	assert_int_equal(probe_mail_make(PROBE_SIGNED, "/tmp", 1700000000, &m, &err), 0);
	assert_int_equal(probe_mail_signature(m, m->body, &kept, &err), 0);
	assert_true(kept);
	assert_false(m->defects.eight_bit_header || m->defects.bare_line_end);
	size_t n = (size_t)spool_size(m->body);
	char *text = malloc(n + 1);
	memcpy(text, spool_memory(m->body), n);
	text[n] = 0;
	memcpy(strstr(text, "this line:  "), "this line:\r\n",
		12); /* a blank at a line's end is what signatures break at */
	struct spool *s;
	assert_int_equal(spool_new(&s, "/tmp", n, &err), 0);
	assert_int_equal(spool_write(s, text, n, &err), 0);
	assert_int_equal(probe_mail_signature(m, s, &kept, &err), 0);
	assert_false(kept);
	spool_free(&s);
	free(text);
	struct mail_date d = m->received;
	assert_int_equal(probe_mail_date(m, &d, 1700000000), PROBE_DATE_KEPT);
	d.at -= 3600;
	assert_int_equal(probe_mail_date(m, &d, 1700000000), PROBE_DATE_HEADER);
	d.at = 1700000005;
	assert_int_equal(probe_mail_date(m, &d, 1700000000), PROBE_DATE_NOW);
	d.known = false;
	assert_int_equal(probe_mail_date(m, &d, 1700000000), PROBE_DATE_OTHER);
	mail_free(&m);
}

static void test_roles(void **unused)
{
	(void)unused;
	static const struct {
		const char *token, *roles; /* NULL: unreadable */
	} cases[] = {
		{"eyJhbGciOiJub25lIn0.eyJyb2xlcyI6WyJJTUFQLkFjY2Vzc0FzQXBwIiwiTWFpbC5SZWFkV3JpdGUiXX0.sig",
			"IMAP.AccessAsApp Mail.ReadWrite"},
		{"eyJhbGciOiJub25lIn0.e30.sig", ""}, {"opaque", NULL}, {"a.b", NULL}, {"a.!!.c", NULL}, {"a..c", NULL},
		{"a.W10.c", NULL}, /* [] */
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char roles[64];
		struct secret *s = secret_new(cases[i].token, strlen(cases[i].token));
		assert_int_equal(claims_roles(s, roles, sizeof(roles)), cases[i].roles != NULL);
		assert_string_equal(roles, cases[i].roles ? cases[i].roles : "");
		secret_free(&s);
	}
	assert_null(permission_missing("imap", "Mail.ReadWrite IMAP.AccessAsApp"));
	assert_string_equal(
		permission_missing("imap", "IMAP.AccessAsAppX xIMAP.AccessAsApp")->role, "IMAP.AccessAsApp");
	assert_string_equal(
		permission_missing("mime", "Mail.ReadWrite IMAP.AccessAsApp")->role, "Mail-Advanced.ReadWrite.All");
	assert_null(permission_missing("mime", "Mail-Advanced.ReadWrite.All Mail.ReadWrite"));
}

int main(void)
{
	upload_init();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_kept),
		cmocka_unit_test(test_what_is_lost),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_next_size),
		cmocka_unit_test(test_folder_of_others),
		cmocka_unit_test(test_probe_mail),
		cmocka_unit_test(test_roles),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
