/* Writes go through to the real file at once, so that reading needs no care. Beside it each file has its durable image (what was there at the last
   sync) and the list of what was done since. When the power fails each of those is dropped, done or torn at a sector, by the seed, and the real
   file is written anew from that. A file that was never synced may be missing altogether; a removal without a sync of the folder may not have
   happened. */
#include "tests/crash/power_vfs.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILES 16
#define SECTOR 512

struct change {
	struct change *next;
	bool truncate;
	sqlite3_int64 at;
	size_t n;
	unsigned char *data;
};

/* What the disk knows of one name. */
struct disk_file {
	char path[512];
	unsigned char *image; /* durable */
	size_t size;
	bool durable; /* its name is in the folder for sure */
	bool removed; /* perhaps: unlinked without a sync of the folder */
	struct change *changes, **tail;
};

struct power_file {
	sqlite3_file base;
	struct disk_file *disk;
	sqlite3_file *real;
}; /* the real one follows in memory */

static struct {
	sqlite3_vfs vfs, *real;
	pthread_mutex_t lock; /* guards all below */
	struct disk_file files[FILES];
	unsigned n_files, steps, cut_at, full_at, writes;
	uint32_t random;
	bool lies;
} power = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint32_t dice(void)
{
	power.random = power.random * 1664525u + 1013904223u;
	return power.random >> 8;
}

/* --- the disk --- */

static void image_apply(struct disk_file *f, const struct change *c, size_t n)
{
	size_t end = (size_t)c->at + (c->truncate ? 0 : n);
	if (c->truncate ? end != f->size : end > f->size) {
		f->image = realloc(f->image, end + 1);
		assert(f->image);
		if (end > f->size)
			memset(f->image + f->size, 0, end - f->size);
		f->size = end;
	}
	if (!c->truncate && n > 0)
		memcpy(f->image + c->at, c->data, n);
}

static void drop_changes(struct disk_file *f)
{
	struct change *next;
	for (struct change *c = f->changes; c; c = next) {
		next = c->next;
		free(c->data);
		free(c);
	}
	f->changes = NULL;
	f->tail = &f->changes;
}

static void write_real(const struct disk_file *f)
{
	int fd = open(f->path, O_WRONLY | O_CREAT, 0600);
	assert(fd >= 0);
	int rc = ftruncate(fd, (off_t)f->size);
	size_t done = 0;
	while (rc == 0 && done < f->size) {
		ssize_t n = pwrite(fd, f->image + done, f->size - done, (off_t)done);
		assert(n > 0);
		done += (size_t)n;
	}
	close(fd);
}

static void power_cut(void)
{
	for (unsigned i = 0; i < power.n_files; i++) {
		struct disk_file *f = &power.files[i];
		uint32_t mood = dice() % 4; /* nothing survived, everything did, or some */
		if ((!f->durable && mood != 1) || (f->removed && dice() % 2)) {
			unlink(f->path);
			continue;
		}
		for (struct change *c = f->changes; c; c = c->next) {
			uint32_t fate = mood == 0 ? 0 : mood == 1 ? 1 : dice() % 3;
			if (fate == 1 || c->truncate)
				image_apply(f, c, fate == 1 ? c->n : 0);
			else if (fate == 2 && c->n > SECTOR)
				image_apply(f, c, c->n / 2 / SECTOR * SECTOR);
		}
		write_real(f);
	}
	_exit(POWER_EXIT);
}

static void step(void)
{
	if (++power.steps == power.cut_at)
		power_cut();
}

static struct disk_file *disk_of(const char *path)
{
	for (unsigned i = 0; i < power.n_files; i++) {
		if (strcmp(power.files[i].path, path) == 0)
			return &power.files[i];
	}
	assert(power.n_files < FILES);
	struct disk_file *f = &power.files[power.n_files++];
	memset(f, 0, sizeof(*f));
	assert(strlen(path) < sizeof(f->path));
	memcpy(f->path, path, strlen(path) + 1);
	f->tail = &f->changes;
	int fd = open(path, O_RDONLY);
	off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	f->durable = fd >= 0; /* it was there before us */
	f->size = (size_t)size;
	f->image = malloc(f->size + 1);
	assert(f->image);
	if (fd >= 0) {
		ssize_t n = pread(fd, f->image, f->size, 0);
		assert(n == size);
		close(fd);
	}
	return f;
}

static void remember(struct disk_file *f, const struct change *c)
{
	struct change *copy = malloc(sizeof(*copy));
	assert(copy);
	*copy = *c;
	copy->next = NULL;
	*f->tail = copy;
	f->tail = &copy->next;
}

/* --- a file --- */

static sqlite3_file *real_of(sqlite3_file *f)
{
	return ((struct power_file *)f)->real;
}

static int power_close(sqlite3_file *f)
{
	return real_of(f)->pMethods->xClose(real_of(f));
}

static int power_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
	return real_of(f)->pMethods->xRead(real_of(f), p, n, at);
}

static int power_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	struct change c = {.at = at, .n = (size_t)n, .data = malloc((size_t)n)};
	assert(c.data);
	memcpy(c.data, p, (size_t)n);
	pthread_mutex_lock(&power.lock);
	step();
	bool full = power.full_at && ++power.writes >= power.full_at;
	if (!full)
		remember(((struct power_file *)f)->disk, &c);
	else
		free(c.data);
	pthread_mutex_unlock(&power.lock);
	return full ? SQLITE_FULL : real_of(f)->pMethods->xWrite(real_of(f), p, n, at);
}

static int power_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	struct change c = {.truncate = true, .at = size};
	pthread_mutex_lock(&power.lock);
	step();
	remember(((struct power_file *)f)->disk, &c);
	pthread_mutex_unlock(&power.lock);
	return real_of(f)->pMethods->xTruncate(real_of(f), size);
}

static int power_sync(sqlite3_file *f, int flags)
{
	struct disk_file *d = ((struct power_file *)f)->disk;
	(void)flags; /* the real sync would only cost time: the power that fails here is ours */
	pthread_mutex_lock(&power.lock);
	step();
	for (struct change *c = d->changes; c && !power.lies; c = c->next)
		image_apply(d, c, c->n);
	if (!power.lies) {
		drop_changes(d);
		d->durable = true; /* SQLite syncs the folder at a file's first sync */
	}
	pthread_mutex_unlock(&power.lock);
	return SQLITE_OK;
}

static int power_size(sqlite3_file *f, sqlite3_int64 *n)
{
	return real_of(f)->pMethods->xFileSize(real_of(f), n);
}

static int power_lock(sqlite3_file *f, int level)
{
	return real_of(f)->pMethods->xLock(real_of(f), level);
}

static int power_unlock(sqlite3_file *f, int level)
{
	return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int power_check(sqlite3_file *f, int *out)
{
	return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
}

static int power_control(sqlite3_file *f, int op, void *arg)
{
	return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}

static int power_sector(sqlite3_file *f)
{
	(void)f;
	return SECTOR;
}

static int power_traits(sqlite3_file *f)
{
	(void)f;
	return 0; /* no promise: neither atomic writes nor power-safe overwriting */
}

static int power_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
	return real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, out);
}

static int power_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
	return real_of(f)->pMethods->xShmLock(real_of(f), offset, n, flags);
}

static void power_shm_barrier(sqlite3_file *f)
{
	real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int power_shm_unmap(sqlite3_file *f, int remove)
{
	return real_of(f)->pMethods->xShmUnmap(real_of(f), remove);
}

static const sqlite3_io_methods methods = {.iVersion = 2,
	.xClose = power_close,
	.xRead = power_read,
	.xWrite = power_write,
	.xTruncate = power_truncate,
	.xSync = power_sync,
	.xFileSize = power_size,
	.xLock = power_lock,
	.xUnlock = power_unlock,
	.xCheckReservedLock = power_check,
	.xFileControl = power_control,
	.xSectorSize = power_sector,
	.xDeviceCharacteristics = power_traits,
	.xShmMap = power_shm_map,
	.xShmLock = power_shm_lock,
	.xShmBarrier = power_shm_barrier,
	.xShmUnmap = power_shm_unmap};

/* --- the VFS --- */

static int power_open(sqlite3_vfs *v, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
	struct power_file *f = (struct power_file *)file;
	(void)v;
	memset(f, 0, sizeof(*f));
	f->real = (sqlite3_file *)(f + 1);
	assert(name); /* no temporary files: they are in memory */
	pthread_mutex_lock(&power.lock);
	f->disk = disk_of(name);
	if (f->disk->removed && access(name, F_OK) != 0) { /* made again: begins empty */
		drop_changes(f->disk);
		f->disk->size = 0;
		f->disk->durable = false;
		f->disk->removed = false;
	}
	pthread_mutex_unlock(&power.lock);
	int rc = power.real->xOpen(power.real, name, f->real, flags, out_flags);
	if (rc == SQLITE_OK)
		f->base.pMethods = &methods;
	return rc;
}

static int power_delete(sqlite3_vfs *v, const char *name, int sync_folder)
{
	(void)v;
	pthread_mutex_lock(&power.lock);
	step();
	struct disk_file *f = disk_of(name);
	f->removed = true;
	if (sync_folder) {
		drop_changes(f);
		f->size = 0;
		f->durable = false;
	}
	pthread_mutex_unlock(&power.lock);
	return power.real->xDelete(power.real, name, sync_folder);
}

void power_vfs_start(uint32_t seed)
{
	power.real = sqlite3_vfs_find(NULL);
	power.vfs = *power.real;
	power.vfs.zName = "power";
	power.vfs.szOsFile = (int)sizeof(struct power_file) + power.real->szOsFile;
	power.vfs.xOpen = power_open;
	power.vfs.xDelete = power_delete;
	power.random = seed;
	sqlite3_vfs_register(&power.vfs, 1);
}

void power_vfs_cut_at(unsigned k)
{
	pthread_mutex_lock(&power.lock);
	power.steps = 0;
	power.cut_at = k;
	pthread_mutex_unlock(&power.lock);
}

void power_vfs_full_at(unsigned k)
{
	pthread_mutex_lock(&power.lock);
	power.writes = 0;
	power.full_at = k;
	pthread_mutex_unlock(&power.lock);
}

unsigned power_vfs_steps(void)
{
	pthread_mutex_lock(&power.lock);
	unsigned steps = power.steps;
	pthread_mutex_unlock(&power.lock);
	return steps;
}

void power_vfs_lie(void)
{
	power.lies = true;
}
