/* Between the wire and libetpan's parser: knows only lines and literals. Caps what a server sizes, mends lines (repair.h), passes
   literals untouched. It hands out one line a read, so that libetpan's stream never moves what it buffered. One thread. */
#ifndef NF_IMAP_FILTER_H
#define NF_IMAP_FILTER_H

#include "imap/repair.h"

#include <stdint.h>
#include <sys/types.h>

#define FILTER_LINE_MAX ((size_t)16 << 20)  /* octets of one line */
#define FILTER_KEPT_MAX ((uint64_t)4 << 20) /* octets of text and of literals kept in memory for one command */
/* Words of one answer: libetpan makes cells of them, up to 200 octets for one of one letter. The first of each line (nine of FETCH, else four) are
   not counted, so that EXPUNGE and flags may come in floods. 50,000 folders with five attributes each have 300,000. */
#define FILTER_WORDS_MAX ((uint64_t)320000)
#define FILTER_LITERAL_MAX 0xFFFFFFFEu /* libetpan counts in 32 bits and wraps silently */
#define FILTER_DEPTH_MAX 40 /* parentheses; libetpan recurses, and nothing we ask for is nested deeper than five */
#define FILTER_STASH_MAX ((size_t)1 << 20) /* octets taken in while we write */

struct filter;

struct filter *filter_new(void); /* NULL: memory is out */
void filter_free(struct filter **f);

/* Room for what the wire delivers: at least one octet, 0 when the stash is full (only when stashing). Then filter_filled. */
char *filter_room(struct filter *f, size_t *room, bool stash);
void filter_filled(struct filter *f, size_t n);
/* Up to n mended octets into out. 0: more input is needed. -1: the server broke a cap; filter_error tells. */
ssize_t filter_give(struct filter *f, void *out, size_t n);
/* Octets of a literal that may be read from the wire straight into the reader's buffer, which then calls filter_skipped. */
uint64_t filter_direct(const struct filter *f);
void filter_skipped(struct filter *f, size_t n);

/* Past libetpan, for who reads plain lines himself. The line that comes next as the server wrote it, without its end: only between two answers, and
   only where it stands in the buffer as a whole. Muted counts are dropped on the way. */
enum filter_peek { FILTER_LINE, FILTER_NEEDS_MORE, FILTER_NOT_PLAIN };
enum filter_peek filter_peek_line(struct filter *f, const char **line, size_t *n);
void filter_pass_line(struct filter *f, size_t n); /* the line of n octets that was peeked at, with its end */
/* A literal begins here. filter_view: what is there of it, 0 when more input is needed; filter_pass: n octets of that are done with. */
void filter_pass_literal(struct filter *f, uint64_t size);
size_t filter_view(const struct filter *f, const char **data);
void filter_pass(struct filter *f, size_t n);
/* Text in front of the next line. 0 or -1: memory is out. */
int filter_put_before(struct filter *f, const char *text, size_t n);

/* A command's answer begins: the count of kept octets starts anew. streams_bodies: message bodies go to a handler and are not kept. */
void filter_begin(struct filter *f, bool streams_bodies);
/* While messages are put into the selected folder each brings "* n EXISTS" and "* n RECENT", which nobody reads: on drops them here, before
   they are mended and parsed. */
void filter_mute_counts(struct filter *f, bool on);
/* True when nothing is buffered: no octet came after the last line that was given (STARTTLS). */
bool filter_is_empty(const struct filter *f);
const char *filter_error(const struct filter *f); /* NULL: none */
/* The last tagged answer, BYE, and untagged NO, BAD or ALERT that passed; tag "" if none did. */
const struct repair_status *filter_answer(const struct filter *f);
const struct repair_status *filter_bye(const struct filter *f);
const struct repair_status *filter_alert(const struct filter *f);
void filter_forget_alert(struct filter *f);
/* Looks through octets that were taken in and not yet given for a server's parting words (BYE, NO, BAD); false: none. */
bool filter_peek_words(const struct filter *f, struct repair_status *out);

#endif
