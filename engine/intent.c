#include "engine/intent.h"

#include "engine/base/clock.h"
#include "engine/base/log.h"

#include <string.h>

#define WITHDRAW_ITEMS 256 /* in one commit */

void intent_fill(
	const struct route_folder *f, const struct mail *m, enum item_state state, const uint8_t *key, struct item *out)
{
	memset(out, 0, sizeof *out);
	out->generation_id = f->generation.id;
	out->uid = m->uid;
	out->state = state;
	out->how = HOW_COPIED;
	out->dest_folder_id = f->dest.id;
	out->size = m->body ? m->print.size : m->announced;
	out->flags_source = m->flags;
	out->received = m->received;
	out->print = m->print;
	out->at = clock_wall_s();
	if (key)
		memcpy(out->key, key, sizeof out->key);
	else if (m->print.message_id) /* else nothing of the header is known */
		print_key(&m->print, out->key);
}

void intent_withdraw(struct job *j, struct parcel **list)
{
	uint32_t uids[WITHDRAW_ITEMS];
	while (*list) {
		/* Not sent: the intents are void. A failure to say so only costs a look at the next start. */
		struct route_folder *f = (*list)->folder;
		size_t n = 0;
		while (*list && (*list)->folder == f && n < WITHDRAW_ITEMS) {
			struct parcel *p = *list;
			uids[n++] = p->mail->uid;
			*list = p->next;
			parcel_release(j->memory, &p);
		}
		struct err err = ERR_INIT;
		if (store_withdraw(j->work->store, j->user.id, j->user.lease_epoch, f->generation.id, uids, n, &err))
			log_err(LOG_WARN, &err, "mailbox %s", j->user.source_user);
	}
}
