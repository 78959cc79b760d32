/* An open-file-description lock: it belongs to this descriptor, so closing another descriptor of the same
   file does not drop it (as the classic POSIX locks do), and it dies with the process. The file stays:
   unlinking it would let two processes lock two files. */
#define _GNU_SOURCE
#include "engine/base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct lock {
	int fd;
};

static struct flock whole_file(void)
{
	return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
}

static int read_pid(int fd)
{
	char text[32];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	long pid = strtol(text, NULL, 10);
	return pid > 0 && pid < 0x7fffffff ? (int)pid : 0;
}

/* Best effort: the number is for people, the lock is what counts. 0 writes none. */
static void write_pid(int fd, long pid)
{
	char text[32];
	int n = pid > 0 ? snprintf(text, sizeof(text), "%ld\n", pid) : 0;
	if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) != n)
		n = ftruncate(fd, 0);
}

static int conflict(const char *path, int fd, struct err *err)
{
	int pid = read_pid(fd);
	if (pid > 0)
		err_set(err, ERR_CONFLICT, "%s is held by process %d", path, pid);
	else
		err_set(err, ERR_CONFLICT, "%s is held by another process", path);
	err_hint(err, "one engine at a time works on a state: wait for it or stop it");
	return -1;
}

int lock_take(struct lock **out, const char *path, struct err *err)
{
	*out = NULL;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_set(err, ERR_DISK, "the lock %s cannot be opened: %s", path, strerror(errno));
	struct flock whole = whole_file();
	int rc;
	do {
		rc = fcntl(fd, F_OFD_SETLK, &whole);
	} while (rc < 0 && errno == EINTR);
	if (rc < 0) {
		if (errno == EAGAIN || errno == EACCES)
			conflict(path, fd, err);
		else
			err_set(err, ERR_DISK, "the lock %s cannot be taken: %s", path, strerror(errno));
		close(fd);
		return -1;
	}
	struct lock *l = malloc(sizeof(*l));
	if (!l) {
		close(fd);
		return err_set(err, ERR_MEMORY, "out of memory for a lock");
	}
	write_pid(fd, (long)getpid());
	l->fd = fd;
	*out = l;
	return 0;
}

int lock_is_held(const char *path, int *pid)
{
	*pid = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return 0;
	struct flock whole = whole_file();
	int held = fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
	if (held)
		*pid = read_pid(fd);
	close(fd);
	return held;
}

void lock_free(struct lock **l)
{
	if (!*l)
		return;
	write_pid((*l)->fd, 0); /* while it is still ours: a free lock names nobody */
	close((*l)->fd);
	free(*l);
	*l = NULL;
}
