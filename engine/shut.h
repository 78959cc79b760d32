/* Mailboxes that gave their place away while a server had enough of them: how often in a row each was sent off, so that its next job waits on from
   there. Of one engine, not kept over its end. Owned by the loop's thread. */
#ifndef NF_ENGINE_SHUT_H
#define NF_ENGINE_SHUT_H

#include <stddef.h>
#include <stdint.h>

struct shut {
	struct shut_mailbox *v; /* owned */
	size_t n;
};

/* until: wall clock. Without memory it is forgotten: the waits begin anew. */
void shut_note(struct shut *s, int64_t user_id, unsigned pauses, int64_t until);
/* Its job begins at `now`: how often it was sent off; forgotten here. 0: never, or a person had it started before its time, and may know better. */
unsigned shut_take(struct shut *s, int64_t user_id, int64_t now);
void shut_done(struct shut *s);

#endif
