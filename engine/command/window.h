/* Windows, blackouts, deadline and ramp of a batch: read from options, and told to people. */
#ifndef NF_ENGINE_COMMAND_WINDOW_H
#define NF_ENGINE_COMMAND_WINDOW_H

#include "engine/command/cli.h"
#include "engine/night.h"

/* For the tables of the commands that take them. */
#define WINDOW_OPTIONS \
	{.name = "window", \
		.arg = "WHEN", \
		.help = "when it may run, such as \"Mon-Fri 20:00-06:00\", \"Sat,Sun\" or \"daily 08:00-18:00 25%\" " \
			"(a share of " \
			"the rate); several add up; a window belongs to the day it starts on; always: no windows", \
		.group = "When"}, \
		{.name = "time-zone", \
			.arg = "ZONE", \
			.help = "of windows, blackouts and moments, such as Asia/Karachi"}, \
		{.name = "blackout", \
			.arg = "DATE[..DATE]", \
			.help = "no window starts on these days; several add up; none: no blackouts"}, \
		{.name = "start-after", \
			.arg = "MOMENT", \
			.help = "not before it: \"2026-11-23 20:00\", 2026-11-23T15:00Z, or none"}, \
	{ \
		.name = "until", .arg = "MOMENT", \
		.help = "a deadline: what is not moved then stays queued (exit 75); or none" \
	}

/* Changes *n as the options say and checks the whole. *given: some were. */
int window_read(struct cli *c, struct night *n, bool *given, struct err *err);
/* A share below 100% must be a share of something. */
int window_check_share(const struct night *n, const struct batch *b, const struct endpoint *e,
	const struct target_row *t, struct err *err);
/* "open until …", "closed until …" in local time and UTC; "" for a batch without any of it. */
const char *window_state(const struct night *n, int64_t at, char *out, size_t size);
/* A line of it for people, where there is something to say. */
void window_say(const struct night *n);
json_t *window_json(const struct night *n, int64_t at);

#endif
