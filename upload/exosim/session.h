/* One IMAP connection: the client in front, the real server behind. One thread each; straight-line code.
   session.c waits, reads and answers; relay.c passes the backend's words on; command.c and its siblings do the commands. */
#ifndef NF_EXOSIM_SESSION_H
#define NF_EXOSIM_SESSION_H

#include "engine/base/buf.h"
#include "upload/exosim/args.h"
#include "upload/exosim/exosim.h"

#define TAG_MAX 80
#define QUEUE_MAX 64 /* APPENDs given to the backend and not answered */

enum session_state { /* a set, for the table of commands */
	ST_GREETED = 1,
	ST_SIGNED_IN = 2,
	ST_SELECTED = 4,
	ST_LIMBO = 8 /* signed in, but not connected */
};

/* An APPEND on its way through the backend. */
struct pending {
	const char *refusal; /* answered instead of what the backend says: it was made to give the message up */
	char tag[TAG_MAX];
	uint64_t n; /* of our tag there */
	uint64_t bytes;
	char *key;       /* owned: the folder's */
	int64_t hide_ms; /* fault HIDDEN */
	bool flagged;
	bool is_mute; /* its answer is lost: faults DROP_AFTER_COMMIT, HANG_AFTER_COMMIT */
};

struct reply { /* what the backend answered to a command that waits */
	bool done;
	bool is_ok;
	char code[256]; /* without brackets, "" if none */
	char text[256];
};

struct session {
	struct exosim *x;              /* borrowed */
	struct stop *stop;             /* owned; child of the run's */
	struct wire *client, *backend; /* owned; backend NULL before sign-in */
	enum session_state state;
	struct mailbox *box; /* borrowed; NULL before sign-in */
	struct app *app;     /* borrowed */
	bool entered;        /* counts among the mailbox's sessions */
	bool over;           /* close in good order */
	bool dropped;        /* the client is to see a broken connection */
	unsigned errors;
	uint64_t last; /* number of our last tag at the backend */
	struct pending queue[QUEUE_MAX];
	size_t head, used;
	struct reply reply;
	bool searches_uids;                                       /* what the numbers of SEARCH are */
	bool plus;                                                /* the backend asked for more (IDLE) */
	void (*capture)(void *ctx, const char *line, size_t len); /* takes untagged lines instead of the client */
	void *capture_ctx;
	char *selected;         /* owned: key; NULL: none */
	uint32_t exists, shown; /* messages there, and as last told to the client */
};

struct command {
	char tag[TAG_MAX];
	struct span verb;
	struct args args; /* behind the verb, leading blank taken */
	struct buf text;  /* the whole command; literals inside as {n+} */
	bool literal;     /* APPEND: the message waits on the wire */
	uint64_t literal_size;
	bool literal_sync;
};

/* A connection's whole life; takes the socket over. */
void session_run(struct exosim *x, int fd);

/* --- session.c */
/* Blocks until the client sent more; meanwhile answers of the backend are passed on. 0, or -1: it is over. */
int session_more(struct session *s);
/* "tag <text>"; NO and BAD are counted, and the last one allowed ends the session. */
void session_answer(struct session *s, const char *tag, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The connection breaks: nothing that is not flushed arrives. */
void session_drop(struct session *s);
/* "* BYE …" in good order. */
void session_bye(struct session *s, const char *line);
/* Nothing happens any more: until the client goes, or ms (0: for ever), then a drop. */
void session_hang(struct session *s, int64_t ms);
/* Passes by n octets of the client. */
void session_swallow(struct session *s, uint64_t n);
/* The throttle text, the fence, the end. text NULL: the service's own. */
void session_throttle(struct session *s, const char *tag, int64_t ms, const char *text);

/* --- relay.c */
/* One response of the backend: 1 done, 0 not all there, -1 the backend is gone. */
int relay_step(struct session *s);
/* Waits until no APPEND is on its way. */
int relay_drain(struct session *s);
/* Starts a command at the backend that waits for its answer: "xN ". Put the rest with wire_put, without the line end. */
int relay_begin(struct session *s);
/* Ends it and waits: 0 with s->reply, -1: the backend is gone (the session is over). */
int relay_finish(struct session *s);
/* Both with a plain text. */
int relay_ask(struct session *s, const char *command);
/* Tells the client of messages that have become visible. */
void relay_tell_exists(struct session *s);

/* --- command.c */
void command_run(struct session *s, struct command *c);
/* Faults at the start of a command. true: the command has had its end. */
bool command_fault(struct session *s, const struct command *c, const char *folder, bool *lose_answer);

/* --- command_folder.c: what names folders */
/* The backend's spelling of a folder that the client named; *key its key. NULL: there is none. Yours both. */
char *folder_resolve(struct session *s, const char *name, char **key);
void command_select(struct session *s, struct command *c);
void command_create(struct session *s, struct command *c);
void command_delete(struct session *s, struct command *c);
void command_rename(struct session *s, struct command *c);
void command_subscribe(struct session *s, struct command *c);
void command_list(struct session *s, struct command *c);
void command_status(struct session *s, struct command *c);
void command_copy(struct session *s, struct command *c, bool uid);
/* Deletes a folder with its messages (fault FOLDER_GONE). */
void folder_destroy(struct session *s, const char *name);

/* --- append.c, append_send.c */
void command_append(struct session *s, struct command *c);
void append_answered(struct session *s, struct pending *p, const struct reply *r);

/* --- signin.c */
void command_authenticate(struct session *s, struct command *c);

#endif
