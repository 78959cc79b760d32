#include "engine/shut.h"

#include <stdlib.h>

#define EARLY_S 2 /* clocks are read in seconds, and not at once */

struct shut_mailbox {
	int64_t user_id, until;
	unsigned pauses;
};

void shut_note(struct shut *s, int64_t user_id, unsigned pauses, int64_t until)
{
	struct shut_mailbox *v = realloc(s->v, (s->n + 1) * sizeof *v);
	if (!v)
		return;
	s->v = v;
	s->v[s->n++] = (struct shut_mailbox){.user_id = user_id, .until = until, .pauses = pauses};
}

unsigned shut_take(struct shut *s, int64_t user_id, int64_t now)
{
	unsigned pauses = 0;
	for (size_t i = 0; i < s->n;) {
		if (s->v[i].user_id != user_id) {
			i++;
			continue;
		}
		pauses = now >= s->v[i].until - EARLY_S ? s->v[i].pauses : 0;
		s->v[i] = s->v[--s->n];
	}
	return pauses;
}

void shut_done(struct shut *s)
{
	free(s->v);
	*s = (struct shut){0};
}
