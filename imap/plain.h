/* Inside imap/ only: answers in the plain form that ordinary servers give, read without libetpan. What is not exactly of this form is left to
   filter, repair and libetpan; what is read here is read as they would (tests/unit/imap/plain_test.c compares both). Pure. */
#ifndef NF_IMAP_PLAIN_H
#define NF_IMAP_PLAIN_H

#include "imap/fetch.h"
#include "imap/repair.h"

/* "* 7 FETCH (UID 9 FLAGS (\Seen) INTERNALDATE "..." RFC822.SIZE 5)", each item at most once, in any order; or the same up to the announcement of
   a body behind a UID, "... BODY[] {123}", with the octets in *literal (else 0). n octets without the line end. false: not plain, *out is undefined. */
bool plain_fetch(const char *line, size_t n, struct fetch_line *out, uint64_t *literal);
/* "17 OK text" and "17 OK [APPENDUID 1 2] text" with this tag. */
bool plain_ok(const char *line, size_t n, int tag, struct repair_status *out);

#endif
