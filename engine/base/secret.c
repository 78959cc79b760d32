/* Secrets live in pages of their own: mlock and DONTDUMP work on whole pages, and unlocking one secret must
   not unlock its neighbour. */
#define _GNU_SOURCE
#include "engine/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MOST = 64 * 1024 };

struct secret {
	size_t len;
	size_t mapped; /* the whole mapping, this header included */
	char bytes[];  /* and a NUL */
};

static struct secret *allocate(size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t mapped = (sizeof(struct secret) + n + 1 + page - 1) / page * page;
	struct secret *s = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED)
		return NULL;
	(void)mlock(s, mapped); /* best effort: RLIMIT_MEMLOCK may be small */
	(void)madvise(s, mapped, MADV_DONTDUMP);
	s->len = n;
	s->mapped = mapped;
	return s;
}

struct secret *secret_new(const void *bytes, size_t n)
{
	struct secret *s = allocate(n);
	if (s && n > 0)
		memcpy(s->bytes, bytes, n);
	return s;
}

struct secret *secret_copy(const struct secret *s)
{
	return secret_new(s->bytes, s->len);
}

static int check_rights(int fd, const char *path, struct err *err)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_set(err, ERR_USAGE, "%s cannot be read: %s", path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return err_set(err, ERR_USAGE, "%s is a folder, not a file with a secret", path);
	if (S_ISREG(st.st_mode) && (st.st_mode & (S_IRGRP | S_IROTH)) != 0) {
		err_set(err, ERR_USAGE, "%s holds a secret and others may read it (mode %04o)", path,
			(unsigned)st.st_mode & 07777);
		err_hint(err, "chmod 600 %s", path);
		return -1;
	}
	return 0;
}

/* Fills s->bytes: a whole file, or one line (octet by octet, so that what follows it stays in the pipe). */
static int read_into(struct secret *s, int fd, bool line, const char *path, struct err *err)
{
	for (s->len = 0; s->len <= FILE_MOST;) {
		ssize_t n = read(fd, s->bytes + s->len, line ? 1 : FILE_MOST + 1 - s->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err, ERR_USAGE, "%s cannot be read: %s", path, strerror(errno));
		if (n == 0)
			return 0;
		s->len += (size_t)n;
		if (line && s->bytes[s->len - 1] == '\n')
			return 0;
	}
	return err_set(err, ERR_USAGE, "%s is too long for a secret (most is %d octets)", path, FILE_MOST);
}

static void drop_line_end(struct secret *s)
{
	if (s->len > 0 && s->bytes[s->len - 1] == '\n')
		s->len--;
	if (s->len > 0 && s->bytes[s->len - 1] == '\r')
		s->len--;
	s->bytes[s->len] = '\0';
}

static int read_file(struct secret **out, const char *path, bool public, struct err *err)
{
	*out = NULL;
	bool is_stdin = strcmp(path, "-") == 0;
	const char *name = is_stdin ? "standard input" : path;
	int rc = -1, fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct secret *whole = NULL;
	if (fd < 0)
		return err_set(err, ERR_USAGE, "%s cannot be opened: %s", path, strerror(errno));
	if (!is_stdin && !public && check_rights(fd, path, err) < 0)
		goto out;
	whole = allocate(FILE_MOST + 1);
	if (!whole) {
		err_set(err, ERR_MEMORY, "out of memory for a secret");
		goto out;
	}
	if (read_into(whole, fd, is_stdin, name, err) < 0)
		goto out;
	if (!is_stdin && public && memmem(whole->bytes, whole->len, "PRIVATE KEY", 11) &&
		check_rights(fd, path, err) < 0)
		goto out;
	drop_line_end(whole);
	if (whole->len == 0) {
		err_set(err, ERR_USAGE, "%s holds no secret: it is empty", name);
		goto out;
	}
	*out = secret_copy(whole);
	rc = *out ? 0 : err_set(err, ERR_MEMORY, "out of memory for a secret");
out:
	secret_free(&whole);
	if (!is_stdin)
		close(fd);
	return rc;
}

int secret_read_file(struct secret **out, const char *path, struct err *err)
{
	return read_file(out, path, false, err);
}

int secret_read_public(struct secret **out, const char *path, struct err *err)
{
	return read_file(out, path, true, err);
}

const char *secret_bytes(const struct secret *s)
{
	return s->bytes;
}

size_t secret_len(const struct secret *s)
{
	return s->len;
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
	size_t most = a->len > b->len ? a->len : b->len;
	volatile unsigned char differ = a->len != b->len;
	for (size_t i = 0; i < most; i++) {
		unsigned char x = i < a->len ? (unsigned char)a->bytes[i] : 0;
		unsigned char y = i < b->len ? (unsigned char)b->bytes[i] : 0;
		differ = (unsigned char)(differ | (x ^ y));
	}
	return differ == 0;
}

void secret_free(struct secret **s)
{
	if (!*s)
		return;
	size_t mapped = (*s)->mapped;
	secret_wipe(*s, mapped);
	munmap(*s, mapped); /* unlocks too */
	*s = NULL;
}

void secret_wipe(void *p, size_t n)
{
	if (p && n > 0)
		explicit_bzero(p, n);
}

void secret_no_core(void)
{
	struct rlimit none = {0, 0};
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
