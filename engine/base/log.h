/* The log: one line an event, to stderr or a file. Any thread. Never give it a secret: struct secret has no format. */
#ifndef NF_BASE_LOG_H
#define NF_BASE_LOG_H

#include "engine/base/err.h"

#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Set once at start. path NULL: stderr. json: one JSON object a line. Returns 0 or -1 (the file cannot be opened). */
int log_init(const char *path, enum log_level level, bool json, struct err *err);
void log_done(void);
bool log_wants(enum log_level level);
/* One line; control characters of the formatted text are replaced. */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_err(enum log_level level, const struct err *err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
