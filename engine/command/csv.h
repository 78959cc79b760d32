/* The CSV of migration users in Microsoft's format: EmailAddress,UserName,Password[,UserRoot]. */
#ifndef NF_ENGINE_COMMAND_CSV_H
#define NF_ENGINE_COMMAND_CSV_H

#include "engine/base/buf.h"
#include "engine/store/model.h"

struct csv_users {
	struct user *users;        /* row, source_user, user_root, address are set */
	struct secret **passwords; /* owned; NULL where the column is empty */
	size_t n;
	char separator;       /* ',' or ';' */
	const char *encoding; /* "UTF-8", "UTF-8 with BOM", "Windows-1252" (said to the person) */
};
/* At most 50,000 rows and 10 MB (Microsoft's own limits). Every fault names line and column; the first
   by line are in one err text and hint, as many as there is room for, and how many there are. need_password: a
   row without a password is a fault. Duplicate destinations (without case) name both lines. */
int csv_load(const char *path, bool need_password, struct csv_users *out, struct err *err);
int csv_parse(const char *text, size_t n, bool need_password, struct csv_users *out, struct err *err);
void csv_done(struct csv_users *u);
/* One field for a report: quoted where needed; a leading = + - @ tab or CR is preceded by ' so that a spreadsheet does not run it. */
int csv_add_field(struct buf *out, const char *text, bool first, struct err *err);

#endif
