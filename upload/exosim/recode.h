/* What an unkind profile does to a message: Exchange keeps the content, not the octets. Any thread. */
#ifndef NF_EXOSIM_RECODE_H
#define NF_EXOSIM_RECODE_H

#include "engine/base/spool.h"

#include <stdbool.h>

/* Once, before any thread. */
void recode_init(void);
/* Text parts change between base64 and quoted-printable, the subject is encoded and folded anew; what is signed or encrypted stays.
   false: is not MIME that can be parsed; out is then a copy. Yours to free. */
bool recode_mime(const char *data, size_t n, char **out, size_t *out_n);
/* The same message with a Message-ID of ours in front. Yours to free. */
void recode_add_message_id(const char *data, size_t n, char **out, size_t *out_n);

#endif
