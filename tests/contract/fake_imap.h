/* An IMAP server that misbehaves on purpose: one mailbox of made-up messages on a loopback port, in a thread. What it does well is
   here; what it does badly is in the hooks of each test. Header only: each test program is one file. */
#ifndef NF_TESTS_FAKE_IMAP_H
#define NF_TESTS_FAKE_IMAP_H

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct fake_message {
	uint32_t uid;
	uint64_t announced;
	uint64_t size;
	char fill;        /* the body is a short header and this octet, size octets in all */
	const char *text; /* or: this, size octets */
};

struct fake {
	int fd;
	unsigned port;
	pthread_t thread;
	FILE *in, *out;
	struct fake_message *v; /* owned by the test */
	size_t n;
	const char *capabilities;
	const char *select_lines; /* instead of the usual ones */
	/* true: the hook has dealt with it. */
	bool (*on_command)(struct fake *f, const char *tag, const char *command);
	bool (*on_message)(struct fake *f, size_t i, const char *items); /* instead of the message's FETCH line */
	bool (*on_reply)(struct fake *f, const char *tag, const char *command);
	bool (*on_append)(struct fake *f, const char *tag, const char *command, uint64_t size);
	int counter;      /* the hooks' */
	uint32_t special; /* the hooks': a UID */
	unsigned fetches, body_fetches, appends, stored;
	pthread_mutex_t lock; /* held while a command is answered */
};

/* What the server's thread did up to the last answer can be looked at after this, and what was set before it is seen by that thread. */
static inline void fake_sync(struct fake *f)
{
	pthread_mutex_lock(&f->lock);
	pthread_mutex_unlock(&f->lock);
}

__attribute__((format(printf, 2, 3))) static inline void fake_say(struct fake *f, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vfprintf(f->out, fmt, ap);
	va_end(ap);
}

/* Octets [at, at + n) of a message. */
static inline void fake_body(struct fake *f, const struct fake_message *m, uint64_t at, uint64_t n)
{
	char head[64], block[4096];
	int len = snprintf(head, sizeof(head), "Message-ID: <%u@fake>\r\n\r\n", m->uid);
	if (m->text) {
		fwrite(m->text + at, 1, n, f->out);
		return;
	}
	memset(block, m->fill ? m->fill : 'x', sizeof(block));
	while (n > 0) {
		if (at < (uint64_t)len) {
			fputc(head[at++], f->out);
			n--;
			continue;
		}
		size_t k = n < sizeof(block) ? (size_t)n : sizeof(block);
		fwrite(block, 1, k, f->out);
		at += k;
		n -= k;
	}
}

static inline void fake_fetch_line(struct fake *f, size_t i, const char *items)
{
	const struct fake_message *m = &f->v[i];
	const char *body = strstr(items, "BODY.PEEK[]");
	fake_say(f, "* %zu FETCH (UID %u", i + 1, m->uid);
	if (strstr(items, "RFC822.SIZE"))
		fake_say(f, " RFC822.SIZE %llu", (unsigned long long)m->announced);
	if (strstr(items, "INTERNALDATE"))
		fake_say(f, " INTERNALDATE \"01-Jul-2003 10:52:37 +0200\"");
	if (strstr(items, "FLAGS"))
		fake_say(f, " FLAGS (\\Seen k%u)", m->uid);
	if (body && body[11] == '<') {
		unsigned long long at = 0, n = 0;
		sscanf(body + 12, "%llu.%llu", &at, &n);
		uint64_t have = at < m->size ? m->size - at : 0;
		fake_say(f, " BODY[]<%llu> {%llu}\r\n", at, (unsigned long long)(have < n ? have : n));
		fake_body(f, m, at, have < n ? have : n);
	} else if (body) {
		fake_say(f, " BODY[] {%llu}\r\n", (unsigned long long)m->size);
		fake_body(f, m, 0, m->size);
	}
	fake_say(f, ")\r\n");
}

static inline bool fake_set_has(const char *set, uint64_t value, uint64_t star)
{
	while (*set && *set != ' ') {
		uint64_t a = *set == '*' ? star : strtoull(set, NULL, 10), b = a;
		set += strcspn(set, ":, ");
		if (*set == ':') {
			set++;
			b = *set == '*' ? star : strtoull(set, NULL, 10);
			set += strcspn(set, ", ");
		}
		if ((value >= a && value <= b) || (value >= b && value <= a))
			return true;
		if (*set == ',')
			set++;
	}
	return false;
}

static inline void fake_fetch(struct fake *f, const char *tag, const char *command)
{
	bool by_uid = strncmp(command, "UID ", 4) == 0;
	const char *set = command + (by_uid ? 10 : 6), *items = strchr(set, ' ');
	uint64_t star = f->n == 0 ? 0 : by_uid ? f->v[f->n - 1].uid : f->n;
	f->fetches++;
	f->body_fetches += strstr(command, "BODY") != NULL;
	for (size_t i = 0; items && i < f->n; i++) {
		if (!fake_set_has(set, by_uid ? f->v[i].uid : i + 1, star))
			continue;
		if (!f->on_message || !f->on_message(f, i, items))
			fake_fetch_line(f, i, items);
	}
	if (!f->on_reply || !f->on_reply(f, tag, command))
		fake_say(f, "%s OK done\r\n", tag);
}

/* The literal and the line end behind it. False: the connection ended. */
static inline bool fake_take_literal(struct fake *f, uint64_t size)
{
	for (uint64_t i = 0; i < size + 2; i++)
		if (fgetc(f->in) == EOF)
			return false;
	return true;
}

static inline void fake_append(struct fake *f, const char *tag, const char *command)
{
	const char *brace = strrchr(command, '{');
	uint64_t size = brace ? strtoull(brace + 1, NULL, 10) : 0;
	bool asks = !strchr(brace ? brace : command, '+');
	f->appends++;
	if (f->on_append && f->on_append(f, tag, command, size))
		return;
	if (asks) {
		fake_say(f, "+ go\r\n");
		fflush(f->out);
	}
	if (!fake_take_literal(f, size))
		return;
	f->stored++;
	fake_say(f, "%s OK [APPENDUID 7 %u] done\r\n", tag, f->appends);
}

static inline void fake_command(struct fake *f, const char *tag, const char *command)
{
	if (f->on_command && f->on_command(f, tag, command))
		return;
	if (strncmp(command, "CAPABILITY", 10) == 0)
		fake_say(f, "* CAPABILITY %s\r\n%s OK done\r\n", f->capabilities, tag);
	else if (strncmp(command, "EXAMINE", 7) == 0 || strncmp(command, "SELECT", 6) == 0)
		fake_say(f, "%s%s OK [READ-ONLY] done\r\n", f->select_lines ? f->select_lines : "", tag);
	else if (strncmp(command, "FETCH ", 6) == 0 || strncmp(command, "UID FETCH ", 10) == 0)
		fake_fetch(f, tag, command);
	else if (strncmp(command, "APPEND ", 7) == 0)
		fake_append(f, tag, command);
	else
		fake_say(f, "%s OK done\r\n", tag);
}

static inline void fake_session(struct fake *f, int fd)
{
	char line[70000];
	f->in = fdopen(fd, "r");
	f->out = fdopen(dup(fd), "w");
	fake_say(f, "* OK fake ready\r\n");
	fflush(f->out);
	while (fgets(line, sizeof(line), f->in)) {
		line[strcspn(line, "\r\n")] = '\0';
		char *command = strchr(line, ' ');
		if (!command)
			continue;
		*command++ = '\0';
		pthread_mutex_lock(&f->lock);
		if (!f->select_lines && (strncmp(command, "EXAMINE", 7) == 0 || strncmp(command, "SELECT", 6) == 0))
			fake_say(f, "* %zu EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT %u] x\r\n", f->n,
				f->n ? f->v[f->n - 1].uid + 1 : 1);
		fake_command(f, line, command);
		fflush(f->out);
		bool ends = ferror(f->out) || feof(f->in) || strncmp(command, "LOGOUT", 6) == 0;
		pthread_mutex_unlock(&f->lock);
		if (ends)
			break;
	}
	fclose(f->in);
	fclose(f->out);
	f->in = f->out = NULL;
}

static inline void *fake_run(void *arg)
{
	struct fake *f = arg;
	for (int fd; (fd = accept(f->fd, NULL, NULL)) >= 0;)
		fake_session(f, fd);
	return NULL;
}

/* Ends the connection in the middle of whatever is being said. */
static inline void fake_hang_up(struct fake *f)
{
	fflush(f->out);
	shutdown(fileno(f->out), SHUT_RDWR);
}

static inline void fake_start(struct fake *f)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	pthread_mutex_init(&f->lock, NULL);
	if (!f->capabilities)
		f->capabilities = "IMAP4rev1 LITERAL+ UIDPLUS";
	f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (f->fd < 0 || bind(f->fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(f->fd, 8) < 0 ||
		getsockname(f->fd, (struct sockaddr *)&at, &len) < 0)
		abort();
	f->port = ntohs(at.sin_port);
	if (pthread_create(&f->thread, NULL, fake_run, f) != 0)
		abort();
}

static inline void fake_stop(struct fake *f)
{
	shutdown(f->fd, SHUT_RDWR);
	pthread_join(f->thread, NULL);
	close(f->fd);
	pthread_mutex_destroy(&f->lock);
}

#endif
