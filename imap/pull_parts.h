/* Inside pull*.c only: what the parts of a pull share. pull.c opens and hands out, pull_list.c lists, pull_fetch.c asks for bodies,
   pull_body.c takes them in. */
#ifndef NF_IMAP_PULL_PARTS_H
#define NF_IMAP_PULL_PARTS_H

#include "imap/box.h"
#include "imap/fetch.h"
#include "imap/pull.h"
#include "imap/scan.h"
#include "throttle/gate.h"

#define PULL_LARGE ((uint64_t)256 * 1024)      /* from here on a message has a command of its own */
#define PULL_SET_BYTES ((uint64_t)1024 * 1024) /* most announced octets of one set */
#define PULL_PIECEWISE ((uint64_t)48 << 20)    /* beyond: in pieces; libetpan 1.10 refuses literals of 64 MiB */
#define PULL_PIECE ((uint64_t)8 << 20)
#define PULL_FILE_COST ((uint64_t)64 * 1024) /* memory that a message in a file costs */
#define PULL_MESSAGE_COST ((uint64_t)1024)   /* memory beside the octets */
#define PULL_COMMAND 7900                    /* RFC 7162: at most 8,192 octets a command */
enum { PULL_FLIGHTS = 32, PULL_SET_MOST = 1000 };

/* A message that was wanted. In one of the queues, or in a flight. */
struct want {
	struct want *next;
	struct mail *mail; /* owned */
	uint64_t held;     /* reserved of the memory budget */
	bool alone;        /* was missing in a set: ask for it by itself */
	bool done;         /* its body is here */
	bool was_named;    /* a line told its UID, but no body or NIL */
	struct err *err;   /* owned; NULL: none. Why it cannot be read */
};

struct want_queue {
	struct want *first, *last;
};

/* A FETCH that was sent and not answered yet. */
struct flight {
	int tag;
	struct want **v; /* owned array, borrowed wants; ascending by UID */
	size_t n;
	bool is_piece;
	uint64_t offset;       /* of a piece */
	uint64_t bytes;        /* announced */
	uint64_t got;          /* octets of bodies that came */
	struct permit *permit; /* owned; NULL without a gate */
	int64_t sent_at_ms, paced_before;
};

/* The body of the FETCH line that comes in just now. */
struct capture {
	bool taken;          /* its octets are in spool; another body in the same line is dropped */
	bool skips;          /* the string that streams in is nothing we want */
	struct want *want;   /* NULL: the server has not told its UID yet */
	struct spool *spool; /* owned */
};

/* The one message that comes in pieces. */
struct piecewise {
	struct want *want;   /* NULL: none */
	struct spool *spool; /* owned */
	struct scan *scan;   /* owned */
	uint64_t asked;      /* octets asked for so far */
	uint64_t got;
	unsigned in_flight;
	bool ended;      /* a short piece came */
	bool overlong;   /* the server sent the whole message instead of a piece */
	bool torn;       /* octets came behind the end */
	bool is_nil;     /* the first piece was NIL or missing */
	struct err *err; /* owned; a piece was refused */
};

struct bodies {
	struct want_queue waiting, ready;
	struct want_queue deferred;          /* refused as if the server were busy: is it the message or the server? */
	struct flight flights[PULL_FLIGHTS]; /* a ring, oldest first */
	size_t first_flight, n_flights;
	uint64_t in_flight_bytes;
	struct capture capture;
	struct piecewise piecewise;
	struct scan *scan;  /* owned */
	uint64_t excess;    /* octets beyond what was announced, in memory, of the flight that is read */
	struct err failure; /* what made the octets' handler give up */
	uint64_t completed;
	unsigned refused_in_a_row;
	unsigned odd; /* bodies nobody asked for, repeated ones */
};

struct lister {
	bool begun;
	bool by_uid;       /* the server's sequence numbers cannot be trusted */
	uint32_t last_uid; /* highest that was returned */
	uint32_t next_seq; /* the first not returned yet */
	uint64_t next_uid; /* by UID */
	uint64_t window;   /* by UID: how many to ask for */
	uint64_t top;      /* by UID: the highest there is */
	unsigned tops;     /* how often top was looked up */
	unsigned backs;    /* how often an expunge made us step back */
	uint64_t commands;
	uint64_t returned;
	unsigned empty;          /* ranges in a row without any message */
	unsigned refused;        /* single messages that were refused */
	uint32_t unreadable_seq; /* the last of them */
	unsigned odd;            /* lines dropped */
};

struct pull {
	struct conn *conn;     /* borrowed */
	struct pull_conf conf; /* defaults filled in */
	char *name;            /* owned: decoded, for messages */
	struct box_state state;
	bool no_pipeline, small_sets;
	struct lister list;
	struct bodies bodies;
};

void pull_queue_add(struct want_queue *q, struct want *w);
struct want *pull_queue_take(struct want_queue *q);
/* Memory that this many octets take while the message is with us. */
uint64_t pull_cost(uint64_t octets);
void pull_want_free(struct pull *p, struct want **w);

/* pull_fetch.c: sends what the window, the budget and the gate allow. May block only when nothing is in flight or ready. */
int pull_fill(struct pull *p, struct err *err);
struct flight *pull_oldest(struct pull *p);
/* Takes the oldest out of the ring: what is done becomes ready, the rest goes back to those that wait; the gate is told. */
void pull_flight_done(struct pull *p, enum verdict verdict, const struct err *err);

/* pull_body.c: reads the answer of the oldest flight; what came of it goes to ready, waiting or deferred. */
int pull_receive(struct pull *p, struct err *err);
/* What was deferred is decided when nothing else is left. */
int pull_decide_deferred(struct pull *p, struct err *err);

#endif
