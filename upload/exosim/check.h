/* What the service refuses in a message, found while its octets stream by. One thread. */
#ifndef NF_EXOSIM_CHECK_H
#define NF_EXOSIM_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct check {
	bool in_body;
	bool bad_header; /* an 8-bit or NUL octet in the header */
	bool nul;        /* a NUL anywhere */
	bool has_message_id;
	uint64_t longest_line; /* octets without its end */
	uint64_t line;         /* octets of the line that is not ended yet */
	char start[16];        /* its first octets, in the header */
	char last;
};

void check_init(struct check *c);
void check_feed(struct check *c, const char *data, size_t n);
void check_end(struct check *c);

#endif
