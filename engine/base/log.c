/* The log. One write a line, so that lines of several threads and processes never mix. The state is the one
   mutable global of the process: a log that must be handed through every call would not be used where it
   matters. */
#include "engine/base/log.h"

#include "engine/base/clock.h"
#include "engine/base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards fd: no line goes to a closed one */
static int log_fd = STDERR_FILENO;
static atomic_int wanted = LOG_INFO;
static atomic_bool as_json;

static const char *const level_names[] = {
	[LOG_ERROR] = "error", [LOG_WARN] = "warning", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};

int log_init(const char *path, enum log_level level, bool json, struct err *err)
{
	int fd = STDERR_FILENO;
	if (path) {
		fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
		if (fd < 0)
			return err_set(err, ERR_DISK, "the log %s cannot be opened: %s", path, strerror(errno));
	}
	log_done();
	pthread_mutex_lock(&mutex);
	log_fd = fd;
	pthread_mutex_unlock(&mutex);
	atomic_store(&wanted, level);
	atomic_store(&as_json, json);
	return 0;
}

void log_done(void)
{
	pthread_mutex_lock(&mutex);
	if (log_fd != STDERR_FILENO)
		close(log_fd);
	log_fd = STDERR_FILENO;
	pthread_mutex_unlock(&mutex);
}

bool log_wants(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&wanted, memory_order_relaxed);
}

/* A log file's disk may be full: the run is worth more than its log, so a failed write is dropped. */
static void write_all(const char *line, size_t n)
{
	pthread_mutex_lock(&mutex);
	while (n > 0) {
		ssize_t wrote = write(log_fd, line, n);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			break;
		line += wrote;
		n -= (size_t)wrote;
	}
	pthread_mutex_unlock(&mutex);
}

/* Controls (C0, DEL, and C1 as UTF-8 writes them) to blanks, in place; an escape sequence from a server
   never reaches a terminal. */
static void make_printable(char *s)
{
	for (unsigned char *p = (unsigned char *)s; *p; p++) {
		if (*p < 0x20 || *p == 0x7f)
			*p = ' ';
		if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
			*p = p[1] = ' ';
	}
}

/* "key":"text" appended at *len; cut when the room ends, always closed. */
static void add_json(char *out, size_t size, size_t *len, const char *key, const char *text)
{
	int n = snprintf(out + *len, size - *len, "%s\"%s\":\"", *len > 1 ? "," : "", key);
	if (n < 0 || *len + (size_t)n + 8 >= size)
		return;
	size_t at = *len + (size_t)n;
	size_t left = strlen(text), octets;
	for (const char *p = text; left > 0 && at + 8 < size; p += octets, left -= octets) {
		if (*p == '"' || *p == '\\')
			out[at++] = '\\';
		octets = utf8_length(p, left);
		if (octets == 0) { /* JSON must be UTF-8 */
			out[at++] = '?';
			octets = 1;
			continue;
		}
		memcpy(out + at, p, octets);
		at += octets;
	}
	out[at++] = '"';
	*len = at;
}

static void emit(enum log_level level, char *text, const struct err *err)
{
	char line[8192], when[CLOCK_TEXT];
	size_t n;
	clock_format(clock_wall_s(), when, sizeof(when));
	make_printable(text);
	if (atomic_load(&as_json)) {
		const size_t room = sizeof(line) - 4;
		n = 1;
		line[0] = '{';
		add_json(line, room, &n, "time", when);
		add_json(line, room, &n, "level", level_names[level]);
		add_json(line, room, &n, "text", text);
		if (err) {
			add_json(line, room, &n, "kind", err_kind_name(err->kind));
			add_json(line, room, &n, "error", err->text);
			if (err->server[0])
				add_json(line, room, &n, "server", err->server);
			if (err->hint[0])
				add_json(line, room, &n, "hint", err->hint);
		}
		line[n++] = '}';
	} else {
		char words[1700] = "";
		if (err)
			err_line(err, words, sizeof(words));
		int len = snprintf(line, sizeof(line) - 1, "%s %-7s %s%s%s", when, level_names[level], text,
			err ? ": " : "", words);
		n = len < 0 ? 0 : (size_t)len < sizeof(line) - 1 ? (size_t)len : sizeof(line) - 2;
	}
	line[n++] = '\n';
	write_all(line, n);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	if (!log_wants(level))
		return;
	char text[4096];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	emit(level, text, NULL);
}

void log_err(enum log_level level, const struct err *err, const char *fmt, ...)
{
	if (!log_wants(level))
		return;
	char text[4096];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	emit(level, text, err);
}
