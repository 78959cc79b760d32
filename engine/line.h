/* The rates that people set, where octets flow: a tree of scopes for each way, apart from those that servers' limits are about.
     down -> source -> batch -> source mailbox        what comes from the source
     up   -> target -> batch -> target mailbox        what goes into the target
   A batch's rate holds for each way by itself, as a line has one speed each way. */
#ifndef NF_ENGINE_LINE_H
#define NF_ENGINE_LINE_H

#include "engine/base/err.h"
#include "throttle/gate.h"

struct job;
struct limit_rates;

enum line_way { LINE_DOWN, LINE_UP, LINE_WAYS };
enum line_place { LINE_ALL, LINE_SERVER, LINE_BATCH, LINE_MAILBOX, LINE_PLACES };

struct lines {                                    /* a part of struct limits */
	struct scope *at[LINE_WAYS][LINE_PLACES]; /* owned */
};

int line_open(struct lines *l, struct job *j, struct err *err);
void line_close(struct lines *l); /* all gates are freed before */
void line_set(struct lines *l, const struct limit_rates *rates);

struct line_view {
	bool waits;
	char scope[64];     /* whose rate it waits for: "batch b", "source s", "target t" */
	double rate;        /* that was set there, as a window leaves it; 0: none any more */
	double per_s;       /* octets that go into the target mailbox */
	double limit_per_s; /* the narrowest; 0: none */
};
void line_look(struct lines *l, struct line_view *out);

#endif
