/* A CSV that people open in a spreadsheet: UTF-8 with BOM, CRLF, no field that would be run as a formula; mode 0600. One thread. */
#ifndef NF_ENGINE_COMMAND_CSV_FILE_H
#define NF_ENGINE_COMMAND_CSV_FILE_H

#include "engine/base/err.h"

#include <stdio.h>

/* head: the first line, as it is. NULL: err. */
FILE *csv_file_open(const char *path, const char *head, struct err *err);
/* A NULL field is empty. */
int csv_file_row(FILE *f, const char *const *fields, size_t n, struct err *err);
/* NULL is accepted. What the disk did not take shows here at the latest. */
int csv_file_close(FILE **f, struct err *err);

#endif
