/* The floor of the benchmark: the least work that moves mail between two IMAP servers over TLS. One thread, plain OpenSSL sockets, one FETCH
   a folder, bodies streamed straight into non-synchronising APPENDs with a window of answers outstanding. No checkpoint, no hash, no
   retry, no care. Only for a well-behaved server pair (Dovecot) in our own harness.
   usage: floor SRC_PORT SRC_USER SRC_PASS DST_PORT DST_USER DST_PASS CA FOLDER... */
#include "tests/bench/floor_wire.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WINDOW 128

static void one_answer(struct wire *to, unsigned long *outstanding)
{
	char line[FLOOR_LINE];
	do
		floor_line(to, line);
	while (strncmp(line, "p ", 2) != 0);
	if (strncmp(line, "p OK", 4) != 0)
		floor_die(line);
	--*outstanding;
}

static void move(struct wire *from, struct wire *to, const char *folder)
{
	char line[FLOOR_LINE], head[FLOOR_LINE];
	unsigned long outstanding = 0;

	floor_put(to, line, (size_t)snprintf(line, sizeof(line), "c CREATE \"%s\"\r\n", folder));
	floor_flush(to);
	do
		floor_line(to, line);
	while (strncmp(line, "c ", 2) != 0); /* it may be there */
	/* Dovecot opens the folder anew for each APPEND unless it is the selected one. */
	floor_put(to, line, (size_t)snprintf(line, sizeof(line), "s SELECT \"%s\"\r\n", folder));
	floor_wait_ok(to, "s");
	floor_fetch(from, folder);
	while (floor_next(from, line)) {
		unsigned long left = strtoul(floor_cut(line, "{", '}', "no literal"), NULL, 10);
		char *date = floor_cut(line, "INTERNALDATE \"", '"', "no date"),
		     *flags = floor_cut(line, "FLAGS (", ')', "no flags");
		char *recent = strstr(flags, "\\Recent"); /* the one flag that may not be set; it comes last */
		if (recent)
			*(recent > flags ? recent - 1 : recent) = '\0';
		floor_put(to, head,
			(size_t)snprintf(head, sizeof(head), "p APPEND \"%s\" (%s) \"%s\" {%lu+}\r\n", folder, flags,
				date, left));
		while (left > 0) {
			if (from->at == from->end)
				floor_fill(from);
			size_t part = from->end - from->at;
			part = part < left ? part : left;
			floor_put(to, from->in + from->at, part);
			from->at += part;
			left -= part;
		}
		floor_put(to, "\r\n", 2);
		floor_line(from, line); /* ")" */
		if (++outstanding >= WINDOW) {
			floor_flush(to);
			while (outstanding > WINDOW / 2)
				one_answer(to, &outstanding);
		}
	}
	floor_flush(to);
	while (outstanding > 0)
		one_answer(to, &outstanding);
}

int main(int argc, char **argv)
{
	if (argc < 9)
		floor_die("usage: floor SRC_PORT SRC_USER SRC_PASS DST_PORT DST_USER DST_PASS CA FOLDER...");
	signal(SIGPIPE, SIG_IGN);
	SSL_CTX *ctx = floor_trust(argv[7]);
	struct wire *from = floor_dial(ctx, argv[1]), *to = floor_dial(ctx, argv[4]);
	floor_login(from, argv[2], argv[3]);
	floor_login(to, argv[5], argv[6]);
	for (int i = 8; i < argc; i++)
		move(from, to, argv[i]);
	floor_put(from, "x LOGOUT\r\n", 10);
	floor_put(to, "x LOGOUT\r\n", 10);
	floor_flush(from);
	floor_flush(to);
	return 0;
}
