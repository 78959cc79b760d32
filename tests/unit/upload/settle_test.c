/* settle against a destination in memory. */
#include "upload/settle.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct stored {
	const char *id, *text;
	bool gone;
};

struct memory_target {
	struct target base;
	const struct stored *v;
	size_t n;
	unsigned reads;
	enum err_kind fail_read; /* NONE: not */
};

/* Header values of "Name: value\r\n" lines; enough for these texts. */
static char *field(const char *text, const char *name)
{
	const char *at = strstr(text, name);
	return at ? strndup(at + strlen(name) + 2, strcspn(at + strlen(name) + 2, "\r")) : strdup("");
}

static void print_of(const char *text, bool with_content, struct fingerprint *p)
{
	*p = (struct fingerprint){.size = strlen(text),
		.message_id = field(text, "Message-ID"),
		.date = field(text, "Date"),
		.from = field(text, "From"),
		.subject = field(text, "Subject")};
	if (with_content)
		EVP_Digest(text, strlen(text), p->sha256, NULL, EVP_sha256(), NULL);
}

static int memory_list(struct target *t, const struct folder_ref *f, const char *cursor, struct remote_mail *out,
	size_t cap, size_t *n, struct err *err)
{
	struct memory_target *m = (struct memory_target *)t;
	(void)f, (void)err;
	size_t at = 0;
	for (*n = 0; at < m->n && strcmp(m->v[at].id, cursor) <= 0; at++)
		;
	for (; at < m->n && *n < cap && *n < 2; at++, ++*n) { /* short pages */
		out[*n] = (struct remote_mail){.size = strlen(m->v[at].text)};
		snprintf(out[*n].id, sizeof(out[*n].id), "%s", m->v[at].id);
		print_of(m->v[at].text, false, &out[*n].print);
	}
	return 0;
}

static int memory_read(struct target *t, const struct folder_ref *f, const char *id, struct spool **out,
	struct fingerprint *print, struct err *err)
{
	struct memory_target *m = (struct memory_target *)t;
	(void)f;
	m->reads++;
	if (m->fail_read != ERR_NONE)
		return err_set(err, m->fail_read, "as the test wants");
	for (size_t i = 0; i < m->n; i++) {
		if (strcmp(m->v[i].id, id) != 0)
			continue;
		if (m->v[i].gone)
			return err_set(err, ERR_GONE, "gone");
		print_of(m->v[i].text, true, print);
		size_t n = strlen(m->v[i].text);
		return spool_new(out, "/tmp", n, err) || spool_write(*out, m->v[i].text, n, err);
	}
	return err_set(err, ERR_INTERNAL, "no such message");
}

static const struct target_ops memory_ops = {.name = "mem", .list = memory_list, .read = memory_read};

#define H(id, subject) "Message-ID: " id "\r\nDate: 1 Jul 2002 08:00:00 GMT\r\nFrom: a@b\r\nSubject: " subject "\r\n"
#define BARE(subject) "Date: 1 Jul 2002 08:00:00 GMT\r\nFrom: a@b\r\nSubject: " subject "\r\n"
#define A H("<1@x>", "one") "\r\nbody a\r\n"
#define A_ENCODED H("<1@x>", "=?utf-8?q?one?=") "Content-Transfer-Encoding: base64\r\n\r\nYm9keSBhDQo=\r\n"
#define A_OTHER_BODY H("<1@x>", "one") "\r\nbody z\r\n"
#define B H("<2@x>", "two") "\r\nbody b\r\n"
#define NO_ID BARE("three") "\r\nbody c\r\n"
#define NO_ID_STORED H("<made@server>", "three") "\r\nbody c\r\n"

#define MOST 4
static const struct {
	const char *what;
	const char *pending[MOST];  /* items in doubt */
	struct stored stored[MOST]; /* in order of id */
	const char *mark;
	const char *claimed[2];
	const char *found[MOST]; /* expected id; NULL: absent; "?": needs its canonical digest */
	unsigned reads;
	const char *found_canon[MOST]; /* the same, once the items come with their canonical digest */
} cases[] = {
	{"nothing there", {A, B}, {{0}}, "0", {0}, {NULL, NULL}, 0, {NULL, NULL}},
	{"one of two there", {A, B}, {{"5", B, 0}}, "0", {0}, {NULL, "5"}, 1, {NULL, "5"}},
	{"others are not read", {A}, {{"5", B, 0}, {"6", NO_ID, 0}}, "0", {0}, {NULL}, 0, {NULL}},
	{"before the mark", {A}, {{"5", A, 0}}, "5", {0}, {NULL}, 0, {NULL}},
	{"claimed", {A}, {{"5", A, 0}, {"6", A, 0}}, "0", {"5"}, {"6"}, 1, {"6"}},
	{"all claimed", {A}, {{"5", A, 0}, {"6", A, 0}}, "0", {"5", "6"}, {NULL}, 0, {NULL}},
	{"identical items, one there", {A, A}, {{"5", A, 0}}, "0", {0}, {"5", NULL}, 1, {"5", NULL}},
	{"identical items, both there", {A, A}, {{"5", A, 0}, {"6", A, 0}}, "0", {0}, {"5", "6"}, 2, {"5", "6"}},
	{"identical items, more there", {A, A}, {{"5", A, 0}, {"6", A, 0}, {"7", A, 0}}, "0", {0}, {"5", "6"}, 2,
		{"5", "6"}},
	{"one header, two bodies", {A, A_OTHER_BODY}, {{"5", A_OTHER_BODY, 0}, {"6", A, 0}}, "0", {0}, {"6", "5"}, 2,
		{"6", "5"}},
	{"one header, another body", {A}, {{"5", A_OTHER_BODY, 0}}, "0", {0}, {"?"}, 1, {NULL}},
	{"encoded anew", {A}, {{"5", A_ENCODED, 0}}, "0", {0}, {"?"}, 1, {"5"}},
	{"an exact copy is preferred", {A}, {{"5", A_ENCODED, 0}, {"6", A, 0}}, "0", {0}, {"6"}, 2, {"6"}},
	{"one exact, one encoded", {A, A}, {{"5", A_ENCODED, 0}, {"6", A, 0}}, "0", {0}, {"6", "?"}, 2, {"6", "5"}},
	{"no Message-ID, kept so", {NO_ID}, {{"5", NO_ID, 0}}, "0", {0}, {"5"}, 1, {"5"}},
	{"no Message-ID, one was made", {NO_ID}, {{"5", NO_ID_STORED, 0}}, "0", {0}, {"?"}, 1, {"5"}},
	{"no Message-ID twice, one was made", {NO_ID, NO_ID}, {{"5", NO_ID, 0}, {"6", NO_ID_STORED, 0}}, "0", {0},
		{"5", "?"}, 2, {"5", "6"}},
	{"gone while we look", {A}, {{"5", A, 1}, {"6", A, 0}}, "0", {0}, {"6"}, 2, {"6"}},
};

static void expect(const char *what, const char *text, const struct pending *p, const char *want)
{
	const char *got = p->outcome == SETTLE_FOUND ? p->receipt.id : p->outcome == SETTLE_NEEDS_CANON ? "?" : NULL;
	if (!got != !want || (got && strcmp(got, want) != 0))
		fail_msg("%s: \"%.20s\" came to %s instead of %s", what, text, got ? got : "absent",
			want ? want : "absent");
	if (p->outcome == SETTLE_FOUND)
		assert_string_equal(p->receipt.route, "mem");
}

static size_t count(const void *const *v, size_t most)
{
	size_t n = 0;
	while (n < most && v[n])
		n++;
	return n;
}

static void canon_of(const char *text, uint8_t out[CANON_BYTES])
{
	struct err e = ERR_INIT;
	struct spool *s = NULL;
	assert_int_equal(spool_new(&s, "/tmp", strlen(text), &e), 0);
	assert_int_equal(spool_write(s, text, strlen(text), &e), 0);
	assert_int_equal(canon_digest(s, out, &e), 0);
	spool_free(&s);
}

static void test_cases(void **state)
{
	(void)state;
	struct folder_ref f = {.path = (char[]){"F"}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct memory_target m = {.base = {&memory_ops}, .v = cases[i].stored};
		struct fingerprint prints[MOST];
		struct pending v[MOST] = {0};
		uint8_t canon[MOST][CANON_BYTES];
		struct err e = ERR_INIT;
		size_t n = count((const void *const *)cases[i].pending, MOST),
		       claimed = count((const void *const *)cases[i].claimed, 2);
		while (m.n < MOST && cases[i].stored[m.n].id)
			m.n++;
		for (size_t k = 0; k < n; k++) {
			print_of(cases[i].pending[k], true, &prints[k]);
			canon_of(cases[i].pending[k], canon[k]);
			v[k].print = &prints[k];
		}
		assert_int_equal(settle_pending(&m.base, &f, cases[i].mark, cases[i].claimed, claimed, v, n, &e), 0);
		for (size_t k = 0; k < n; k++)
			expect(cases[i].what, cases[i].pending[k], &v[k], cases[i].found[k]);
		if (m.reads != cases[i].reads)
			fail_msg("%s: %u messages read", cases[i].what, m.reads);
		for (size_t k = 0; k < n; k++)
			v[k].canon = canon[k];
		assert_int_equal(settle_pending(&m.base, &f, cases[i].mark, cases[i].claimed, claimed, v, n, &e), 0);
		for (size_t k = 0; k < n; k++) {
			expect(cases[i].what, cases[i].pending[k], &v[k], cases[i].found_canon[k]);
			fingerprint_done(&prints[k]);
		}
	}
}

/* What another route placed takes its copy first; one whose content nobody can tell takes any of its key. */
static void test_twins(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		const char *twins[MOST], *pending[MOST];
		struct stored stored[MOST];
		bool any; /* the twins' content cannot be had */
		const char *found[MOST];
	} twin_cases[] = {
		{"the only copy is the twin's", {A}, {A}, {{"5", A, 0}}, false, {NULL}},
		{"one more than the twins", {A}, {A}, {{"5", A, 0}, {"6", A, 0}}, false, {"6"}},
		{"two in doubt, one twin, two copies", {A}, {A, A}, {{"5", A, 0}, {"6", A, 0}}, false, {"6", NULL}},
		{"a twin of another content takes nothing", {B}, {A}, {{"5", A, 0}}, false, {"5"}},
		{"another body under the same header", {A_OTHER_BODY}, {A}, {{"5", A, 0}, {"6", A_OTHER_BODY, 0}},
			false, {"5"}},
		{"content unknown: the copy could be the twin's", {A}, {A}, {{"5", A_ENCODED, 0}}, true, {NULL}},
		{"content unknown, two copies", {A}, {A}, {{"5", A_ENCODED, 0}, {"6", A_ENCODED, 0}}, true, {"6"}},
	};
	for (size_t c = 0; c < sizeof(twin_cases) / sizeof(twin_cases[0]); c++) {
		struct err e = ERR_INIT;
		struct memory_target m = {.base = {&memory_ops}, .v = twin_cases[c].stored};
		struct folder_ref f = {.path = (char *)(uintptr_t) "INBOX"};
		struct settle_query q = {.folder = &f, .mark = "0"};
		struct fingerprint prints[2 * MOST];
		uint8_t canon[2 * MOST][CANON_BYTES];
		struct pending v[2 * MOST];
		size_t twins = count((const void *const *)twin_cases[c].twins, MOST), n = twins;
		while (m.n < MOST && m.v[m.n].id)
			m.n++;
		n += count((const void *const *)twin_cases[c].pending, MOST);
		for (size_t i = 0; i < n; i++) {
			const char *text = i < twins ? twin_cases[c].twins[i] : twin_cases[c].pending[i - twins];
			print_of(text, true, &prints[i]);
			canon_of(text, canon[i]);
			bool any = i < twins && twin_cases[c].any;
			v[i] = (struct pending){.print = &prints[i],
				.twin = i < twins,
				.any_content = any,
				.canon = any ? NULL : canon[i]};
			if (any) /* what the server holds of it has other octets */
				memset(prints[i].sha256, 1, sizeof(prints[i].sha256));
		}
		assert_int_equal(settle_look(&m.base, &q, v, n, &e), 0);
		for (size_t i = twins; i < n; i++)
			expect(twin_cases[c].what, twin_cases[c].pending[i - twins], &v[i],
				twin_cases[c].found[i - twins]);
		for (size_t i = 0; i < n; i++)
			fingerprint_done(&prints[i]);
	}
}

/* As long as a twin's meaning is not known, a copy that fits an item in doubt is not given to it. */
static void test_twin_undecided(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct stored stored[] = {{"5", A_ENCODED, false}};
	struct memory_target m = {.base = {&memory_ops}, .v = stored, .n = 1};
	struct folder_ref f = {.path = (char *)(uintptr_t) "INBOX"};
	struct settle_query q = {.folder = &f};
	struct fingerprint print;
	uint8_t canon[CANON_BYTES];
	print_of(A, true, &print);
	canon_of(A, canon);
	struct pending v[2] = {{.print = &print, .twin = true}, {.print = &print, .canon = canon}};
	assert_int_equal(settle_look(&m.base, &q, v, 2, &e), 0);
	assert_int_equal(v[0].outcome, SETTLE_NEEDS_CANON);
	assert_int_equal(v[1].outcome, SETTLE_NEEDS_CANON);
	v[0].canon = canon;
	assert_int_equal(settle_look(&m.base, &q, v, 2, &e), 0);
	assert_int_equal(v[0].outcome, SETTLE_FOUND);
	assert_int_equal(v[1].outcome, SETTLE_ABSENT);
	fingerprint_done(&print);
}

static void test_errors(void **state)
{
	(void)state;
	static const struct stored stored[] = {{"5", A, false}, {"6", A, false}};
	struct memory_target m = {.base = {&memory_ops}, .v = stored, .n = 2, .fail_read = ERR_LOST};
	struct folder_ref f = {.path = (char[]){"F"}};
	struct fingerprint print;
	struct err e = ERR_INIT;
	print_of(A, true, &print);
	struct pending v = {.print = &print};
	assert_int_equal(settle_pending(&m.base, &f, "0", NULL, 0, &v, 1, &e), -1);
	assert_int_equal(e.kind, ERR_LOST);
	assert_int_equal(settle_pending(&m.base, &f, "0", NULL, 0, &v, 0, &e), 0);
	fingerprint_done(&print);
}

int main(void)
{
	upload_init();
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_twins),
		cmocka_unit_test(test_twin_undecided), cmocka_unit_test(test_errors)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
