/* The options of an endpoint's daily bytes. */
#ifndef NF_ENGINE_COMMAND_DAILY_H
#define NF_ENGINE_COMMAND_DAILY_H

#include "engine/command/cli.h"

/* For the endpoint's table. */
#define DAILY_OPTIONS \
	{.name = "daily-bytes", \
		.arg = "SIZE", \
		.help = "most octets a day from one mailbox (Gmail: 2,500 MB); 0: no limit; what is spent parks the " \
			"mailbox until " \
			"the next day"}, \
		{.name = "daily-of", \
			.arg = "mailbox|host", \
			.help = "what --daily-bytes is of: each mailbox (default), or the host as a whole"}, \
	{ \
		.name = "daily-zone", .arg = "ZONE", .help = "whose midnight begins a new day (default UTC)" \
	}

int daily_check(struct cli *c, struct err *err);
/* After the endpoint was saved. A budget that changed lets parked mailboxes go on. */
int daily_save(struct cli *c, const struct endpoint *e, struct err *err);

#endif
