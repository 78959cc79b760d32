#include "upload/settle.h"

#include "upload/target.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct spool *spool_of(const char *text, size_t n)
{
	struct err e = ERR_INIT;
	struct spool *s = NULL;
	assert_int_equal(spool_new(&s, "/tmp", n, &e), 0);
	assert_int_equal(spool_write(s, text, n, &e), 0);
	return s;
}

static void digest_of(const char *text, size_t n, uint8_t out[CANON_BYTES])
{
	struct err e = ERR_INIT;
	struct spool *s = spool_of(text, n);
	assert_int_equal(canon_digest(s, out, &e), 0);
	spool_free(&s);
}

#define HEAD "From: A <a@b.example>\r\nTo: c@d.example\r\nDate: Mon, 1 Jul 2002 10:00:00 +0200\r\n"
#define PLAIN HEAD "Subject: x\r\n\r\nhello\r\n"

/* What a server may write anew, and what makes another message. */
static const struct {
	bool same;
	const char *what, *a, *b;
} cases[] = {
	{true, "itself", PLAIN, PLAIN},
	{true, "an encoded subject", HEAD "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nhello\r\n",
		HEAD "Subject: =?iso-8859-1?B?R3L832U=?=\r\n\r\nhello\r\n"},
	{true, "a subject in two words",
		HEAD "Subject: =?utf-8?q?Gr=C3=BC?=\r\n =?utf-8?q?=C3=9Fe_an_alle?=\r\n\r\nhello\r\n",
		HEAD "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe_an_alle?=\r\n\r\nhello\r\n"},
	{true, "a folded subject", HEAD "Subject: one\r\n two\tthree\r\n\r\nhello\r\n",
		HEAD "Subject: one two three\r\n\r\nhello\r\n"},
	{true, "raw 8-bit and encoded",
		HEAD "Subject: Gr\xc3\xbc\xc3\x9f"
		     "e\r\n\r\nhello\r\n",
		HEAD "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nhello\r\n"},
	{true, "another zone, same instant", "From: a@b.example\r\nDate: Mon, 1 Jul 2002 10:00:00 +0200\r\n\r\nx",
		"From: a@b.example\r\nDate: 1 Jul 2002 08:00:00 GMT\r\n\r\nx"},
	{true, "the address in other dress", "From: \"A\" <a@B.example>\r\n\r\nx",
		"From: =?utf-8?q?A?= <a@b.example>\r\n\r\nx"},
	{true, "a Message-ID and a trace added", PLAIN,
		"Received: by x; 1 Jul 2002\r\nMessage-ID: <made@server>\r\nX-Ms: y\r\n" PLAIN},
	{true, "Bcc dropped", "Bcc: z@z.example\r\n" PLAIN, PLAIN},
	{true, "transfer encodings", HEAD "Subject: x\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8NCg==\r\n",
		HEAD "Subject: x\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nhel=6Co\r\n"},
	{true, "charsets",
		HEAD "Content-Type: text/plain; charset=iso-8859-1\r\n\r\nGr\xfc\xdf"
		     "e\r\n",
		HEAD "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "
		     "8bit\r\n\r\nGr\xc3\xbc\xc3\x9f"
		     "e\r\n"},
	{true, "blanks and lines at ends", HEAD "\r\none  \r\ntwo\t\r\n\r\n\r\n", HEAD "\r\none\r\ntwo"},
	{true, "line ends", HEAD "\r\none\r\ntwo\r\n",
		"From: A <a@b.example>\nTo: c@d.example\nDate: 1 Jul 2002 08:00:00 GMT\n\none\ntwo\n"},
	{true, "another boundary",
		HEAD "Content-Type: multipart/mixed; "
		     "boundary=a\r\n\r\npre\r\n--a\r\n\r\none\r\n--a\r\n\r\ntwo\r\n--a--\r\n",
		HEAD "Content-Type: multipart/mixed; "
		     "boundary=\"bb\"\r\n\r\n--bb\r\n\r\none\r\n--bb\r\n\r\ntwo\r\n--bb--\r\nepi\r\n"},
	{true, "a wrapper with one child",
		HEAD "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: "
		     "text/plain\r\n\r\none\r\n--a--\r\n",
		HEAD "Content-Type: text/plain\r\n\r\none\r\n"},
	{true, "a file name's form",
		HEAD "Content-Type: image/png; name=\"=?utf-8?q?=C3=BC.png?=\"\r\nContent-Transfer-Encoding: "
		     "base64\r\n\r\nAAAA\r\n",
		HEAD "Content-Type: IMAGE/PNG\r\nContent-Disposition: attachment; filename*=utf-8''%C3%BC.png\r\n"
		     "Content-Transfer-Encoding: base64\r\n\r\nAA\r\nAA\r\n"},
	{false, "another text", PLAIN, HEAD "Subject: x\r\n\r\nhellp\r\n"},
	{false, "another subject", PLAIN, HEAD "Subject: y\r\n\r\nhello\r\n"},
	{false, "another instant", "Date: 1 Jul 2002 08:00:00 GMT\r\n\r\nx", "Date: 1 Jul 2002 08:00:01 GMT\r\n\r\nx"},
	{false, "another recipient", "To: a@b\r\n\r\nx", "To: a@c\r\n\r\nx"},
	{false, "To and Cc", "To: a@b\r\n\r\nx", "Cc: a@b\r\n\r\nx"},
	{false, "a blank inside a line", HEAD "\r\na b\r\n", HEAD "\r\na  b\r\n"},
	{false, "another attachment",
		HEAD "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n",
		HEAD "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAB\r\n"},
	{false, "line ends in binary",
		HEAD "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nDQo=\r\n",
		HEAD "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nCg==\r\n"},
	{false, "a part more",
		HEAD "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\none\r\n--a\r\n\r\ntwo\r\n--a--\r\n",
		HEAD "Content-Type: multipart/mixed; "
		     "boundary=a\r\n\r\n--a\r\n\r\none\r\n--a\r\n\r\ntwo\r\n--a\r\n\r\ntwo\r\n--a--\r\n"},
	{false, "the order of parts",
		HEAD "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\none\r\n--a\r\n\r\ntwo\r\n--a--\r\n",
		HEAD "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\ntwo\r\n--a\r\n\r\none\r\n--a--\r\n"},
	{false, "another inner message", HEAD "Content-Type: message/rfc822\r\n\r\nSubject: i\r\n\r\nx\r\n",
		HEAD "Content-Type: message/rfc822\r\n\r\nSubject: j\r\n\r\nx\r\n"},
	{false, "a multipart without any delimiter", HEAD "Content-Type: multipart/mixed; boundary=a\r\n\r\none\r\n",
		HEAD "Content-Type: multipart/mixed; boundary=a\r\n\r\ntwo\r\n"},
	{false, "two that are empty but for a body", "\r\na", "\r\nb"},
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t a[CANON_BYTES], b[CANON_BYTES];
		digest_of(cases[i].a, strlen(cases[i].a), a);
		digest_of(cases[i].b, strlen(cases[i].b), b);
		if (!memcmp(a, b, sizeof(a)) != cases[i].same)
			fail_msg("%s: %s", cases[i].what, cases[i].same ? "differ" : "are taken for the same");
	}
}

/* Structures that no honest message has: an end, flat memory, and still a digest that tells two of them apart. */
static char *hostile(int kind, size_t n, char last, size_t *len)
{
	char *text = malloc(n * 80 + 1024), *p = text;
	p += snprintf(p, 200, "From: a@b.example\r\n");
	if (kind == 2 || kind == 3)
		p += snprintf(p, 200, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
	for (size_t i = 0; i < n; i++) {
		switch (kind) {
		case 0:
			p += snprintf(p, 80, "Content-Type: multipart/x; boundary=%zu\r\n\r\n--%zu\r\n", i, i);
			break;
		case 1:
			p += snprintf(p, 80, "Content-Type: message/rfc822\r\n\r\n");
			break;
		case 2:
			p += snprintf(p, 80, "--b\r\n\r\nx\r\n");
			break;
		case 3:
			p += snprintf(p, 80, "%s: x\r\n", i % 2 ? "Subject" : "To");
			break;
		default:
			p += snprintf(p, 80, "X-%zu: %060d\r\n", i, 7);
			break;
		}
	}
	p += snprintf(p, 80, "\r\n\r\nlast %c\r\n", last);
	*len = (size_t)(p - text);
	return text;
}

static void test_hostile(void **state)
{
	(void)state;
	static const size_t counts[] = {50, 100000};
	for (int kind = 0; kind < 5; kind++) {
		for (size_t i = 0; i < 2; i++) {
			uint8_t a[CANON_BYTES], b[CANON_BYTES], c[CANON_BYTES];
			size_t n;
			char *text = hostile(kind, counts[i], 'x', &n);
			digest_of(text, n, a);
			digest_of(text, n, b);
			free(text);
			text = hostile(kind, counts[i], 'y', &n);
			digest_of(text, n, c);
			free(text);
			assert_memory_equal(a, b, sizeof(a));
			if (kind != 2 || i == 1) /* behind the last delimiter only the raw octets count */
				assert_memory_not_equal(a, c, sizeof(a));
		}
	}
}

/* One part over several reads, in a file rather than in memory. */
static void test_large(void **state)
{
	(void)state;
	static const char head[] = HEAD "Content-Type: text/plain\r\n\r\n";
	size_t lines = 40000, n = sizeof(head) - 1 + lines * 64;
	char *text = malloc(n + 1), *p = text + sizeof(head) - 1;
	uint8_t a[CANON_BYTES], b[CANON_BYTES];
	memcpy(text, head, sizeof(head) - 1);
	for (size_t i = 0; i < lines; i++, p += 64)
		snprintf(p, 65, "%061zu \r\n", i);
	digest_of(text, n, a);
	digest_of(text, n - 2, b);
	assert_memory_equal(a, b, sizeof(a));
	text[n - 10] = '!';
	digest_of(text, n, b);
	assert_memory_not_equal(a, b, sizeof(a));
	free(text);
}

int main(void)
{
	upload_init();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_large),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
