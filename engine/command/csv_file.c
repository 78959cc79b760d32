#include "engine/command/csv_file.h"

#include "engine/command/csv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define ROW_BYTES ((size_t)256 * 1024)

FILE *csv_file_open(const char *path, const char *head, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	if (!f) {
		err_set(err, ERR_DISK, "%s cannot be written: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	fprintf(f, "\xEF\xBB\xBF%s\r\n", head);
	return f;
}

int csv_file_row(FILE *f, const char *const *fields, size_t n, struct err *err)
{
	struct buf line;
	buf_init(&line, ROW_BYTES);
	int rc = 0;
	for (size_t i = 0; i < n && !rc; i++)
		rc = csv_add_field(&line, fields[i] ? fields[i] : "", i == 0, err);
	if (!rc && fprintf(f, "%s\r\n", buf_str(&line)) < 0)
		rc = err_set(err, ERR_DISK, "the report cannot be written: %s", strerror(errno));
	buf_done(&line);
	return rc;
}

int csv_file_close(FILE **f, struct err *err)
{
	FILE *closing = *f;
	*f = NULL;
	if (!closing)
		return 0;
	bool failed = ferror(closing); /* fclose tells of its own flush only */
	if (fclose(closing) || failed)
		return err_set(err, ERR_DISK, "the report cannot be written: %s", strerror(errno));
	return 0;
}
