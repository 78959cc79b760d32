#include "engine/tries.h"

void tries_note(struct tries *t, const struct err *why)
{
	t->failures = err_asks_to_wait(why) ? 0 : t->failures + 1;
	t->pauses++;
}

bool tries_go_on(struct tries *t, const struct err *why, unsigned most)
{
	tries_note(t, why);
	return err_asks_to_wait(why) || (err_action(why->kind) == ACT_RETRY && t->failures < most);
}
