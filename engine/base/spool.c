/* Small messages stay in memory; larger ones go to a file that has no name, so that a crash leaves nothing
   behind. What is written is gathered in a chunk of 64 KiB, which is also all that a spool of 150 MB costs
   in memory. */
#define _GNU_SOURCE
#include "engine/base/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK = 64 * 1024 };

/* Making a file costs the file system more than a message of a few hundred kilobytes that is written to it, and a file that was used has its
   pages already. So a few small ones are kept for the next messages; the state is the process's, since spools of all threads share it. */
#define KEPT_FILES 4
#define KEPT_BYTES ((uint64_t)2 * 1024 * 1024)
static struct {
	pthread_mutex_t lock;
	struct kept {
		int fd;    /* owned */
		char *dir; /* owned */
	} v[KEPT_FILES];
	size_t n;
} kept_files = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct spool {
	char *dir;        /* owned: for the move from memory to a file */
	char *memory;     /* owned: all octets, or the chunk of a file that is not written yet */
	size_t room;      /* of memory */
	size_t pending;   /* octets in memory */
	uint64_t on_disk; /* octets in the file; the pending ones follow them */
	int fd;           /* -1: in memory */
};

static int disk_error(struct err *err, int code, const char *what, const char *dir)
{
	err_set(err, ERR_DISK, "%s in %s: %s", what, dir, strerror(code));
	if (code == ENOSPC || code == EDQUOT)
		err_hint(err, "free some room there, or put the state on a larger disk, and start again: "
			      "nothing is lost");
	else if (code == EFBIG)
		err_hint(err, "raise the limit on the size of files (ulimit -f)");
	else if (code == EACCES || code == EROFS || code == EPERM)
		err_hint(err, "the folder must be writable by the user that runs nightferry");
	return -1;
}

static int take_kept(const char *dir)
{
	int fd = -1;
	pthread_mutex_lock(&kept_files.lock);
	for (size_t i = 0; i < kept_files.n && fd < 0; i++) {
		if (strcmp(kept_files.v[i].dir, dir) != 0)
			continue;
		fd = kept_files.v[i].fd;
		free(kept_files.v[i].dir);
		kept_files.v[i] = kept_files.v[--kept_files.n];
	}
	pthread_mutex_unlock(&kept_files.lock);
	return fd;
}

/* Keeps the file for another spool, or closes it. */
static void give_back(struct spool *s)
{
	bool kept = false;
	pthread_mutex_lock(&kept_files.lock);
	if (s->on_disk <= KEPT_BYTES && kept_files.n < KEPT_FILES) {
		kept_files.v[kept_files.n++] = (struct kept){s->fd, s->dir};
		s->dir = NULL;
		kept = true;
	}
	pthread_mutex_unlock(&kept_files.lock);
	if (!kept)
		close(s->fd);
}

static int open_file(struct spool *s, struct err *err)
{
	s->fd = take_kept(s->dir);
	if (s->fd >= 0)
		return 0;
	s->fd = open(s->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (s->fd >= 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL && errno != ENOENT)
		return disk_error(err, errno, "no temporary file can be made", s->dir);
	/* NFS, overlayfs of old kernels and FUSE have no O_TMPFILE */
	char name[4096];
	if (snprintf(name, sizeof(name), "%s/spool-XXXXXX", s->dir) >= (int)sizeof(name))
		return disk_error(err, ENAMETOOLONG, "no temporary file can be made", s->dir);
	s->fd = mkostemp(name, O_CLOEXEC);
	if (s->fd < 0)
		return disk_error(err, errno, "no temporary file can be made", s->dir);
	unlink(name);
	return 0;
}

int spool_new(struct spool **out, const char *dir, uint64_t expected, struct err *err)
{
	*out = NULL;
	struct spool *s = calloc(1, sizeof(*s));
	if (s) {
		s->fd = -1;
		s->dir = strdup(dir);
		s->room = expected > SPOOL_MEMORY_BYTES ? CHUNK : expected > 0 ? (size_t)expected : 512;
		s->memory = malloc(s->room);
	}
	if (!s || !s->dir || !s->memory) {
		spool_free(&s);
		return err_set(
			err, ERR_MEMORY, "out of memory for a message of %llu octets", (unsigned long long)expected);
	}
	if (expected > SPOOL_MEMORY_BYTES && open_file(s, err) < 0) {
		spool_free(&s);
		return -1;
	}
	*out = s;
	return 0;
}

static int write_at_end(struct spool *s, const char *p, size_t n, struct err *err)
{
	while (n > 0) {
		ssize_t wrote = pwrite(s->fd, p, n, (off_t)s->on_disk);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			return disk_error(err, wrote < 0 ? errno : ENOSPC, "a message cannot be kept", s->dir);
		p += wrote;
		n -= (size_t)wrote;
		s->on_disk += (uint64_t)wrote;
	}
	return 0;
}

static int flush(struct spool *s, struct err *err)
{
	uint64_t before = s->on_disk;
	if (write_at_end(s, s->memory, s->pending, err) < 0) {
		s->on_disk = before; /* the pending octets are still all in memory */
		return -1;
	}
	s->pending = 0;
	return 0;
}

/* Room for n more in memory; moves to a file when the memory's limit is passed. */
static int grow(struct spool *s, size_t n, struct err *err)
{
	if (s->pending + n > SPOOL_MEMORY_BYTES) {
		if (open_file(s, err) < 0 || flush(s, err) < 0)
			return -1;
		char *chunk = realloc(s->memory, CHUNK); /* larger or smaller, as it comes */
		if (!chunk)
			return err_set(err, ERR_MEMORY, "out of memory for a message");
		s->memory = chunk;
		s->room = CHUNK;
		return 0;
	}
	size_t room = s->room * 2 > s->pending + n ? s->room * 2 : s->pending + n;
	if (room > SPOOL_MEMORY_BYTES)
		room = SPOOL_MEMORY_BYTES;
	char *memory = realloc(s->memory, room);
	if (!memory)
		return err_set(err, ERR_MEMORY, "out of memory for a message");
	s->memory = memory;
	s->room = room;
	return 0;
}

int spool_write(struct spool *s, const void *data, size_t n, struct err *err)
{
	if (n == 0)
		return 0;
	if (n > s->room - s->pending) {
		if (s->fd < 0 && (n > SPOOL_MEMORY_BYTES || s->pending + n > s->room) && grow(s, n, err) < 0)
			return -1;
		if (s->fd >= 0 && s->pending > 0 && n > s->room - s->pending && flush(s, err) < 0)
			return -1;
	}
	if (s->fd >= 0 && n >= CHUNK) /* nothing is pending here */
		return write_at_end(s, data, n, err);
	memcpy(s->memory + s->pending, data, n);
	s->pending += n;
	return 0;
}

int spool_read(const struct spool *s, uint64_t offset, void *data, size_t n, size_t *got, struct err *err)
{
	char *out = data;
	*got = 0;
	while (*got < n && offset < s->on_disk) {
		size_t want = n - *got;
		if (want > s->on_disk - offset)
			want = (size_t)(s->on_disk - offset);
		ssize_t rc = pread(s->fd, out + *got, want, (off_t)offset);
		if (rc < 0 && errno == EINTR)
			continue;
		if (rc <= 0)
			return disk_error(err, rc < 0 ? errno : EIO, "a kept message cannot be read", s->dir);
		*got += (size_t)rc;
		offset += (uint64_t)rc;
	}
	if (*got < n && offset - s->on_disk < s->pending) {
		size_t at = (size_t)(offset - s->on_disk), want = n - *got;
		if (want > s->pending - at)
			want = s->pending - at;
		memcpy(out + *got, s->memory + at, want);
		*got += want;
	}
	return 0;
}

uint64_t spool_size(const struct spool *s)
{
	return s->on_disk + s->pending;
}

const char *spool_memory(const struct spool *s)
{
	return s->fd < 0 ? s->memory : NULL;
}

void spool_free(struct spool **s)
{
	if (!*s)
		return;
	if ((*s)->fd >= 0)
		give_back(*s);
	free((*s)->memory);
	free((*s)->dir);
	free(*s);
	*s = NULL;
}
